#include "measure/compare.h"

#include "base/cleanup.h"
#include "log-builder.h"
#include "measure/event-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Two boots and what differs. */
struct boots {
    struct event_log logs[2];
    struct component_list components[2];
    struct comparison comparison;
};

static void free_boots(struct boots *boots)
{
    comparison_free(&boots->comparison);
    for (int i = 0; i < 2; i++) {
        component_list_free(&boots->components[i]);
        event_log_free(&boots->logs[i]);
    }
}

static int compare(struct boots *boots, struct error *error)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(component_list_read(&boots->logs[i], &boots->components[i], error), 0);
    return event_log_compare(&(struct compared_log){ &boots->logs[0], &boots->components[0] },
                             &(struct compared_log){ &boots->logs[1], &boots->components[1] }, &boots->comparison,
                             error);
}

/* The differences as lines "PCR text", which must be these. */
static void assert_lines(const struct comparison *comparison, const char *wanted)
{
    cleanup(free_ptr) char *lines = NULL;
    size_t size;
    FILE *stream = open_memstream(&lines, &size);

    for (size_t i = 0; i < comparison->count; i++)
        fprintf(stream, "%u %s\n", comparison->items[i].pcr, comparison->items[i].text);
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(lines, wanted);
}

static struct built_log *start(void)
{
    return built_log_start(1, (uint16_t[]){ HASH_SHA256 });
}

/* One text of GRUB's per line: the PCR, a letter that stands for the content ("=": the text itself), the text. */
static void build(const char *lines, struct event_log *ret)
{
    struct built_log *built = start();
    char text[256], content[2] = "";
    unsigned pcr;
    int length;

    while (sscanf(lines, "%u %1s %255[^\n]%n", &pcr, content, text, &length) == 3) {
        const char *hashed = strncmp(text, "grub_cmd: ", 10) == 0 ? text + 10 : text;

        built_log_add_text(built, pcr, EVENT_IPL, text, content[0] == '=' ? hashed : content);
        lines += length + (lines[length] == '\n');
    }
    built_log_parse(built, ret);
}

static void assert_texts(const char *before, const char *after, const char *wanted)
{
    cleanup(free_boots) struct boots boots = { 0 };
    struct error error;

    build(before, &boots.logs[0]);
    build(after, &boots.logs[1]);
    assert_int_equal(compare(&boots, &error), 0);
    assert_lines(&boots.comparison, wanted);
}

static void alike(void **state)
{
    (void)state;
    assert_texts("", "", "");
    assert_texts("9 a /initrd.img\n", "9 a /initrd.img\n", "");
}

static void changed(void **state)
{
    (void)state;
    assert_texts("9 a /initrd.img\n", "9 b /initrd.img\n", "9 the initrd /initrd.img: other content\n");
    assert_texts("9 a /vmlinuz-1\n9 c /initrd.img-1\n", "9 b /vmlinuz-2\n9 d /initrd.img-2\n",
                 "9 the kernel: `/vmlinuz-1` became `/vmlinuz-2`\n"
                 "9 the initrd: `/initrd.img-1` became `/initrd.img-2`\n");
    assert_texts("8 = grub_cmd: set default=0\n", "8 = grub_cmd: set default=1\n",
                 "8 GRUB's command: `set default=0` became `set default=1`\n");
}

static void appeared_and_went(void **state)
{
    (void)state;
    assert_texts("", "9 a /initrd.img\n", "9 appeared: the initrd /initrd.img\n");
    assert_texts("9 a /initrd.img\n", "", "9 went: the initrd /initrd.img\n");
    assert_texts("9 a (hd0)/a.lst\n9 b (hd0)/b.lst\n9 c (hd0)/c.lst\n", "9 b (hd0)/b.lst\n9 d (hd0)/d.lst\n",
                 "9 went: the file (hd0)/a.lst\n9 went: the file (hd0)/c.lst\n9 appeared: the file (hd0)/d.lst\n");
}

