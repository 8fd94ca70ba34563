#include "base/privilege.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char *const kept[] = { "KEPT", "BEGINS_*", NULL };

/* In a child, which tells by its exit status: what is given up is given up for good. */
static int in_child(int (*act)(void))
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(act());
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int start_with(char *variables[])
{
    environ = variables;
    privilege_start(kept);
    return 0;
}

static int environment_is_cleaned(void)
{
    char *variables[] = {
        "OPENSSL_CONF=/tmp/x", "KEPT=1",          "KEPT_NOT=2", "BEGINS_=3", "BEGIN=4", "TSS2_LOG=all+trace",
        "BEGINS_A=5=",         "ALSO_BEGINS_A=6", "KEP=7",      "no sign",   "KEPT",    NULL
    };
    static const char *const wanted[] = { "KEPT=1", "BEGINS_=3", "BEGINS_A=5=", "KEPT", NULL };

    start_with(variables);
    for (size_t i = 0; wanted[i]; i++)
        if (!environ[i] || strcmp(environ[i], wanted[i]) != 0)
            return 1 + (int)i;
    return environ[array_size(wanted) - 1] ? 100 : 0;
}

static int without_environment(void)
{
    char *none[] = { NULL };

    start_with(none);
    if (environ[0])
        return 1;
    return start_with(NULL);
}

static int process_is_closed(void)
{
    char *none[] = { NULL };
    struct rlimit cores;

    start_with(none);
    if (getrlimit(RLIMIT_CORE, &cores) < 0 || cores.rlim_cur != 0 || cores.rlim_max != 0)
        return 1;
    if (prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 2;
    return umask(0) == 077 ? 0 : 3;
}

static int streams_are_open(void)
{
    char *none[] = { NULL };

    close(STDOUT_FILENO);
    start_with(none);
    return open("/dev/null", O_RDONLY) > STDERR_FILENO ? 0 : 1;
}

static void test_start(void **state)
{
    (void)state;
    assert_int_equal(in_child(environment_is_cleaned), 0);
    assert_int_equal(in_child(without_environment), 0);
    assert_int_equal(in_child(process_is_closed), 0);
    assert_int_equal(in_child(streams_are_open), 0);
}

/* ---- system calls ---- */

static bool can_read_own_memory(void)
{
    char from = 'x', to = 0;
    struct iovec local = { &to, 1 }, remote = { &from, 1 };

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1 && to == 'x';
}

static bool is_refused(long number)
{
    errno = 0;
    /* arguments that every one of them refuses for another reason */
    return syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) == -1 && errno == EPERM;
}

static const long refused[] = { SYS_kexec_load, SYS_init_module, SYS_mount,          SYS_pivot_root,
                                SYS_bpf,        SYS_unshare,     SYS_io_uring_setup, SYS_process_vm_writev };

static int calls_are_refused(void)
{
    char *none[] = { NULL };

    start_with(none);
    if (!can_read_own_memory())
        return 1; /* nothing is shown then */
    if (!privilege_forbid_calls())
        return 2;
    for (size_t i = 0; i < array_size(refused); i++)
        if (!is_refused(refused[i]))
            return 10 + (int)i;
    return can_read_own_memory() ? 3 : 0;
}

static int other_calls_work(void)
{
    char *none[] = { NULL };
    char byte;
    int fd, ends[2];

    start_with(none);
    if (!privilege_forbid_calls())
        return 1;
    fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &byte, 1) != 1 || pipe(ends) < 0)
        return 2;
    return is_refused(SYS_getpid) ? 3 : 0;
}

static int children_are_refused_too(void)
{
    char *none[] = { NULL };
    pid_t child;
    int status;

    start_with(none);
    if (!privilege_forbid_calls())
        return 1;
    child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "umount /nonexistent 2>/dev/null && exit 1; unshare --mount true 2>/dev/null",
              NULL);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 2;
    return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? 0 : 3;
}

static void test_calls(void **state)
{
    (void)state;
    assert_int_equal(in_child(calls_are_refused), 0);
    assert_int_equal(in_child(other_calls_work), 0);
    assert_int_equal(in_child(children_are_refused_too), 0);
}

/* Before no_new_privs is set, only root may. */
static int is_survived(void)
{
    struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_NOFILE, &none);
    (void)!setresuid(65534, 65534, 65534);
    return privilege_forbid_calls() ? 1 : 0;
}

static void test_unprivileged(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(is_survived), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_unprivileged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
