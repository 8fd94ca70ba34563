#include "base/process.h"

#include "base/cleanup.h"
#include "capture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SHELL(text) ((const char *const[]){ "/bin/sh", "-c", text, NULL })

static int run(const char *const *argv, struct error *error)
{
    return process_run(&(struct process){ .argv = argv }, error);
}

static void exit_status_is_told(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(run(SHELL("exit 0"), &error), 0);
    assert_int_equal(run(SHELL("exit 3"), &error), ERROR_FAILED);
    assert_string_equal(error.text, "\"/bin/sh\" ended with status 3");
    assert_int_equal(run(SHELL("kill -TERM $$"), &error), ERROR_FAILED);
    assert_string_equal(error.text, "\"/bin/sh\" was ended by signal 15");
}

static void what_cannot_be_started(void **state)
{
    const char *const missing[] = { "/nonexistent/program", NULL }, *const folder[] = { "/", NULL };
    struct error error;

    (void)state;
    assert_int_equal(run(missing, &error), ERROR_FAILED);
    assert_string_equal(error.text, "\"/nonexistent/program\" cannot be started");
    assert_int_equal(run(folder, &error), ERROR_FAILED);
    assert_int_equal(process_run(&(struct process){ .argv = SHELL("true"), .stdin_path = "/nonexistent" }, &error),
                     ERROR_FAILED);
}

static void assert_output(const struct process *process, const char *wanted)
{
    cleanup(secret_free) struct secret output = { 0 };
    struct error error;

    assert_int_equal(process_read(process, 4096, &output, &error), 0);
    assert_int_equal(output.size, strlen(wanted));
    assert_memory_equal(output.bytes, wanted, output.size);
}

static void output_is_read(void **state)
{
    (void)state;
    assert_output(&(struct process){ .argv = SHELL("printf '%s' one; echo two >&2; printf '%s\\n' three") },
                  "onethree\n");
    assert_output(&(struct process){ .argv = SHELL(":") }, "");
}

static void output_of_a_failure_is_dropped(void **state)
{
    struct secret output = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(process_read(&(struct process){ .argv = SHELL("echo text; exit 1") }, 4096, &output, &error),
                     ERROR_FAILED);
    assert_null(output.bytes);
}

/* Far more than a pipe holds: it must not wait for us for ever. */
static void too_much_output_is_refused(void **state)
{
    const char *const endless[] = { "/usr/bin/yes", NULL };
    cleanup(secret_free) struct secret output = { 0 };
    struct error error;

    (void)state;
    alarm(20);
    assert_int_equal(process_read(&(struct process){ .argv = endless }, 16, &output, &error), ERROR_USAGE);
    alarm(0);
    assert_null(output.bytes);
    assert_int_equal(process_read(&(struct process){ .argv = SHELL("printf 0123456789abcdef") }, 16, &output, &error),
                     0);
}

static void environment_is_ours_alone(void **state)
{
    const char *const mine[] = { "MINE=1", NULL };
    const char *const env[] = { "/usr/bin/env", NULL };

    (void)state;
    assert_return_code(setenv("LEAK", "secret", 1), 0);
    assert_output(&(struct process){ .argv = env }, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C.UTF-8\n");
    assert_output(&(struct process){ .argv = env, .environment = mine },
                  "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C.UTF-8\nMINE=1\n");
    unsetenv("LEAK");
}

static void files_are_not_inherited(void **state)
{
    cleanup(close_fd) int leak = open("/dev/null", O_RDONLY); /* no O_CLOEXEC: as a library would */
    char command[64];

    (void)state;
    assert_true(leak > STDERR_FILENO);
    snprintf(command, sizeof(command), "[ -e /proc/self/fd/%d ] || echo closed", leak);
    assert_output(&(struct process){ .argv = SHELL(command) }, "closed\n");
}

static void stdin_is_what_was_asked_for(void **state)
{
    char path[] = "/tmp/bootseal-stdin.XXXXXX";
    cleanup(close_fd) int fd = mkostemp(path, O_CLOEXEC);

    (void)state;
    assert_int_equal(write(fd, "typed\n", 6), 6);
    assert_output(&(struct process){ .argv = SHELL("cat") }, "");
    assert_output(&(struct process){ .argv = SHELL("cat"), .stdin_path = path }, "typed\n");
    assert_return_code(unlink(path), 0);
}

/* Results on stdout are the caller's to print. */
static void stdout_of_a_run_goes_to_stderr(void **state)
{
    cleanup(free_ptr) char *text = NULL;
    cleanup(free_ptr) char *lines = NULL;
    struct capture output, errors;
    struct error error;
    int r;

    (void)state;
    capture_start(&output, STDOUT_FILENO);
    capture_start(&errors, STDERR_FILENO);
    r = run(SHELL("echo out; echo err >&2"), &error);
    lines = capture_end(&errors);
    text = capture_end(&output);
    assert_int_equal(r, 0);
    assert_string_equal(text, "");
    assert_string_equal(lines, "out\nerr\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_status_is_told),
        cmocka_unit_test(what_cannot_be_started),
        cmocka_unit_test(output_is_read),
        cmocka_unit_test(output_of_a_failure_is_dropped),
        cmocka_unit_test(too_much_output_is_refused),
        cmocka_unit_test(environment_is_ours_alone),
        cmocka_unit_test(files_are_not_inherited),
        cmocka_unit_test(stdin_is_what_was_asked_for),
        cmocka_unit_test(stdout_of_a_run_goes_to_stderr),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