/* A command that is one more is no change of the ones around it. */
static void commands_keep_their_place(void **state)
{
    (void)state;
    assert_texts("8 = grub_cmd: set a=1\n8 = grub_cmd: echo x\n8 = grub_cmd: set b=1\n",
                 "8 = grub_cmd: set a=2\n8 = grub_cmd: echo x\n8 = grub_cmd: set a=1\n8 = grub_cmd: set b=1\n",
                 "8 appeared: GRUB's command: set a=2\n8 moved: GRUB's command: set a=1\n");
    assert_texts("8 = grub_cmd: echo a\n8 = grub_cmd: normal\n", "8 = grub_cmd: normal\n8 = grub_cmd: echo b\n",
                 "8 went: GRUB's command: echo a\n8 appeared: GRUB's command: echo b\n");
}

static void moved(void **state)
{
    (void)state;
    assert_texts("9 a (hd0)/a\n9 b (hd0)/b\n9 c (hd0)/c\n", "9 b (hd0)/b\n9 c (hd0)/c\n9 a (hd0)/a\n",
                 "9 moved: the file (hd0)/a\n");
}

/* Measured twice and changed twice: told once. */
static void told_once(void **state)
{
    (void)state;
    assert_texts("9 a (hd0)/grubenv\n9 a (hd0)/grubenv\n", "9 b (hd0)/grubenv\n9 b (hd0)/grubenv\n",
                 "9 the file (hd0)/grubenv: other content\n");
}

static void by_pcr(void **state)
{
    (void)state;
    assert_texts("9 a /initrd\n8 = grub_cmd: a\n", "8 = grub_cmd: b\n9 b /initrd\n",
                 "8 went: GRUB's command: a\n8 appeared: GRUB's command: b\n9 the initrd /initrd: other content\n");
    assert_texts("8 = grub_cmd: a\n9 b /initrd\n", "9 b /initrd\n8 = grub_cmd: a\n", ""); /* order of PCRs is none */
}

/* The log says the same; the digest does not. */
static void hidden(void **state)
{
    cleanup(free_boots) struct boots boots = { 0 };
    struct built_log *built = start();
    struct error error;

    (void)state;
    built_log_add_text(built, 8, EVENT_IPL, "kernel_cmdline: quiet", "quiet");
    built_log_parse(built, &boots.logs[0]);
    built = start();
    built_log_add_text(built, 8, EVENT_IPL, "kernel_cmdline: quiet", "init=/bin/sh");
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: echo", "reboot");
    built_log_parse(built, &boots.logs[1]);
    assert_int_equal(compare(&boots, &error), 0);
    assert_lines(&boots.comparison,
                 "8 kernel command line: other content than the event log says\n"
                 "8 appeared: GRUB's command: echo (so the event log says, but something else was measured)\n");
}

static void notes_are_not_measured(void **state)
{
    cleanup(free_boots) struct boots boots = { 0 };
    struct built_log *built = start();
    struct error error;

    (void)state;
    built_log_parse(built, &boots.logs[0]);
    built_log_add_text(built, 4, EVENT_NO_ACTION, "a note", "a note");
    built_log_parse(built, &boots.logs[1]);
    assert_int_equal(compare(&boots, &error), 0);
    assert_int_equal(boots.comparison.count, 0);
}

/* It is no event that is extended, but PCR 0 starts at it. */
static void locality(void **state)
{
    cleanup(free_boots) struct boots boots = { 0 };
    struct built_log *built = start();
    struct error error;

    (void)state;
    built_log_parse(built, &boots.logs[0]);
    built_log_add(built, 0, EVENT_NO_ACTION, (struct span){ "StartupLocality\0\3", 17 }, (struct span){ "", 0 });
    built_log_parse(built, &boots.logs[1]);
    assert_int_equal(compare(&boots, &error), 0);
    assert_lines(&boots.comparison, "0 the locality at which the TPM was started: 3 (was 0)\n");
}

