#include "measure/component.h"

#include "base/cleanup.h"
#include "log-builder.h"
#include "measure/event-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct built_log *start(void)
{
    return built_log_start(1, (uint16_t[]){ HASH_SHA256 });
}

/* The last event's words. */
static char *last_words(const struct built_log *built, enum component_kind *kind)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    cleanup(component_list_free) struct component_list list = { 0 };
    struct error error;
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    built_log_parse(built, &log);
    assert_int_equal(component_list_read(&log, &list, &error), 0);
    assert_int_equal(list.count, log.count);
    component_put(stream, &list.items[list.count - 1]);
    assert_int_equal(fclose(stream), 0);
    *kind = list.items[list.count - 1].kind;
    return text;
}

static void assert_last(const struct built_log *built, enum component_kind wanted_kind, const char *wanted)
{
    enum component_kind kind;
    cleanup(free_ptr) char *text = last_words(built, &kind);

    assert_string_equal(text, wanted);
    assert_string_equal(component_kind_name(kind), component_kind_name(wanted_kind));
}

/* One event whose data are these bytes. */
static void assert_event(uint32_t pcr, uint32_t type, const char *data, size_t size, enum component_kind kind,
                         const char *wanted)
{
    struct built_log *built = start();

    built_log_add(built, pcr, type, (struct span){ data, size }, (struct span){ data, size });
    assert_last(built, kind, wanted);
}

#define ASSERT_EVENT(pcr, type, literal, kind, wanted)                                                                 \
    assert_event(pcr, type, literal, sizeof(literal) - 1, kind, wanted)

static void firmware(void **state)
{
    (void)state;
    ASSERT_EVENT(0, EVENT_S_CRTM_VERSION, "1\0.\0\0\0", COMPONENT_FIRMWARE, "the firmware's version: 1.");
    ASSERT_EVENT(0, EVENT_S_CRTM_VERSION, "\0\0", COMPONENT_FIRMWARE, "the firmware's version");
    ASSERT_EVENT(0, EVENT_S_CRTM_VERSION, "\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c",
                 COMPONENT_FIRMWARE, "the firmware's version: 8be4df61-93ca-11d2-aa0d-00e098032b8c");
    ASSERT_EVENT(0, EVENT_S_CRTM_CONTENTS, "", COMPONENT_FIRMWARE, "the firmware's first code");
    ASSERT_EVENT(0, EVENT_HCRTM, "HCRTM", COMPONENT_FIRMWARE,
                 "the firmware's first code, as the processor measured it");
    ASSERT_EVENT(0, EVENT_POST_CODE, "POST CODE", COMPONENT_FIRMWARE, "the firmware's POST CODE");
    ASSERT_EVENT(1, EVENT_CPU_MICROCODE, "x", COMPONENT_FIRMWARE, "the firmware's microcode for the processor");
    ASSERT_EVENT(1, EVENT_HANDOFF_TABLES, "", COMPONENT_FIRMWARE, "the firmware's tables for the operating system");
    ASSERT_EVENT(1, EVENT_HANDOFF_TABLES2, "", COMPONENT_FIRMWARE, "the firmware's tables for the operating system");
    ASSERT_EVENT(0, EVENT_FIRMWARE_BLOB, "\0\0\x82\0\0\0\0\0\0\x10\0\0\0\0\0\0", COMPONENT_FIRMWARE,
                 "the firmware's code at 0x820000: 4096 bytes");
    ASSERT_EVENT(0, EVENT_FIRMWARE_BLOB2,
                 "\x03"
                 "ABC\0\0\x82\0\0\0\0\0\0\x10\0\0\0\0\0\0",
                 COMPONENT_FIRMWARE, "the firmware's code ABC: 4096 bytes");
    ASSERT_EVENT(0, EVENT_NO_ACTION, "StartupLocality\0\x03", COMPONENT_NOTE,
                 "a note that is not measured: locality at which the TPM was started: 3");
    ASSERT_EVENT(0, EVENT_NO_ACTION, "SP800-155 Event", COMPONENT_NOTE,
                 "a note that is not measured: EV_NO_ACTION: 15 bytes");
    ASSERT_EVENT(4, EVENT_EFI_ACTION, "Calling EFI Application from Boot Option", COMPONENT_BOOT_STEP,
                 "the firmware: Calling EFI Application from Boot Option");
    ASSERT_EVENT(4, EVENT_ACTION, "Booting BCV", COMPONENT_BOOT_STEP, "the firmware: Booting BCV");
}

static void separators(void **state)
{
    (void)state;
    ASSERT_EVENT(7, EVENT_SEPARATOR, "\0\0\0\0", COMPONENT_SEPARATOR, "end of the firmware's own part");
    ASSERT_EVENT(7, EVENT_SEPARATOR, "\xff\xff\xff\xff", COMPONENT_SEPARATOR, "end of the firmware's own part");
    ASSERT_EVENT(7, EVENT_SEPARATOR, "\x01\0\0\0", COMPONENT_SEPARATOR,
                 "end of the firmware's own part: error 0x00000001");
    ASSERT_EVENT(7, EVENT_SEPARATOR, "\0\0\0", COMPONENT_OTHER, "an event of the type EV_SEPARATOR: 3 bytes");
    ASSERT_EVENT(7, EVENT_SEPARATOR, "\0\0\0\0\0", COMPONENT_OTHER, "an event of the type EV_SEPARATOR: 5 bytes");
}

