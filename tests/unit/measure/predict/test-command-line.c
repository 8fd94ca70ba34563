#include "measure/predict/command-line.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void gives_shell(void **state)
{
    static const char *const words[] = {
        "single",
        "1",
        "s",
        "S",
        "-s",
        "-b",
        "rescue",
        "emergency",
        "rd.rescue",
        "rd.emergency",
        "recovery",
        "init=/bin/sh",
        "init=/bin/bash",
        "init=",
        "rdinit=/bin/sh",
        "break",
        "break=premount",
        "break=",
        "rd.break",
        "rd.break=pre-mount",
        "rd.shell",
        "rd.shell=1",
        "rdbreak",
        "rdshell",
        "systemd.debug_shell",
        "systemd.debug-shell",
        "systemd.debug_shell=1",
        "systemd.debug_shell=ttyS0",
        "rd.systemd.debug_shell",
        "systemd.unit=rescue.target",
        "systemd.unit=emergency.target",
        "systemd.unit=emergency.service",
        "rd.systemd.unit=emergency.target",
        "systemd.wants=debug-shell.service",
        "systemd.crash_shell=yes",
        "systemd.run=/bin/true",
        "systemd.unit=runlevel1.target",
        "SYSTEMD_SULOGIN_FORCE=1",
        "init=\"/bin/sh\"",
        "\"init=/bin/sh\"",
        "\"break\"",
        "systemd.unit=\"rescue.target\"",
    };
    char line[256], found[COMMAND_LINE_WORD];

    (void)state;
    for (size_t i = 0; i < array_size(words); i++) {
        snprintf(line, sizeof line, "root=/dev/sda1 ro\t%s quiet", words[i]);
        if (!command_line_gives_shell(line, found))
            fail_msg("%s", words[i]);
        assert_true(command_line_gives_shell(words[i], found));
        assert_true(found[0] != '\0' && !strchr(found, '"'));
    }
}

static void gives_none(void **state)
{
    static const char *const lines[] = {
        "",
        "  ",
        "root=UUID=86e224d5-2e88-4382-a7fc-a3a8681dcd50 ro console=ttyS0 quiet splash",
        "init=/sbin/init rdinit=/init",
        "init=/lib/systemd/systemd systemd.unit=multi-user.target rd.systemd.unit=initrd.target",
        "rd.shell=0 rd.break=0 systemd.debug_shell=no",
        "singles rescues 11 initcall_debug breakpoint=1 panic=1 nobreak",
        "systemd.unit=graphical.target 3 5",
        "emergency_ports=1",
    };
    char found[COMMAND_LINE_WORD];

    (void)state;
    for (size_t i = 0; i < array_size(lines); i++)
        if (command_line_gives_shell(lines[i], found))
            fail_msg("%s: %s", lines[i], found);
}

/* A word in the middle of a quoted value is one for initramfs-tools. */
static void quotes_join_nothing(void **state)
{
    char found[COMMAND_LINE_WORD];

    (void)state;
    assert_true(command_line_gives_shell("note=\"a break in it\"", found));
    assert_string_equal(found, "break");
}

static void long_words(void **state)
{
    char line[10000], found[COMMAND_LINE_WORD];

    (void)state;
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    assert_false(command_line_gives_shell(line, found));
    memcpy(line, "init=/", 6);
    assert_true(command_line_gives_shell(line, found));
    assert_int_equal(strlen(found), COMMAND_LINE_WORD - 1);
    memcpy(line + 9000, " single ", 8);
    memcpy(line, "note=/", 6);
    assert_true(command_line_gives_shell(line, found));
    assert_string_equal(found, "single");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_shell),
        cmocka_unit_test(gives_none),
        cmocka_unit_test(quotes_join_nothing),
        cmocka_unit_test(long_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
