#include "ask/askpass.h"
#include "ask/terminal.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "pty-asker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The askpass program of the running test: a script that leaves what it saw beside itself. */
static char folder[64];
static char program[96];
static char record[96];

static void write_program(const char *script)
{
    struct error error;

    assert_int_equal(file_write(program, script, strlen(script), 0755, &error), 0);
}

static int setup(void **state)
{
    strcpy(folder, "/tmp/test-askpass-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(program, sizeof(program), "%s/askpass", folder);
    snprintf(record, sizeof(record), "%s/askpass.record", folder);
    setenv("CRYPTTAB_SOURCE", "/dev/sda1", 1);
    setenv("CRYPTTAB_NAME", "root", 1);
    return pty_setup(state);
}

static int teardown(void **state)
{
    unlink(program);
    unlink(record);
    rmdir(folder);
    return pty_teardown(state);
}

static char *read_record(void)
{
    struct error error;
    char *text;

    assert_int_equal(file_read(record, 4096, &text, NULL, &error), 0);
    return text;
}

static void run_and_expect(struct pty *pty, const char *answer)
{
    cleanup(secret_free) struct secret secret = { 0 };
    struct error error;

    if (askpass_ask(program, pty->path, "PIN: ", &secret, &error))
        fail_msg("%s", error.text);
    assert_int_equal(secret.size, strlen(answer));
    assert_memory_equal(secret.bytes, answer, secret.size);
}

static void run_and_expect_error(struct pty *pty, enum error_kind kind, const char *text)
{
    struct secret secret = { 0 };
    struct error error;

    assert_int_equal(askpass_ask(program, pty->path, "PIN: ", &secret, &error), kind);
    assert_null(secret.bytes);
    assert_non_null(strstr(error.text, text));
}

static void its_output_is_the_secret(void **state)
{
    write_program("#!/bin/sh\nprintf 4711\n");
    run_and_expect(*state, "4711");
}

static void one_newline_of_the_fifo_is_cut(void **state)
{
    write_program("#!/bin/sh\necho 4711\n");
    run_and_expect(*state, "4711");
    write_program("#!/bin/sh\nprintf '4711\\n\\n'\n");
    run_and_expect(*state, "4711\n");
}

static void its_environment_is_clean(void **state)
{
    cleanup(free_ptr) char *seen = NULL;

    write_program("#!/bin/sh\ntr '\\0' '\\n' </proc/$$/environ >\"$0.record\"\nprintf 1\n");
    run_and_expect(*state, "1");
    seen = read_record();
    assert_string_equal(seen, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C.UTF-8\n");
}

static void its_stdin_is_the_console(void **state)
{
    struct pty *pty = *state;
    cleanup(free_ptr) char *seen = NULL;
    char expected[96];

    write_program("#!/bin/sh\nreadlink /proc/self/fd/0 >\"$0.record\"\nprintf '%s' \"$1\"\n");
    run_and_expect(pty, "PIN: ");
    seen = read_record();
    snprintf(expected, sizeof(expected), "%s\n", pty->path);
    assert_string_equal(seen, expected);
}

static void its_failure_is_told(void **state)
{
    write_program("#!/bin/sh\nprintf 4711\nexit 3\n");
    run_and_expect_error(*state, ERROR_USAGE, "status 3");
}

static void a_missing_program_is_told(void **state)
{
    run_and_expect_error(*state, ERROR_USAGE, "cannot be started");
}

static void too_long_an_answer_is_refused(void **state)
{
    cleanup(free_ptr) char *longest = malloc(ASK_MAX_BYTES + 1);

    assert_non_null(longest);
    memset(longest, '0', ASK_MAX_BYTES);
    longest[ASK_MAX_BYTES] = '\0';
    write_program("#!/bin/sh\nprintf '%0512d\\n' 0\n");
    run_and_expect(*state, longest);
    write_program("#!/bin/sh\nprintf '%0513d' 0\n");
    run_and_expect_error(*state, ERROR_WRONG_PIN, "more than 512 bytes");
    write_program("#!/bin/sh\nprintf '%0600d' 0\n");
    run_and_expect_error(*state, ERROR_WRONG_PIN, "more than");
}

static void killed_it_leaves_the_console_as_it_was(void **state)
{
    struct pty *pty = *state;
    cleanup(free_ptr) char *seen = NULL;
    struct termios before, after;

    assert_true(terminal_save(pty->path, &before));
    write_program("#!/bin/sh\nstty -echo -icanon\nstty >\"$0.record\"\nkill -KILL $$\n");
    run_and_expect_error(pty, ERROR_USAGE, "signal 9");
    seen = read_record();
    assert_non_null(strstr(seen, "-echo")); /* it did change the terminal */
    assert_true(terminal_save(pty->path, &after));
    assert_int_equal(after.c_lflag, before.c_lflag);
    assert_true(after.c_lflag & ECHO);
}

static int log_level(void)
{
    FILE *file = fopen("/proc/sys/kernel/printk", "re");
    int level = -1;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &level), 1);
    fclose(file);
    return level;
}

/* The kernel's own, which only root can change: for anyone else there is nothing to restore, and nothing fails. */
static void killed_it_leaves_the_log_level_as_it_was(void **state)
{
    int before = log_level();

    write_program("#!/bin/sh\ndmesg --console-off 2>/dev/null\ncut -f 1 /proc/sys/kernel/printk >\"$0.record\"\n"
                  "kill -KILL $$\n");
    run_and_expect_error(*state, ERROR_USAGE, "signal 9");
    if (geteuid() == 0) {
        cleanup(free_ptr) char *seen = read_record();

        assert_string_equal(seen, "1\n");
    }
    assert_int_equal(log_level(), before);
}

int main(void)
{
#define on_pty(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        on_pty(its_output_is_the_secret),
        on_pty(one_newline_of_the_fifo_is_cut),
        on_pty(its_environment_is_clean),
        on_pty(its_stdin_is_the_console),
        on_pty(its_failure_is_told),
        on_pty(a_missing_program_is_told),
        on_pty(too_long_an_answer_is_refused),
        on_pty(killed_it_leaves_the_console_as_it_was),
        on_pty(killed_it_leaves_the_log_level_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
