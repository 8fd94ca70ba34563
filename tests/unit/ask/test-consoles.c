#include "ask/consoles.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "pty-asker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A /dev of the test's own, in which the terminals' names lead to its pseudo-terminal. */
static char folder[64], active[96], link_path[96], other_path[96];

static int setup(void **state)
{
    strcpy(folder, "/tmp/test-consoles-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(active, sizeof(active), "%s/active", folder);
    snprintf(link_path, sizeof(link_path), "%s/ttyS0", folder);
    snprintf(other_path, sizeof(other_path), "%s/tty0", folder);
    return pty_setup(state);
}

static int teardown(void **state)
{
    unlink(active);
    unlink(link_path);
    unlink(other_path);
    rmdir(folder);
    return pty_teardown(state);
}

static void set_active(const char *text)
{
    struct error error;

    assert_int_equal(file_write(active, text, strlen(text), 0600, &error), 0);
}

/* What reaches the pseudo-terminal under the name ttyS0 with this list of consoles. A mark shows where it ends. */
static void expect_shown(struct pty *pty, const char *consoles, const char *expected)
{
    char output[256];

    set_active(consoles);
    if (access(link_path, F_OK) != 0)
        assert_int_equal(symlink(pty->path, link_path), 0);
    consoles_show_others(active, folder, "three tries left\n");
    assert_int_equal(write(pty->slave, "|", 1), 1);
    pty_expect_output(pty, "|", output, sizeof(output));
    assert_string_equal(output, expected);
}

static void each_but_the_last_is_written_to(void **state)
{
    expect_shown(*state, "ttyS0 tty0\n", "three tries left\r\n|");
    expect_shown(*state, "hvc0 ttyS0 tty0\n", "three tries left\r\n|"); /* hvc0 is not there */
}

static void the_last_one_has_it_already(void **state)
{
    expect_shown(*state, "ttyS0\n", "|");
    expect_shown(*state, "tty0 ttyS0\n", "|");
    expect_shown(*state, "\n", "|");
    expect_shown(*state, "", "|");
}

static void a_path_is_no_name(void **state)
{
    expect_shown(*state, "../ttyS0 tty0\n", "|");
}

static void two_others(void **state)
{
    struct pty *pty = *state;

    assert_int_equal(symlink(pty->path, other_path), 0);
    expect_shown(pty, "tty0 ttyS0 hvc0\n", "three tries left\r\nthree tries left\r\n|");
}

static void no_list_is_no_fault(void **state)
{
    (void)state;
    consoles_show_others("/nonexistent/active", folder, "x");
}

int main(void)
{
#define on_pty(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        on_pty(each_but_the_last_is_written_to),
        on_pty(the_last_one_has_it_already),
        on_pty(a_path_is_no_name),
        on_pty(two_others),
        on_pty(no_list_is_no_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
