#include "base/process.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENVIRONMENT_MAX 16

static void fill_environment(const struct process *process, const char *ret[ENVIRONMENT_MAX])
{
    size_t n = 0;

    ret[n++] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    ret[n++] = "LANG=C.UTF-8";
    for (size_t i = 0; process->environment && process->environment[i] && n < ENVIRONMENT_MAX - 1; i++)
        ret[n++] = process->environment[i];
    ret[n] = NULL;
}

/* The child's side; only calls that are safe after fork. */
static void __attribute__((noreturn)) run_child(const struct process *process, int output)
{
    const char *environment[ENVIRONMENT_MAX];
    int input = open(process->stdin_path ?: "/dev/null", process->stdin_path ? O_RDWR : O_RDONLY);

    fill_environment(process, environment);
    if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0)
        _exit(126);
    /* libraries open files without O_CLOEXEC */
    if (close_range(STDERR_FILENO + 1, ~0u, 0) < 0)
        _exit(126);
    (void)umask(022); /* a distribution's programs make files that others may read */
    execve(process->argv[0], (char *const *)process->argv, (char *const *)environment);
    _exit(127);
}

static int wait_for(pid_t child, const char *name, struct error *error)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return error_errno(error, errno, "cannot wait for \"%s\"", name);
    if (WIFSIGNALED(status))
        return error_set(error, ERROR_FAILED, "\"%s\" was ended by signal %d", name, WTERMSIG(status));
    if (WEXITSTATUS(status) == 127)
        return error_set(error, ERROR_FAILED, "\"%s\" cannot be started", name);
    if (WEXITSTATUS(status) != 0)
        return error_set(error, ERROR_FAILED, "\"%s\" ended with status %d", name, WEXITSTATUS(status));
    return 0;
}

int process_run(const struct process *process, struct error *error)
{
    pid_t child = fork();

    if (child < 0)
        return error_errno(error, errno, "cannot start \"%s\"", process->argv[0]);
    if (child == 0)
        run_child(process, STDERR_FILENO);
    return wait_for(child, process->argv[0], error);
}

int process_read(const struct process *process, size_t max, struct secret *ret, struct error *error)
{
    cleanup(close_fd) int output = -1;
    cleanup(secret_free) struct secret text = { 0 };
    struct error waited;
    int ends[2], r, w;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(error, errno, "cannot make a pipe");
    output = ends[0];
    child = fork();
    if (child < 0) {
        close(ends[1]);
        return error_errno(error, errno, "cannot start \"%s\"", process->argv[0]);
    }
    if (child == 0)
        run_child(process, ends[1]);
    close(ends[1]);
    r = secret_read(&text, output, max, process->argv[0], error);
    close(output); /* a program that writes more than we read must not wait for us while we wait for it */
    output = -1;
    w = wait_for(child, process->argv[0], &waited);
    if (!r && w) {
        *error = waited;
        return w;
    }
    if (!r)
        *ret = secret_take(&text);
    return r;
}
