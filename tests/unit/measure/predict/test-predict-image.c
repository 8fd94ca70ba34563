#include "measure/predict/predict.h"

#include "base/cleanup.h"
#include "grub-machine.h"
#include "log-builder.h"
#include "measure/event-type.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SYSTEMD_BOOT_LOG "debian12-systemd-boot"
#define ENTRY "title Debian\nversion 6.1.0-50-amd64\nlinux /vmlinuz\ninitrd /initrd\noptions "
#define OPTIONS "console=ttyS0 quiet break=top" /* of the recorded boot */

static struct made_image loader, kernel, unified;

static void predict(const struct scratch_machine *scratch, struct prediction *ret)
{
    struct error error = { 0 };

    if (predict_boots(&scratch->machine, ret, &error))
        fail_msg("%s", error.text);
}

static void write_text(const struct scratch_machine *scratch, const char *path, const char *text)
{
    machine_write(scratch, path, text, strlen(text));
}

/* The recorded boot's machine, with a made-up kernel and initrd. */
static void start_systemd_boot(struct scratch_machine *scratch)
{
    scratch_machine_start(scratch, SYSTEMD_BOOT_LOG);
    made_start(&loader);
    made_add(&loader, ".sdmagic", MADE_LOADER, sizeof(MADE_LOADER));
    made_write(&loader, scratch->esp, "/EFI/BOOT/BOOTX64.EFI", NULL);
    made_kernel(&kernel, "6.1.0-50-amd64 (debian)");
    made_write(&kernel, scratch->esp, "/vmlinuz", NULL);
    write_text(scratch, "esp/initrd", "initrd");
    write_text(scratch, "esp/loader/loader.conf", "default debian.conf\n");
    write_text(scratch, "esp/loader/entries/debian.conf", ENTRY OPTIONS "\n");
    write_text(scratch, "esp/loader/entries/other.conf",
               "title Other\nversion 6.1.0-49-amd64\nlinux /vmlinuz\noptions quiet\n");
}

static const struct predicted_boot *find(const struct prediction *prediction, const char *id)
{
    for (size_t i = 0; i < prediction->count; i++)
        if (strcmp(prediction->boots[i].id, id) == 0)
            return &prediction->boots[i];
    fail_msg("no boot \"%s\" was predicted: %s", id, prediction->boots[0].unknown[4]);
    return NULL;
}

/* All but kernel (4) and initrd (9) as it was. */
static void systemd_boot(void **state)
{
    static const uint32_t same = 0xefu | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14;
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    const struct predicted_boot *boot;
    struct pcr_values recorded;

    (void)state;
    start_systemd_boot(&scratch);
    predict(&scratch, &prediction);
    assert_int_equal(prediction.chain, CHAIN_SYSTEMD_BOOT);
    boot = find(&prediction, "debian.conf");
    for (unsigned pcr = 0; pcr < 10; pcr++)
        if (boot->unknown[pcr])
            fail_msg("PCR %u: %s", pcr, boot->unknown[pcr]);
    read_recorded(SYSTEMD_BOOT_LOG, &recorded);
    assert_int_equal(pcr_values_differ(&recorded, &boot->values, same & recorded.mask), 0);
    assert_int_not_equal(pcr_values_differ(&recorded, &boot->values, 1u << 4), 0);
    assert_int_not_equal(pcr_values_differ(&recorded, &boot->values, 1u << 9), 0);
    assert_true(boot->shell); /* break=top */
    assert_string_equal(boot->label, "linux 6.1.0-50-amd64");
    assert_int_equal(boot->initrd_count, 1);
    assert_false(find(&prediction, "other.conf")->shell);
}

/* The name of a boot makes room for what comes before it, and ends with a whole character. */
static void long_label(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    struct variable_stages stages = { .count = 1, .items[0] = { .steps = { "dbx" }, .step_count = 1 } };
    struct error error = { 0 };

    (void)state;
    start_systemd_boot(&scratch);
    write_text(&scratch, "esp/loader/entries/debian.conf",
               "title Debian\nversion 6.1.0-50-of-a-very-long-name-with-some-dot\u00b7and-more\nlinux /vmlinuz\n");
    if (predict_stages(&scratch.machine, &stages, &prediction, &error))
        fail_msg("%s", error.text);
    assert_string_equal(find(&prediction, "debian.conf")->label,
                        "linux 6.1.0-50-of-a-very-long-name-with-some-dot..., after dbx");
    assert_string_equal(find(&prediction, "other.conf")->label, "linux 6.1.0-49-amd64, after dbx");
}

