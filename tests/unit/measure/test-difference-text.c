#include "measure/difference-text.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_changed(enum component_kind kind, const char *before, const char *after, const char *wanted)
{
    struct component was = { kind, "", (char *)before }, is = { kind, "", (char *)after };
    struct difference difference = { .change = CHANGE_CHANGED, .kind = kind, .before = &was, .after = &is };
    cleanup(free_ptr) char *text = difference_text(&difference, false);

    assert_string_equal(text, wanted);
}

static void command_lines(void **state)
{
    (void)state;
    assert_changed(COMPONENT_KERNEL_COMMAND_LINE, "root=/dev/sda1 ro quiet", "root=/dev/sda1 ro init=/bin/sh",
                   "kernel command line: `quiet` became `init=/bin/sh`");
    assert_changed(COMPONENT_KERNEL_COMMAND_LINE, "a b", "a b c d", "kernel command line: `c d` was added");
    assert_changed(COMPONENT_KERNEL_COMMAND_LINE, "a b c", "c", "kernel command line: `a b` was taken away");
    assert_changed(COMPONENT_KERNEL_COMMAND_LINE, "a b c d", "x b y d",
                   "kernel command line: `a` became `x`, `c` became `y`");
    assert_changed(COMPONENT_KERNEL_COMMAND_LINE, "", "single", "kernel command line: `single` was added");
    assert_changed(COMPONENT_KERNEL_COMMAND_LINE, "single", "", "kernel command line: `single` was taken away");
    assert_changed(COMPONENT_KERNEL_COMMAND_LINE, "a", "a", "kernel command line: other content");
}

static void values(void **state)
{
    (void)state;
    assert_changed(COMPONENT_SECURE_BOOT, "on", "off", "Secure Boot: off (was on)");
    assert_changed(COMPONENT_SECURE_BOOT, "", "off", "Secure Boot: off (was nothing)");
    assert_changed(COMPONENT_SECURE_BOOT, "off", "off", "Secure Boot: other content");
    assert_changed(COMPONENT_PROGRAM, "PciRoot(0)", "PciRoot(1)", "the boot program: other content");
}

/* Long commands are told by what differs, short ones whole. */
static void commands(void **state)
{
    char before[256] = "linux /vmlinuz quiet ", after[256];

    (void)state;
    memset(before + strlen(before), 'x', 100);
    strcpy(after, before);
    memcpy(strstr(after, "quiet"), "debug", 5);
    assert_changed(COMPONENT_GRUB_COMMAND, before, after, "GRUB's command: `quiet` became `debug`");
    assert_changed(COMPONENT_GRUB_COMMAND, "[  ]", "[ 1>2 ]", "GRUB's command: `[  ]` became `[ 1>2 ]`");
}

/* More words than are told apart: the rest is one of them. */
static void endless(void **state)
{
    cleanup(free_ptr) char *before = malloc(8192), *after = malloc(8192);
    struct component was = { COMPONENT_KERNEL_COMMAND_LINE, "", before };
    struct component is = { COMPONENT_KERNEL_COMMAND_LINE, "", after };
    struct difference difference = { .change = CHANGE_CHANGED, .before = &was, .after = &is };
    cleanup(free_ptr) char *text = NULL;

    (void)state;
    for (size_t i = 0; i < 8190; i += 2) {
        memcpy(before + i, "a ", 3);
        memcpy(after + i, i == 8188 ? "b " : "a ", 3);
    }
    text = difference_text(&difference, false);
    assert_non_null(strstr(text, "became"));
}

static void appeared(void **state)
{
    struct component component = { COMPONENT_INITRD, "/initrd.img", "" };
    struct difference difference = { .change = CHANGE_APPEARED, .after = &component };
    cleanup(free_ptr) char *told = difference_text(&difference, false), *hidden = difference_text(&difference, true);

    (void)state;
    assert_string_equal(told, "appeared: the initrd /initrd.img");
    assert_non_null(strstr(hidden, "something else was measured"));
}

static void names_of_changes(void **state)
{
    (void)state;
    assert_string_equal(change_name(CHANGE_CHANGED), "changed");
    assert_string_equal(change_name(CHANGE_MOVED), "moved");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_lines), cmocka_unit_test(values),   cmocka_unit_test(commands),
        cmocka_unit_test(endless),       cmocka_unit_test(appeared), cmocka_unit_test(names_of_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