static void no_bank_in_common(void **state)
{
    cleanup(free_boots) struct boots boots = { 0 };
    struct error error = { 0 };

    (void)state;
    built_log_parse(built_log_start(1, (uint16_t[]){ HASH_SHA1 }), &boots.logs[0]);
    built_log_parse(start(), &boots.logs[1]);
    assert_int_equal(compare(&boots, &error), ERROR_USAGE);
    assert_non_null(strstr(error.text, "no bank in common"));
}

/* The old form against the new: SHA-1 is what both have. */
static void both_forms(void **state)
{
    cleanup(free_boots) struct boots boots = { 0 };
    struct built_log *built = built_log_start(0, NULL);
    struct error error;

    (void)state;
    built_log_add_text(built, 9, EVENT_IPL, "/initrd.img", "one");
    built_log_parse(built, &boots.logs[0]);
    built = built_log_start(2, (uint16_t[]){ HASH_SHA256, HASH_SHA1 });
    built_log_add_text(built, 9, EVENT_IPL, "/initrd.img", "two");
    built_log_parse(built, &boots.logs[1]);
    assert_int_equal(compare(&boots, &error), 0);
    assert_int_equal(boots.comparison.bank, HASH_SHA1);
    assert_lines(&boots.comparison, "9 the initrd /initrd.img: other content\n");
}

/* Compares two recorded logs. */
static void read_boots(struct boots *boots, size_t before, size_t after)
{
    struct error error;

    assert_int_equal(event_log_read(recorded_path(recorded_logs[before], "bin"), &boots->logs[0], &error), 0);
    assert_int_equal(event_log_read(recorded_path(recorded_logs[after], "bin"), &boots->logs[1], &error), 0);
    assert_int_equal(compare(boots, &error), 0);
}

/* Real boots: the other kernel by grub-reboot. */
static void recorded_other_kernel(void **state)
{
    cleanup(free_boots) struct boots boots = { 0 };
    uint32_t pcrs = 0;

    (void)state;
    read_boots(&boots, 2, 3);
    for (size_t i = 0; i < boots.comparison.count; i++)
        pcrs |= 1u << boots.comparison.items[i].pcr;
    assert_int_equal(pcrs, 1u << 4 | 1u << 8 | 1u << 9);
    assert_string_equal(boots.comparison.items[0].text,
                        "the kernel: `/vmlinuz-6.1.0-56-cloud-amd64` became `/vmlinuz-6.1.0-53-cloud-amd64`");
}

static void recorded_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECORDED_LOGS; i++) {
        cleanup(free_boots) struct boots boots = { 0 };

        read_boots(&boots, i, i);
        assert_int_equal(boots.comparison.count, 0);
    }
}

static void recorded_secure_boot_off(void **state)
{
    cleanup(free_boots) struct boots boots = { 0 };
    bool found = false;

    (void)state;
    read_boots(&boots, 0, 1);
    for (size_t i = 0; i < boots.comparison.count; i++) {
        const struct difference *difference = &boots.comparison.items[i];

        if (difference->kind == COMPONENT_SECURE_BOOT) {
            found = true;
            assert_int_equal(difference->pcr, 7);
            assert_int_equal(difference->change, CHANGE_CHANGED);
            assert_string_equal(difference->before->value, "on");
            assert_string_equal(difference->text, "Secure Boot: off (was on)");
        }
    }
    assert_true(found);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alike),
        cmocka_unit_test(changed),
        cmocka_unit_test(appeared_and_went),
        cmocka_unit_test(commands_keep_their_place),
        cmocka_unit_test(moved),
        cmocka_unit_test(told_once),
        cmocka_unit_test(by_pcr),
        cmocka_unit_test(hidden),
        cmocka_unit_test(notes_are_not_measured),
        cmocka_unit_test(locality),
        cmocka_unit_test(no_bank_in_common),
        cmocka_unit_test(both_forms),
        cmocka_unit_test(recorded_other_kernel),
        cmocka_unit_test(recorded_alike),
        cmocka_unit_test(recorded_secure_boot_off),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