static void choice(void **state)
{
    static const char other[] = "o\0t\0h\0e\0r\0.\0c\0o\0n\0f\0\0"; /* and one NUL more */
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    start_systemd_boot(&scratch);
    predict(&scratch, &prediction);
    assert_true(find(&prediction, "debian.conf")->chosen);
    assert_false(find(&prediction, "other.conf")->chosen);
    prediction_free(&prediction);
    scratch_set_variable(&scratch, vendor_loader, "LoaderEntryOneShot", other, sizeof(other));
    predict(&scratch, &prediction);
    assert_true(find(&prediction, "other.conf")->chosen);
    assert_int_equal(find(&prediction, "other.conf")->step, 0);
    assert_true(find(&prediction, "debian.conf")->chosen);
    assert_int_equal(find(&prediction, "debian.conf")->step, 1);
}

static void another_systemd_boot(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    start_systemd_boot(&scratch);
    write_text(&scratch, "esp/EFI/BOOT/BOOTX64.EFI", "#### LoaderInfo: systemd-boot 999 ####");
    predict(&scratch, &prediction);
    assert_int_equal(prediction.count, 1);
    assert_true(prediction.boots[0].chosen);
    assert_non_null(prediction.boots[0].unknown[4]);
    assert_non_null(prediction.boots[0].unknown[12]);
    assert_null(prediction.boots[0].unknown[5]);
}

/* A machine whose firmware starts a unified kernel image, which is the file of both names. */
static void start_unified_as(struct scratch_machine *scratch, const char *name, const char *path)
{
    struct built_log *built = built_log_start(1, (uint16_t[]){ HASH_SHA256 });

    built_log_add_text(built, 4, EVENT_EFI_ACTION, "Calling EFI Application from Boot Option",
                       "Calling EFI Application from Boot Option");
    built_log_add_program(built, name, "image");
    built_log_add_utf16(built, 11, EVENT_IPL, ".linux");
    built_log_add_tag(built, 9, 0x8f3b22ed, "LOADED_IMAGE::LoadOptions", "");
    scratch_machine_start_built(scratch, built);
    made_kernel(&kernel, "6.1.0-50-amd64 (debian)");
    made_unified(&unified, MADE_STUB, &kernel);
    made_write(&unified, scratch->esp, path, NULL);
    scratch_set_option(scratch, 7, name);
    scratch_set_option(scratch, 8, "\\EFI\\Linux\\other.efi");
    scratch_set_variable(scratch, vendor_global, "BootOrder", "\7\0\10\0", 4);
    scratch_set_number(scratch, "BootCurrent", 7);
}

static void start_unified(struct scratch_machine *scratch)
{
    start_unified_as(scratch, "\\EFI\\Linux\\debian.efi", "/EFI/Linux/debian.efi");
}

static void unified_image(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    const struct predicted_boot *boot;

    (void)state;
    start_unified(&scratch);
    predict(&scratch, &prediction);
    assert_int_equal(prediction.chain, CHAIN_UKI);
    boot = find(&prediction, "Boot0007");
    assert_true(boot->chosen);
    assert_string_equal(boot->title, "x");
    for (unsigned pcr = 0; pcr < 9; pcr++)
        if (boot->unknown[pcr])
            fail_msg("PCR %u: %s", pcr, boot->unknown[pcr]);
    assert_null(boot->unknown[11]);
    assert_false(pcr_value_is_reset(&boot->values, 11));
    boot = find(&prediction, "Boot0008"); /* its file is not there */
    assert_false(boot->chosen);
    assert_non_null(strstr(boot->unknown[4], "other.efi"));
}

