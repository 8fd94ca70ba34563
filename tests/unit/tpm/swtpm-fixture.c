#include "swtpm-fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_TRIES 20
#define START_PATIENCE_MS 10000
#define PAUSE_MS 5

/* Below the range that the kernel hands out by itself, so that only servers are in the way. */
#define FIRST_PORT 10000
#define PORT_PAIRS 10000

static int complain(const char *what)
{
    fprintf(stderr, "swtpm: %s: %s\n", what, strerror(errno));
    return -1;
}

static void path_in(const struct swtpm *swtpm, const char *name, char ret[96])
{
    snprintf(ret, 96, "%s/%s", swtpm->folder, name);
}

static void run(const struct swtpm *swtpm)
{
    char state[96], server[64], control[64], pid[96], log[96];

    snprintf(state, sizeof(state), "dir=%s", swtpm->folder);
    snprintf(server, sizeof(server), "type=tcp,port=%u", swtpm->port);
    snprintf(control, sizeof(control), "type=tcp,port=%u", swtpm->port + 1u);
    snprintf(pid, sizeof(pid), "file=%s/pid", swtpm->folder);
    snprintf(log, sizeof(log), "file=%s/log", swtpm->folder);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server, "--ctrl", control, "--flags",
           "not-need-init,startup-clear", "--pid", pid, "--log", log, (char *)NULL);
    _exit(127);
}

/* swtpm writes its pid once it has bound both ports. False when it ended instead: a port was taken. */
static bool is_ready(struct swtpm *swtpm)
{
    char pid[96];
    struct stat info;

    path_in(swtpm, "pid", pid);
    for (int i = 0; i < START_PATIENCE_MS / PAUSE_MS; i++) {
        if (waitpid(swtpm->pid, NULL, WNOHANG) == swtpm->pid) {
            swtpm->pid = 0;
            return false;
        }
        if (stat(pid, &info) == 0 && info.st_size > 0)
            return true;
        nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
    }
    return false;
}

static void end(struct swtpm *swtpm, int number)
{
    if (swtpm->pid > 0) {
        kill(swtpm->pid, number);
        while (waitpid(swtpm->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    swtpm->pid = 0;
}

static bool switch_on(struct swtpm *swtpm)
{
    char pid[96];

    path_in(swtpm, "pid", pid);
    unlink(pid);
    swtpm->pid = fork();
    if (swtpm->pid == 0)
        run(swtpm);
    if (swtpm->pid > 0 && is_ready(swtpm))
        return true;
    end(swtpm, SIGKILL);
    return false;
}

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

void swtpm_stop(struct swtpm *swtpm)
{
    end(swtpm, SIGTERM);
    if (swtpm->folder[0])
        nftw(swtpm->folder, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
    *swtpm = (struct swtpm){ 0 };
}

int swtpm_start(struct swtpm *swtpm)
{
    unsigned seed = (unsigned)getpid() ^ (unsigned)time(NULL);

    *swtpm = (struct swtpm){ 0 };
    snprintf(swtpm->folder, sizeof(swtpm->folder), "%s/bootseal-swtpm-XXXXXX", getenv("TMPDIR") ?: "/tmp");
    if (!mkdtemp(swtpm->folder)) {
        swtpm->folder[0] = '\0';
        return complain("no folder for its state");
    }
    for (int i = 0; i < START_TRIES; i++) {
        swtpm->port = (uint16_t)(FIRST_PORT + 2 * (rand_r(&seed) % PORT_PAIRS));
        snprintf(swtpm->tcti, sizeof(swtpm->tcti), "swtpm:host=127.0.0.1,port=%u", swtpm->port);
        if (switch_on(swtpm))
            return 0;
    }
    complain("it does not start");
    swtpm_stop(swtpm);
    return -1;
}

const char *swtpm_tcti(const struct swtpm *swtpm)
{
    return swtpm->tcti;
}

int swtpm_power_cut(struct swtpm *swtpm)
{
    end(swtpm, SIGKILL);
    for (int i = 0; i < START_TRIES; i++)
        if (switch_on(swtpm))
            return 0;
    return complain("it does not start again");
}

/* A fuzzer's clock interrupts. */
static bool receive(int fd, uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = recv(fd, bytes, size, MSG_WAITALL);

        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* One exchange on the wire, without tpm2-tss: this file tests what uses it. */
static int exchange(uint16_t port, const void *request, size_t size, const void *expected, size_t expected_size)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    uint8_t response[16];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool done;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    done = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
           send(fd, request, size, MSG_NOSIGNAL) == (ssize_t)size && receive(fd, response, expected_size) &&
           memcmp(response, expected, expected_size) == 0;
    if (fd >= 0)
        close(fd);
    return done ? 0 : -1;
}

/* A command with one parameter, a TPM_SU. */
static int send_command(const struct swtpm *swtpm, uint8_t code, uint8_t type)
{
    const uint8_t command[] = { 0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, code, 0, type };
    static const uint8_t success[] = { 0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0 };

    return exchange(swtpm->port, command, sizeof(command), success, sizeof(success));
}

static int send_shutdown(const struct swtpm *swtpm, uint8_t type)
{
    return send_command(swtpm, 0x45, type) ? complain("TPM2_Shutdown failed") : 0;
}

int swtpm_reset(struct swtpm *swtpm)
{
    return send_shutdown(swtpm, 0) ? -1 : swtpm_power_cut(swtpm);
}

int swtpm_restart(struct swtpm *swtpm)
{
    return send_shutdown(swtpm, 1) ? -1 : swtpm_power_cut(swtpm);
}

int swtpm_reset_in_place(struct swtpm *swtpm)
{
    static const uint8_t init[] = { 0, 0, 0, 2, 0, 0, 0, 0 }; /* swtpm_ioctls(3): CMD_INIT, no flags */
    static const uint8_t success[] = { 0, 0, 0, 0 };
    int r = send_shutdown(swtpm, 0);

    r = r ?: exchange(swtpm->port + 1, init, sizeof(init), success, sizeof(success));
    r = r ?: send_command(swtpm, 0x44, 0);
    return r ? complain("it does not start again in place") : 0;
}