static void variables(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_variable(built, 7, EVENT_VARIABLE_DRIVER_CONFIG, global_vendor, "SecureBoot",
                           (struct span){ "\1", 1 });
    assert_last(built, COMPONENT_SECURE_BOOT, "Secure Boot: on");
    built_log_add_variable(built, 7, EVENT_VARIABLE_DRIVER_CONFIG, database_vendor, "dbx", (struct span){ "", 0 });
    assert_last(built, COMPONENT_KEY_LIST, "Secure Boot's list dbx: empty");
    built_log_add_variable(built, 1, EVENT_VARIABLE_BOOT, global_vendor, "BootOrder", (struct span){ "\1\0", 2 });
    assert_last(built, COMPONENT_FIRMWARE_SETTING, "the firmware's setting BootOrder: 0001");
    built_log_add_variable(built, 1, EVENT_VARIABLE_BOOT2, global_vendor, "BootOrder", (struct span){ "\2\0", 2 });
    assert_last(built, COMPONENT_FIRMWARE_SETTING, "the firmware's setting BootOrder: 0002");
    built_log_add_variable(built, 7, EVENT_VARIABLE_AUTHORITY, shim_vendor, "SbatLevel", (struct span){ "sbat,1", 6 });
    assert_last(built, COMPONENT_OWNER_KEYS, "shim's SbatLevel: sbat,1");
    built_log_add_variable(built, 7, EVENT_VARIABLE_AUTHORITY, database_vendor, "db", (struct span){ "abc", 3 });
    assert_last(built, COMPONENT_AUTHORITY, "a program was verified by 3 bytes in db");
    built_log_add_text(built, 7, EVENT_VARIABLE_DRIVER_CONFIG, "SecureBoot", "");
    assert_last(built, COMPONENT_OTHER, "an event of the type EV_EFI_VARIABLE_DRIVER_CONFIG: 11 bytes");
}

static void programs(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_program(built, "\\EFI\\BOOT\\BOOTX64.EFI", "shim");
    assert_last(built, COMPONENT_PROGRAM, "the boot program \\EFI\\BOOT\\BOOTX64.EFI");
    built_log_add_program(built, NULL, "something");
    assert_last(built, COMPONENT_PROGRAM, "the boot program in memory");
    built_log_add_program(built, "\\vmlinuz-6.1", "kernel");
    assert_last(built, COMPONENT_KERNEL, "the kernel \\vmlinuz-6.1");
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: linux /boot/kernel root=/dev/sda1", "x");
    built_log_add_program(built, NULL, "kernel");
    assert_last(built, COMPONENT_KERNEL, "the kernel /boot/kernel");
    ASSERT_EVENT(4, EVENT_BOOT_SERVICES_APPLICATION, "short", COMPONENT_OTHER,
                 "an event of the type EV_EFI_BOOT_SERVICES_APPLICATION: 5 bytes");
}