static void the_firmwares_next_entry(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    start_unified(&scratch);
    made_write(&unified, scratch.esp, "/EFI/Linux/other.efi", NULL);
    scratch_set_number(&scratch, "BootNext", 8);
    predict(&scratch, &prediction);
    assert_true(find(&prediction, "Boot0008")->chosen);
    assert_int_equal(find(&prediction, "Boot0008")->step, 0);
    assert_true(find(&prediction, "Boot0008")->values.mask & 1u << 4);
    assert_true(find(&prediction, "Boot0007")->chosen);
    assert_int_equal(find(&prediction, "Boot0007")->step, 1);
    prediction_free(&prediction);
    scratch_set_number(&scratch, "BootNext", 9); /* which there is not */
    predict(&scratch, &prediction);
    assert_true(prediction.boots[0].chosen);
    assert_non_null(strstr(prediction.boots[0].unknown[11], "it cannot be told"));
}

/* As EDK2 makes it by itself: active, "disk", the path PciRoot(0)/Pci(3,0), its mark as the optional data. */
static const uint8_t disk_option[] = {
    1,  0, 0,    0,    22,   0,    'd',  0,    'i',  0,    's',  0,    'k',  0,    0,    0,    2,    1,
    12, 0, 0xd0, 0x41, 3,    0x0a, 0,    0,    0,    0,    1,    1,    6,    0,    0,    3,    0x7f, 0xff,
    4,  0, 0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d, 0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2,
};

/* Entries that name a disk and no file: where the running one leads is known, that of the others is not. */
static void entry_of_a_disk(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(prediction_free) struct prediction prediction = { 0 }, by_name = { 0 };
    const struct predicted_boot *boot;

    (void)state;
    start_unified_as(&scratch, "\\EFI\\BOOT\\BOOTX64.EFI", "/EFI/BOOT/BOOTX64.EFI");
    predict(&scratch, &by_name);
    scratch_set_variable(&scratch, vendor_global, "Boot0007", disk_option, sizeof(disk_option));
    predict(&scratch, &prediction);
    boot = find(&prediction, "Boot0007");
    assert_true(boot->chosen);
    assert_string_equal(boot->title, "disk");
    assert_int_equal(boot->values.mask & 1u << 12, 1u << 12);
    /* the mark is no command line */
    assert_int_equal(pcr_values_differ(&boot->values, &find(&by_name, "Boot0007")->values, 0x3810), 0);
    prediction_free(&prediction);
    scratch_set_number(&scratch, "BootCurrent", 8);
    predict(&scratch, &prediction);
    assert_non_null(strstr(prediction.boots[0].unknown[4], "it cannot be told"));
}

/* The running boot's program is no default one: a disk does not lead to it. */
static void entry_of_a_disk_with_another_program(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    start_unified(&scratch);
    scratch_set_variable(&scratch, vendor_global, "Boot0007", disk_option, sizeof(disk_option));
    predict(&scratch, &prediction);
    assert_non_null(strstr(prediction.boots[0].unknown[4], "it cannot be told"));
}

/* Until the unlocking systemd may have extended PCR 11 once more. */
static void phases(void **state)
{
    static const char *const words[] = { "enter-initrd" };
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(prediction_free) struct prediction prediction = { 0 }, with = { 0 };
    struct pcr_values values;
    struct error error;

    (void)state;
    start_unified(&scratch);
    predict(&scratch, &prediction);
    scratch.machine.phases = words;
    scratch.machine.phase_count = 1;
    predict(&scratch, &with);
    values = find(&prediction, "Boot0007")->values;
    assert_int_equal(pcr_extend(&values, 11, words[0], strlen(words[0]), &error), 0);
    assert_int_equal(pcr_values_differ(&values, &find(&with, "Boot0007")->values, 1u << 11), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(systemd_boot),
        cmocka_unit_test(long_label),
        cmocka_unit_test(choice),
        cmocka_unit_test(another_systemd_boot),
        cmocka_unit_test(unified_image),
        cmocka_unit_test(the_firmwares_next_entry),
        cmocka_unit_test(entry_of_a_disk),
        cmocka_unit_test(entry_of_a_disk_with_another_program),
        cmocka_unit_test(phases),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
