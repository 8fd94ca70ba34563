#include "measure/event-check.h"

#include "base/cleanup.h"
#include "log-builder.h"
#include "measure/event-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct built_log *start(void)
{
    return built_log_start(2, (uint16_t[]){ HASH_SHA1, HASH_SHA256 });
}

static void assert_last(const struct built_log *built, enum event_check wanted)
{
    cleanup(event_log_free) struct event_log log = { 0 };

    built_log_parse(built, &log);
    assert_int_equal(event_check(&log, &log.events[log.count - 1]), wanted);
}

static void texts(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: echo", "echo");
    assert_last(built, EVENT_CHECK_PROVEN);
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: echo", "reboot");
    assert_last(built, EVENT_CHECK_DIFFERS);
    built_log_add_text(built, 8, EVENT_IPL, "kernel_cmdline: quiet", "quiet");
    assert_last(built, EVENT_CHECK_PROVEN);
    built_log_add_text(built, 8, EVENT_IPL, "kernel_cmdline: quiet", "init=/bin/sh");
    assert_last(built, EVENT_CHECK_DIFFERS);
    built_log_add_text(built, 9, EVENT_IPL, "/initrd.img", "its content");
    assert_last(built, EVENT_CHECK_NONE);
    built_log_add_utf16(built, 12, EVENT_IPL, "quiet");
    assert_last(built, EVENT_CHECK_PROVEN);
    built_log_add(built, 12, EVENT_IPL, (struct span){ "q\0\0\0", 4 }, (struct span){ "q", 2 });
    assert_last(built, EVENT_CHECK_PROVEN); /* without its NUL */
    built_log_add(built, 12, EVENT_IPL, (struct span){ "q\0\0\0r\0", 6 }, (struct span){ "q\0\0\0r\0", 6 });
    assert_last(built, EVENT_CHECK_DIFFERS); /* what is behind the NUL is not shown */
    built_log_add(built, 8, EVENT_IPL, (struct span){ "grub_cmd: a\0b", 13 }, (struct span){ "a\0b", 3 });
    assert_last(built, EVENT_CHECK_DIFFERS);
    built_log_add(built, 12, EVENT_IPL, (struct span){ "q\0\0\0", 4 }, (struct span){ "r", 2 });
    assert_last(built, EVENT_CHECK_DIFFERS);
}

static void firmware(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add(built, 7, EVENT_SEPARATOR, (struct span){ "\0\0\0", 4 }, (struct span){ "\0\0\0", 4 });
    assert_last(built, EVENT_CHECK_PROVEN);
    built_log_add(built, 7, EVENT_SEPARATOR, (struct span){ "\0\0\0", 4 }, (struct span){ "\1\0\0", 4 });
    assert_last(built, EVENT_CHECK_DIFFERS);
    built_log_add_variable(built, 7, EVENT_VARIABLE_DRIVER_CONFIG, global_vendor, "SecureBoot",
                           (struct span){ "\1", 1 });
    assert_last(built, EVENT_CHECK_PROVEN);
    built_log_add_variable(built, 1, EVENT_VARIABLE_BOOT, global_vendor, "BootOrder", (struct span){ "\1\0", 2 });
    assert_last(built, EVENT_CHECK_PROVEN);
    built_log_add_program(built, "\\a", "a");
    assert_last(built, EVENT_CHECK_NONE);
    built_log_add_text(built, 0, EVENT_FIRMWARE_BLOB, "whatever", "code");
    assert_last(built, EVENT_CHECK_NONE);
    built_log_add_text(built, 0, EVENT_NO_ACTION, "a note", "");
    assert_last(built, EVENT_CHECK_NONE);
}

/* In real logs everything that can be checked holds, and there is much of it. */
static void recorded(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECORDED_LOGS; i++) {
        cleanup(event_log_free) struct event_log log = { 0 };
        struct error error;
        size_t proven = 0;

        assert_int_equal(event_log_read(recorded_path(recorded_logs[i], "bin"), &log, &error), 0);
        for (size_t j = 0; j < log.count; j++) {
            assert_int_not_equal(event_check(&log, &log.events[j]), EVENT_CHECK_DIFFERS);
            proven += event_check(&log, &log.events[j]) == EVENT_CHECK_PROVEN;
        }
        assert_true(proven > log.count / 2);
    }
}

static void banks(void **state)
{
    cleanup(event_log_free) struct event_log both = { 0 }, sha1 = { 0 }, sha384 = { 0 }, cut = { 0 };
    struct built_log *built = start();

    (void)state;
    built_log_parse(built, &both);
    built->bank_count = 1;
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: echo", "echo"); /* SHA-1 alone */
    built_log_parse(built, &cut);
    built_log_parse(built_log_start(1, (uint16_t[]){ HASH_SHA1 }), &sha1);
    built_log_parse(built_log_start(1, (uint16_t[]){ HASH_SHA384 }), &sha384);
    assert_int_equal(event_log_best_bank(&both, NULL), 1);
    assert_int_equal(event_log_best_bank(&both, &sha1), 0);
    assert_int_equal(event_log_best_bank(&both, &sha384), -1);
    assert_int_equal(event_log_best_bank(&sha384, NULL), 0);
    assert_int_equal(event_log_best_bank(&cut, NULL), 0);
    assert_int_equal(event_log_best_bank(&both, &cut), 0);
    assert_int_equal(event_check(&cut, &cut.events[0]), EVENT_CHECK_PROVEN);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(firmware),
        cmocka_unit_test(recorded),
        cmocka_unit_test(banks),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
