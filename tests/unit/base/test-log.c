#include "base/log.h"

#include "base/cleanup.h"
#include "capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void say_everything(void)
{
    struct error error;

    log_info("info %d", 1);
    log_verbose("verbose %d", 2);
    log_warning("warning %d", 3);
    error_set(&error, ERROR_LOCKOUT, "cause");
    assert_int_equal(log_error(&error), ERROR_LOCKOUT);
    error_remedy(&error, "wait");
    assert_int_equal(log_error(&error), ERROR_LOCKOUT);
}

static void assert_lines(enum log_level level, const char *prefix, const char *lines)
{
    cleanup(free_ptr) char *text = NULL;
    struct capture capture;

    log_setup(level, prefix);
    capture_start(&capture, STDERR_FILENO);
    say_everything();
    text = capture_end(&capture);
    log_setup(LOG_NORMAL, "bootseal");
    assert_string_equal(text, lines);
}

static void levels(void **state)
{
    (void)state;
    assert_lines(LOG_QUIET, "a", "a: warning: warning 3\na: cause\na: cause\na: what to do: wait\n");
    assert_lines(LOG_NORMAL, "b", "b: info 1\nb: warning: warning 3\nb: cause\nb: cause\nb: what to do: wait\n");
    assert_lines(LOG_VERBOSE, "c",
                 "c: info 1\nc: verbose 2\nc: warning: warning 3\nc: cause\nc: cause\nc: what to do: wait\n");
}

static void stdout_is_for_results(void **state)
{
    cleanup(free_ptr) char *text = NULL;
    cleanup(free_ptr) char *lines = NULL;
    struct capture output, errors;

    (void)state;
    capture_start(&output, STDOUT_FILENO);
    capture_start(&errors, STDERR_FILENO);
    say_everything();
    lines = capture_end(&errors);
    text = capture_end(&output);
    assert_string_equal(text, "");
    assert_non_null(strstr(lines, "bootseal: info 1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels),
        cmocka_unit_test(stdout_is_for_results),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