static void grub(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_text(built, 9, EVENT_IPL, "(hd0,gpt2)/grub/grub.cfg", "");
    assert_last(built, COMPONENT_BOOT_FILE, "the file (hd0,gpt2)/grub/grub.cfg");
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: set default=0", "");
    assert_last(built, COMPONENT_GRUB_COMMAND, "GRUB's command: set default=0");
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: menuentry Debian GNU/Linux --class debian {\nlinux /v\n}", "");
    assert_last(built, COMPONENT_MENU_ENTRY, "GRUB's menu entry \"Debian GNU/Linux\"");
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: submenu Advanced {\n}", "");
    assert_last(built, COMPONENT_MENU_ENTRY, "GRUB's menu entry \"Advanced\"");
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: linux /kernel quiet", "");
    built_log_add_text(built, 9, EVENT_IPL, "/kernel", "");
    assert_last(built, COMPONENT_KERNEL, "the kernel /kernel");
    built_log_add_text(built, 8, EVENT_IPL, "kernel_cmdline: /kernel quiet", "");
    assert_last(built, COMPONENT_KERNEL_COMMAND_LINE, "kernel command line: /kernel quiet");
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: initrd /ucode.img /ramdisk", "");
    built_log_add_text(built, 9, EVENT_IPL, "/ucode.img", "");
    assert_last(built, COMPONENT_INITRD, "the initrd /ucode.img");
    built_log_add_text(built, 9, EVENT_IPL, "/ramdisk", "");
    assert_last(built, COMPONENT_INITRD, "the initrd /ramdisk");
    built_log_add_text(built, 9, EVENT_IPL, "/ramdis", "");
    assert_last(built, COMPONENT_BOOT_FILE, "the file /ramdis");
    built_log_add_text(built, 9, EVENT_IPL, "/boot/initrd.img-6.1.0-50-amd64", "");
    assert_last(built, COMPONENT_INITRD, "the initrd /boot/initrd.img-6.1.0-50-amd64");
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: echo a\nb\033[2J", "");
    assert_last(built, COMPONENT_GRUB_COMMAND, "GRUB's command: echo a\\nb\\x1b[2J");
    built_log_add_text(built, 14, EVENT_IPL, "MokList", "");
    assert_last(built, COMPONENT_OWNER_KEYS, "shim's MokList");
}

static void systemd(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_utf16(built, 12, EVENT_IPL, "initrd=\\initrd quiet");
    assert_last(built, COMPONENT_KERNEL_COMMAND_LINE, "kernel command line: initrd=\\initrd quiet");
    built_log_add_utf16(built, 8, EVENT_IPL, "quiet");
    assert_last(built, COMPONENT_KERNEL_COMMAND_LINE, "kernel command line: quiet");
    built_log_add_utf16(built, 11, EVENT_IPL, ".linux");
    assert_last(built, COMPONENT_IMAGE_SECTION, "the unified kernel image's section .linux");
    built_log_add_utf16(built, 12, EVENT_IPL, "Credentials initrd");
    assert_last(built, COMPONENT_EXTENSION, "beside the unified kernel image: Credentials initrd");
    built_log_add_utf16(built, 13, EVENT_IPL, "System extension initrd");
    assert_last(built, COMPONENT_EXTENSION, "beside the unified kernel image: System extension initrd");
    built_log_add_tag(built, 5, 0xf5bc582a, "loader.conf", "");
    assert_last(built, COMPONENT_LOADER_CONFIGURATION, "the boot loader's configuration (loader.conf)");
}

static void kernel_stub(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_tag(built, 9, 0x8f3b22ed, "LOADED_IMAGE::LoadOptions", "");
    assert_last(built, COMPONENT_LOAD_OPTIONS, "the kernel's load options");
    built_log_add_tag(built, 9, 0x8f3b22ec, "Linux initrd", "");
    assert_last(built, COMPONENT_INITRD, "the initrd");
    built_log_add_tag(built, 9, 0x12345678, "what", "");
    assert_last(built, COMPONENT_OTHER, "an event of the type EV_EVENT_TAG: 13 bytes");
    ASSERT_EVENT(9, EVENT_TAG, "\xec\x22\x3b\x8f\xff\xff\xff\xff", COMPONENT_OTHER,
                 "an event of the type EV_EVENT_TAG: 8 bytes");
}

/* What nobody here understands keeps its type. */
static void others(void **state)
{
    (void)state;
    ASSERT_EVENT(2, EVENT_NONHOST_CODE, "x", COMPONENT_OTHER, "an event of the type EV_NONHOST_CODE: 1 bytes");
    ASSERT_EVENT(6, 0x12345678, "", COMPONENT_OTHER, "an event of the type 0x12345678");
    ASSERT_EVENT(5, EVENT_IPL, "what", COMPONENT_OTHER, "an event of the type EV_IPL: 4 bytes");
    ASSERT_EVENT(9, EVENT_IPL, "", COMPONENT_OTHER, "an event of the type EV_IPL");
    ASSERT_EVENT(11, EVENT_IPL, "sections", COMPONENT_OTHER, "an event of the type EV_IPL: 8 bytes");
}

/* Any type over any PCR with any bytes of any length: words, and never more than its own bytes are read. */
static void every_type_cut(void **state)
{
    static const uint8_t bytes[96] = { 0x20, 0, 0, 0, 4, 0, 0, 0, 1 };

    (void)state;
    for (uint32_t low = 0; low < 0x14; low++)
        for (int high = 0; high < 2; high++)
            for (size_t size = 0; size < sizeof(bytes); size++) {
                enum component_kind kind;
                struct built_log *built = start();
                cleanup(free_ptr) char *text = NULL;

                built_log_add(built, low % 16, high ? 0x80000000 + low : low, (struct span){ bytes, size },
                              (struct span){ bytes, size });
                text = last_words(built, &kind);
                assert_int_not_equal(text[0], '\0');
            }
}

static void recorded(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECORDED_LOGS; i++) {
        cleanup(event_log_free) struct event_log log = { 0 };
        cleanup(component_list_free) struct component_list list = { 0 };
        struct error error;

        assert_int_equal(event_log_read(recorded_path(recorded_logs[i], "bin"), &log, &error), 0);
        assert_int_equal(component_list_read(&log, &list, &error), 0);
        for (size_t j = 0; j < list.count; j++)
            assert_int_not_equal(list.items[j].kind, COMPONENT_OTHER);
    }
}

static void kind_names(void **state)
{
    (void)state;
    for (int a = 0; a < COMPONENT_KIND_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(component_kind_name((enum component_kind)a),
                                    component_kind_name((enum component_kind)b));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firmware),    cmocka_unit_test(separators), cmocka_unit_test(variables),
        cmocka_unit_test(programs),    cmocka_unit_test(grub),       cmocka_unit_test(systemd),
        cmocka_unit_test(kernel_stub), cmocka_unit_test(others),     cmocka_unit_test(every_type_cut),
        cmocka_unit_test(recorded),    cmocka_unit_test(kind_names),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
