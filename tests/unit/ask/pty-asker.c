#include "pty-asker.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PATIENCE_MS 10000
#define STEP_MS 5

int pty_setup(void **state)
{
    struct pty *pty = calloc(1, sizeof(*pty));

    if (!pty || openpty(&pty->master, &pty->slave, pty->path, NULL, NULL) < 0)
        return -1;
    fcntl(pty->master, F_SETFD, FD_CLOEXEC);
    fcntl(pty->slave, F_SETFD, FD_CLOEXEC);
    pty->reports = pty->orders = -1;
    *state = pty;
    return 0;
}

int pty_teardown(void **state)
{
    struct pty *pty = *state;

    if (pty->leader > 0) {
        kill(pty->leader, SIGKILL);
        waitpid(pty->leader, NULL, 0);
    }
    close_fd(&pty->master); /* hangs up on an asker that is still there */
    close_fd(&pty->slave);
    close_fd(&pty->reports);
    close_fd(&pty->orders);
    free(pty);
    return 0;
}

static void send_report(int fd, const struct pty_report *report)
{
    if (write(fd, report, sizeof(*report)) != sizeof(*report))
        _exit(1);
}

static void __attribute__((noreturn))
run_asker(const struct pty *pty, enum pty_control control, pty_asker asker, int reports)
{
    struct pty_report report = { .event = PTY_ANSWERED };

    if (control == PTY_CONTROLLING) {
        /* as a shell does for a job in the foreground; the leader still ignores SIGTTOU for us */
        if (setpgid(0, 0) < 0 || tcsetpgrp(pty->slave, getpid()) < 0)
            _exit(1);
    }
    signal(SIGTTOU, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    asker(pty->path, &report);
    send_report(reports, &report);
    _exit(0);
}

static void __attribute__((noreturn))
run_leader(const struct pty *pty, enum pty_control control, pty_asker asker, int reports, int orders)
{
    pid_t child;
    char order;
    int status;

    close(pty->master);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (setsid() < 0 || (control == PTY_CONTROLLING && ioctl(pty->slave, TIOCSCTTY, 0) < 0))
        _exit(1);
    child = fork();
    if (child == 0)
        run_asker(pty, control, asker, reports);
    while (waitpid(child, &status, WUNTRACED) == child) {
        struct pty_report report = { 0 };

        if (WIFEXITED(status))
            _exit(WEXITSTATUS(status));
        report.event = WIFSTOPPED(status) ? PTY_STOPPED : PTY_KILLED;
        report.signal = WIFSTOPPED(status) ? WSTOPSIG(status) : WTERMSIG(status);
        send_report(reports, &report);
        if (!WIFSTOPPED(status) || read(orders, &order, 1) != 1)
            _exit(0);
        kill(child, SIGCONT);
    }
    _exit(1);
}

void pty_start(struct pty *pty, enum pty_control control, pty_asker asker)
{
    int reports[2], orders[2];

    assert_int_equal(pipe2(reports, O_CLOEXEC), 0);
    assert_int_equal(pipe2(orders, O_CLOEXEC), 0);
    pty->leader = fork();
    assert_true(pty->leader >= 0);
    if (pty->leader == 0) {
        close(reports[0]);
        close(orders[1]);
        run_leader(pty, control, asker, reports[1], orders[0]);
    }
    close(reports[1]);
    close(orders[0]);
    pty->reports = reports[0];
    pty->orders = orders[1];
}

void pty_type(struct pty *pty, const void *bytes, size_t size)
{
    assert_int_equal(write(pty->master, bytes, size), size);
}

void pty_expect_echo(struct pty *pty, bool on)
{
    struct termios modes;

    for (int waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
        assert_int_equal(tcgetattr(pty->slave, &modes), 0);
        if (!!(modes.c_lflag & ECHO) == on)
            return;
        usleep(STEP_MS * 1000);
    }
    fail_msg("the echo did not go %s", on ? "on" : "off");
}

static bool ends_with(const char *text, size_t size, const char *end)
{
    return size >= strlen(end) && memcmp(text + size - strlen(end), end, strlen(end)) == 0;
}

void pty_expect_output(struct pty *pty, const char *text, char *ret, size_t ret_size)
{
    char seen[4096];
    size_t size = 0;

    while (!ends_with(seen, size, text)) {
        struct pollfd ready = { .fd = pty->master, .events = POLLIN };

        assert_true(size < sizeof(seen) - 1);
        if (poll(&ready, 1, PATIENCE_MS) != 1 || read(pty->master, seen + size, 1) != 1)
            fail_msg("\"%s\" is not at the end of the output \"%.*s\"", text, (int)size, seen);
        size++;
    }
    seen[size] = '\0';
    if (ret)
        snprintf(ret, ret_size, "%s", seen);
}

struct pty_report pty_wait(struct pty *pty)
{
    struct pollfd ready = { .fd = pty->reports, .events = POLLIN };
    struct pty_report report = { 0 };

    if (poll(&ready, 1, PATIENCE_MS) != 1 || read(pty->reports, &report, sizeof(report)) != sizeof(report))
        fail_msg("nothing was heard of the asker");
    return report;
}

void pty_continue(struct pty *pty)
{
    assert_int_equal(write(pty->orders, "", 1), 1);
}

void pty_signal(struct pty *pty, int number)
{
    pid_t asker = tcgetpgrp(pty->master);

    assert_true(asker > 1);
    assert_int_equal(kill(asker, number), 0);
}

void pty_report_secret(struct pty_report *report, int kind, const struct secret *secret, const struct error *error)
{
    report->kind = kind;
    if (kind) {
        snprintf(report->text, sizeof(report->text), "%.200s", error->text);
        return;
    }
    report->size = secret->size;
    memcpy(report->bytes, secret->bytes, secret->size);
}
