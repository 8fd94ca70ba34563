#include "ask/plymouth.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char folder[64];
static char program[96];
static char record[96];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test-plymouth-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(program, sizeof(program), "%s/plymouth", folder);
    snprintf(record, sizeof(record), "%s/plymouth.record", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(program);
    unlink(record);
    return rmdir(folder);
}

/* Has a client, whose --ping ends with `ping`, show the text; returns its calls, one argument a line. */
static char *calls_of_show(const char *ping, const char *text)
{
    struct error error;
    char script[256], *calls;

    snprintf(script, sizeof(script),
             "#!/bin/sh\nprintf '%%s\\n' \"$@\" >>\"$0.record\"\n[ \"$1\" != --ping ] || exit %s\n", ping);
    assert_int_equal(file_write(program, script, strlen(script), 0755, &error), 0);
    plymouth_show(program, text);
    assert_int_equal(file_read(record, 4096, &calls, NULL, &error), 0);
    return calls;
}

static void shows_a_message_when_it_runs(void **state)
{
    cleanup(free_ptr) char *calls = calls_of_show("0", "The boot state differs");

    (void)state;
    assert_string_equal(calls, "--ping\ndisplay-message\n--text=The boot state differs\n");
}

static void shows_nothing_when_it_does_not_run(void **state)
{
    cleanup(free_ptr) char *calls = calls_of_show("1", "The boot state differs");

    (void)state;
    assert_string_equal(calls, "--ping\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shows_a_message_when_it_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(shows_nothing_when_it_does_not_run, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
