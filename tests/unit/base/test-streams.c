#include "base/streams.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

/* In a child, which tells by its exit status: cmocka needs its own streams. */
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

static int all_closed(void)
{
    char byte = 0;

    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    streams_open();
    if (read(0, &byte, 1) >= 0 || errno != EBADF)
        return 1;
    for (int fd = 1; fd <= 2; fd++)
        if (write(fd, &byte, 1) >= 0 || errno != EBADF)
            return 2;
    return open("/dev/null", O_RDONLY) > 2 ? 0 : 3;
}

static int middle_closed(void)
{
    int ends[2];
    char byte = 'x';

    if (pipe(ends) < 0 || dup2(ends[0], 0) < 0 || dup2(ends[1], 2) < 0)
        return 1;
    close(1);
    streams_open();
    /* what was open is as it was */
    return write(2, &byte, 1) == 1 && read(0, &byte, 1) == 1 && write(1, &byte, 1) < 0 ? 0 : 2;
}

static void test_closed_streams(void **state)
{
    (void)state;
    assert_int_equal(in_child(all_closed), 0);
    assert_int_equal(in_child(middle_closed), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
