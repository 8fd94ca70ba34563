/* A machine without an event log: GRUB with Secure Boot off. */
#include "measure/predict/predict.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "grub-machine.h"
#include "log-builder.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#define RECORDED "debian12-grub-no-secureboot/"
#define INITRD "421a162d60a05b7eb9df45acc6c7d4ff2017e68c8f4597a2e100ab19f936ee13"
#define NEVER_KNOWN (1u << 10 | 0x7e0000u)
#define ALL_KNOWN (((1u << PCR_COUNT) - 1) & ~NEVER_KNOWN)
#define PROGRAM "\\EFI\\BOOT\\BOOTX64.EFI"
#define A_DAY (24 * 60 * 60)

static const char calling[] = "Calling EFI Application from Boot Option";

/* A file that is there, and older than the boot. */
static void put(struct grub_machine *machine, const char *path)
{
    machine_write(&machine->scratch, path, "stand-in", 8);
}

/* The machine of the log "a" of debian12-grub-mkconfig, whose boot loaders and configuration these boots had too; the
 * initrd was another one, and its TPM has no log. */
static void start(struct grub_machine *machine, const char *name)
{
    struct scratch_machine *scratch = &machine->scratch;
    char path[64];

    grub_machine_start(machine, "a");
    for (size_t i = 0; i < machine->file_count; i++) {
        put(machine, machine->paths[i] + strlen(scratch->folder) + 1);
        if (strstr(machine->paths[i], "initrd.img-6.1.0-56-"))
            assert_true(hex_decode(INITRD, machine->digests[i].bytes, DIGEST_BYTES));
    }
    snprintf(path, sizeof(path), RECORDED "%s", name);
    read_recorded(path, &machine->recorded);
    scratch_set_variable(scratch, vendor_global, "SecureBoot", "\0", 1);
    scratch_set_option(scratch, 7, "");
    scratch_set_number(scratch, "BootCurrent", 7);
    scratch_set_number(scratch, "BootOrder", 7);
    scratch->machine.log = NULL;
    scratch->machine.components = NULL;
    scratch->machine.started = time(NULL) + A_DAY;
    if (strcmp(name, "afternext") == 0)
        grub_machine_reboot_into(machine, ""); /* as GRUB leaves it */
}

/* The file was changed since the boot. */
static void touch(const struct grub_machine *machine, const char *path)
{
    const struct timespec times[2] = { { .tv_sec = machine->scratch.machine.started },
                                       { .tv_sec = machine->scratch.machine.started } };
    char whole[PATH_MAX];

    snprintf(whole, sizeof(whole), "%s/%s", machine->scratch.folder, path);
    assert_int_equal(utimensat(AT_FDCWD, whole, times, 0), 0);
}

static void predict(const struct grub_machine *machine, struct prediction *ret)
{
    struct error error = { 0 };

    if (predict_boots(&machine->scratch.machine, ret, &error))
        fail_msg("%s", error.text);
}

static void verify(const struct grub_machine *machine, struct verification *ret)
{
    struct error error = { 0 };

    if (predict_verify(&machine->scratch.machine, ret, &error))
        fail_msg("%s", error.text);
}

static void assert_only_unknown(const struct predicted_boot *boot, uint32_t pcrs, const char *reason)
{
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if (NEVER_KNOWN & 1u << pcr)
            continue;
        if (pcrs & 1u << pcr && (!boot->unknown[pcr] || !strstr(boot->unknown[pcr], reason)))
            fail_msg("PCR %u: %s", pcr, boot->unknown[pcr] ? boot->unknown[pcr] : "known");
        if (!(pcrs & 1u << pcr) && boot->unknown[pcr])
            fail_msg("PCR %u: %s", pcr, boot->unknown[pcr]);
        assert_int_equal(boot->values.mask >> pcr & 1, !boot->unknown[pcr]);
    }
}

/* Fails unless the next boot has no value but these, and that is why. */
static void assert_unknown(const struct grub_machine *machine, uint32_t pcrs, const char *reason)
{
    cleanup(prediction_free) struct prediction prediction = { 0 };

    predict(machine, &prediction);
    assert_only_unknown(&prediction.boots[0], pcrs, reason);
}

static void assert_results(const struct grub_machine *machine, uint32_t pcrs, enum verify_result result,
                           const char *reason)
{
    cleanup(verification_free) struct verification verification = { 0 };

    verify(machine, &verification);
    assert_false(verification.has_event);
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        const char *said = verification.reason[pcr] ? verification.reason[pcr] : "";

        if (NEVER_KNOWN & 1u << pcr)
            continue;
        if (verification.result[pcr] != (pcrs & 1u << pcr ? result : VERIFY_GOOD))
            fail_msg("PCR %u: %s: %s", pcr, verify_result_name(verification.result[pcr]), said);
        if (pcrs & 1u << pcr && !strstr(said, reason))
            fail_msg("PCR %u: %s", pcr, said);
    }
}

/* Whether the prediction rests on the file. */
static bool rests_on(const struct predicted_boot *boot, const char *path)
{
    for (size_t i = 0; i < boot->extends.file_count; i++) {
        const char *file = boot->extends.files[i].path;

        if (strlen(file) >= strlen(path) && strcmp(file + strlen(file) - strlen(path), path) == 0)
            return true;
    }
    return false;
}

/* What another variable would give is not told by the values alone. */
static void variable_to_come(void **state)
{
    static const struct {
        const uint8_t *vendor;
        const char *name;
        bool gone;
        uint32_t unknown;
    } cases[] = { { vendor_database, "dbx", false, 1u << 7 },
                  { vendor_shim, "MokListRT", false, 1u << 14 },
                  { vendor_shim, "MokNew", true, 0 } };

    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        cleanup(firmware_variable_list_free) struct firmware_variable_list changed = { 0 };
        cleanup(grub_machine_end) struct grub_machine machine;
        struct error error;

        start(&machine, "a");
        assert_int_equal(firmware_variable_list_remove(&changed, cases[i].vendor, cases[i].name, &error), 0);
        changed.items[0].gone = cases[i].gone;
        machine.scratch.machine.changed = &changed;
        assert_unknown(&machine, cases[i].unknown, "no event log");
    }
}

static void recorded_boots(void **state)
{
    static const char *const names[] = { "a", "afternext" };

    (void)state;
    for (size_t i = 0; i < array_size(names); i++) {
        cleanup(grub_machine_end) struct grub_machine machine;
        cleanup(prediction_free) struct prediction prediction = { 0 };
        const struct predicted_boot *boot;

        start(&machine, names[i]);
        assert_results(&machine, 0, VERIFY_GOOD, "");
        predict(&machine, &prediction);
        assert_int_equal(prediction.chain, CHAIN_SHIM_GRUB);
        boot = find_boot(&prediction, 0, true, 0, "gnulinux-simple");
        assert_recorded(&machine.recorded, boot);
        assert_int_equal(boot->distrusted, 0);
        assert_true(rests_on(boot, "/esp/EFI/BOOT/BOOTX64.EFI") && rests_on(boot, "/esp/EFI/BOOT/grubx64.efi"));
        assert_true(rests_on(boot, "/boot/grub/grub.cfg") && rests_on(boot, "/vmlinuz-6.1.0-56-cloud-amd64"));
    }
}

/* The disk was GRUB's hd1: PCR 8 of the boot with Secure Boot and a USB disk; Secure Boot makes no difference to it. */
static void another_disk_order(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    struct pcr_values usb;

    (void)state;
    start(&machine, "a");
    read_recorded(GRUB_RECORDED "usbhigh", &usb);
    memcpy(machine.recorded.value[8], usb.value[8], DIGEST_BYTES);
    assert_results(&machine, 0, VERIFY_GOOD, "");
    machine.scratch.machine.order_count = 1;
    assert_results(&machine, 1u << 8, VERIFY_DIFFERS, "no event log");
}

/* The other entries too; one gives a shell. */
static void entries(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    const struct predicted_boot *boot;

    (void)state;
    start(&machine, "a");
    predict(&machine, &prediction);
    boot = find_boot(&prediction, 0, false, 0, "6.1.0-53-cloud-amd64-recovery");
    assert_true(boot->shell);
    assert_only_unknown(boot, 0, "");
    assert_int_equal(pcr_values_differ(&boot->values, &machine.recorded, ALL_KNOWN & machine.recorded.mask),
                     1u << 8 | 1u << 9);
}

static void new_initrd(void **state)
{
    static const char initrd[] = "boot/initrd.img-6.1.0-56-cloud-amd64";
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    const struct predicted_boot *boot;

    (void)state;
    start(&machine, "a");
    grub_machine_forget_file(&machine, initrd);
    assert_results(&machine, 1u << 9, VERIFY_DIFFERS, "no event log");
    touch(&machine, initrd);
    assert_results(&machine, 1u << 9, VERIFY_CHANGED, "initrd.img-6.1.0-56-cloud-amd64");
    predict(&machine, &prediction);
    boot = &prediction.boots[0];
    assert_only_unknown(boot, 0, "");
    assert_int_equal(pcr_values_differ(&boot->values, &machine.recorded, ALL_KNOWN & machine.recorded.mask), 1u << 9);
}

/* Something that GRUB looks for is there now: the folder tells. */
static void new_file(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;

    (void)state;
    start(&machine, "a");
    machine_write(&machine.scratch, "boot/grub/custom.cfg", "echo hello\n", 11);
    assert_results(&machine, 1u << 8 | 1u << 9, VERIFY_DIFFERS, "no event log");
    touch(&machine, "boot/grub");
    assert_results(&machine, 1u << 8 | 1u << 9, VERIFY_CHANGED, "/boot/grub");
}

/* GRUB writes to grubenv in place. */
static void written_by_grub(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;

    (void)state;
    start(&machine, "a");
    grub_machine_reboot_into(&machine, "");
    assert_results(&machine, 1u << 9, VERIFY_CHANGED, "GRUB may have written to it");
}

static void configuration_that_cannot_be_followed(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;

    (void)state;
    start(&machine, "a");
    machine_write(&machine.scratch, "boot/grub/grub.cfg", "frobnicate\n", 11);
    assert_unknown(&machine, 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9, "grub.cfg");
    assert_results(&machine, 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9, VERIFY_UNKNOWN, "grub.cfg");
}

/* What Debian's image looks for first. */
static void first_file(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    char from[PATH_MAX], to[PATH_MAX];

    (void)state;
    start(&machine, "a");
    put(&machine, "esp/EFI/debian/x86_64-efi/grub.cfg");
    assert_unknown(&machine, 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9, "x86_64-efi/grub.cfg");
    snprintf(from, sizeof(from), "%s/EFI/debian", machine.scratch.esp);
    snprintf(to, sizeof(to), "%s/EFI/elsewhere", machine.scratch.esp);
    assert_int_equal(rename(from, to), 0);
    assert_unknown(&machine, 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9, "searches all disks");
}

/* Programs that give PCR 4's recorded value are those of the boot, whatever their times. */
static void proven_programs(void **state)
{
    static const char returning[] = "Returning from EFI Application from Boot Option";
    static const char *const actions[] = { calling, "\0\0\0", returning, calling, returning, calling };
    cleanup(extend_list_free) struct extend_list list = { 0 };
    cleanup(grub_machine_end) struct grub_machine machine;
    struct error error;

    (void)state;
    start(&machine, "a");
    touch(&machine, "esp/EFI/BOOT/BOOTX64.EFI");
    touch(&machine, "esp/EFI/BOOT/grubx64.efi");
    assert_unknown(&machine, 0, "");
    assert_int_equal(extend_list_init(&list, HASH_SHA256, &error), 0); /* the firmware had tried two entries before */
    for (size_t i = 0; i < array_size(actions); i++)
        assert_int_equal(extend_list_add_data(&list, 4, actions[i], i == 1 ? 4 : strlen(actions[i]), "", &error), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(extend_list_add(&list, 4, machine.scratch.programs[i].digest, "", &error), 0);
    memset(machine.recorded.value[4], 0, DIGEST_BYTES);
    assert_int_equal(extend_list_apply(&list, &machine.recorded, &error), 0);
    assert_unknown(&machine, 0, "");
    assert_results(&machine, 0, VERIFY_GOOD, "");
}

/* PCR 4 has another history: the boot loader was another one, or the firmware is. */
static void other_programs(void **state)
{
    static const uint32_t programs = 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 14;
    cleanup(grub_machine_end) struct grub_machine machine;

    (void)state;
    start(&machine, "a");
    machine.recorded.value[4][0] ^= 1;
    assert_unknown(&machine, programs, "is not proven to be its boot loader");
    assert_results(&machine, programs, VERIFY_UNKNOWN, "is not proven to be its boot loader");
    touch(&machine, "esp/EFI/BOOT/grubx64.efi");
    assert_unknown(&machine, programs, "grubx64.efi\" was changed since this boot");
    touch(&machine, "esp/EFI/BOOT/BOOTX64.EFI");
    assert_unknown(&machine, programs, "BOOTX64.EFI\" was changed since this boot");
    machine.recorded.value[4][0] ^= 1;
    assert_unknown(&machine, 0, "");
    scratch_forget_program(&machine.scratch, "esp/EFI/BOOT/grubx64.efi"); /* no program */
    assert_unknown(&machine, programs, "grubx64.efi");
}

static void nothing_recorded(void **state)
{
    static const char reason[] = "the initramfs did not record it";
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    cleanup(verification_free) struct verification verification = { 0 };

    (void)state;
    start(&machine, "a");
    machine.recorded.mask &= ~(1u << 12);
    assert_unknown(&machine, 1u << 12, reason);
    machine.recorded.bank = HASH_SHA384;
    assert_unknown(&machine, ALL_KNOWN, "Linux has no event log of this boot, and");
    machine.scratch.machine.recorded = NULL;
    predict(&machine, &prediction);
    assert_non_null(strstr(prediction.boots[0].unknown[4], reason));
    assert_non_null(strstr(prediction.boots[0].unknown[9], "is not proven"));
    assert_int_equal(prediction.boots[0].values.mask, 0);
    verify(&machine, &verification);
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++)
        assert_int_equal(verification.result[pcr], VERIFY_UNKNOWN);
}

static void not_secure_boot_off(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;

    (void)state;
    start(&machine, "a");
    scratch_set_variable(&machine.scratch, vendor_global, "SecureBoot", "\1", 1);
    assert_unknown(&machine, ALL_KNOWN, "though Secure Boot is on");
    scratch_set_variable(&machine.scratch, vendor_global, "SecureBoot", NULL, 0); /* the firmware does not know it */
    assert_unknown(&machine, 0, "");
    machine.scratch.machine.variables = NULL;
    assert_unknown(&machine, ALL_KNOWN, "no event log");
    assert_results(&machine, ALL_KNOWN, VERIFY_UNKNOWN, "no event log");
}

static void other_boot_loaders(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    char path[PATH_MAX];

    (void)state;
    start(&machine, "a");
    scratch_set_number(&machine.scratch, "BootCurrent", 0x88);
    assert_unknown(&machine, ALL_KNOWN, "does not say what it started");
    scratch_set_number(&machine.scratch, "BootCurrent", 7);
    put(&machine, "esp/EFI/BOOT/fbx64.efi");
    assert_unknown(&machine, ALL_KNOWN, "is not known to have started GRUB");
    snprintf(path, sizeof(path), "%s/EFI/BOOT/fbx64.efi", machine.scratch.esp);
    assert_int_equal(remove(path), 0);
    assert_unknown(&machine, 0, "");
    put(&machine, "esp/EFI/debian/other.efi");
    scratch_set_option(&machine.scratch, 7, "\\EFI\\debian\\other.efi");
    assert_unknown(&machine, ALL_KNOWN, "is not known to have started GRUB");
    scratch_set_option(&machine.scratch, 7, "\\EFI\\debian\\gone.efi");
    assert_unknown(&machine, ALL_KNOWN, "gone.efi");
    scratch_set_option(&machine.scratch, 7, "\\EFI\\systemd\\systemd-bootx64.efi");
    assert_unknown(&machine, ALL_KNOWN, "did not come by GRUB");
    scratch_set_option(&machine.scratch, 7, PROGRAM);
    assert_unknown(&machine, 0, "");
    scratch_set_variable(&machine.scratch, vendor_loader, "LoaderInfo", "x", 2);
    assert_unknown(&machine, ALL_KNOWN, "did not come by GRUB");
}

/* shim takes a loader's name from there; EDK2 marks entries that it made itself. */
static void options_for_shim(void **state)
{
    static const uint8_t option[] = { 1, 0, 0, 0, 4, 0, 'x', 0, 0, 0, 0x7f, 0xff, 4, 0,
                                      /* its options */
                                      0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d, 0x85, 0x0e, 0xe2, 0x1a, 0x52,
                                      0x2c, 0x59, 0xb2 };
    cleanup(grub_machine_end) struct grub_machine machine;

    (void)state;
    start(&machine, "a");
    scratch_set_variable(&machine.scratch, vendor_global, "Boot0007", option, sizeof(option) - 16);
    assert_unknown(&machine, 0, "");
    scratch_set_variable(&machine.scratch, vendor_global, "Boot0007", option, sizeof(option));
    assert_unknown(&machine, 0, "");
    scratch_set_variable(&machine.scratch, vendor_global, "Boot0007", option, sizeof(option) - 14);
    assert_unknown(&machine, ALL_KNOWN, "gives its program options");
}

/* GRUB without shim, the separator before the first attempt. */
static void grub_alone(void **state)
{
    cleanup(extend_list_free) struct extend_list list = { 0 };
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    struct error error;

    (void)state;
    start(&machine, "a");
    scratch_set_option(&machine.scratch, 7, "\\EFI\\BOOT\\grubx64.efi");
    assert_unknown(&machine, 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 14, "is not proven");
    assert_int_equal(extend_list_init(&list, HASH_SHA256, &error), 0);
    assert_int_equal(extend_list_add_data(&list, 4, "\0\0\0", 4, "", &error), 0);
    assert_int_equal(extend_list_add_data(&list, 4, calling, strlen(calling), "", &error), 0);
    assert_int_equal(extend_list_add(&list, 4, machine.scratch.programs[1].digest, "", &error), 0);
    memset(machine.recorded.value[4], 0, DIGEST_BYTES);
    assert_int_equal(extend_list_apply(&list, &machine.recorded, &error), 0);
    predict(&machine, &prediction);
    assert_int_equal(prediction.chain, CHAIN_GRUB);
    assert_false(rests_on(&prediction.boots[0], "/BOOTX64.EFI"));
    assert_recorded(&machine.recorded, &prediction.boots[0]);
}

static void what_is_set_for_the_next_boot(void **state)
{
    static const uint32_t loaders = 1u << 4 | 1u << 5 | 0x780u | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14;
    cleanup(grub_machine_end) struct grub_machine machine;

    (void)state;
    start(&machine, "a");
    scratch_set_variable(&machine.scratch, vendor_shim, "MokNew", "x", 1);
    assert_unknown(&machine, 1u << 4 | 1u << 7 | 1u << 14, "MokNew");
    assert_results(&machine, 0, VERIFY_GOOD, "");
    scratch_set_variable(&machine.scratch, vendor_shim, "MokNew", NULL, 0);
    scratch_set_option(&machine.scratch, 0x99, "\\EFI\\debian\\shimx64.efi");
    scratch_set_number(&machine.scratch, "BootNext", 0x99);
    assert_unknown(&machine, loaders & ~(1u << 10), "Boot0099");
    assert_results(&machine, 0, VERIFY_GOOD, "");
}

static void unknown_partition(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;

    (void)state;
    start(&machine, "a");
    machine.scratch.machine.efi_system_partition = NULL;
    assert_unknown(&machine, ALL_KNOWN, "where the EFI system partition is");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variable_to_come),
        cmocka_unit_test(recorded_boots),
        cmocka_unit_test(another_disk_order),
        cmocka_unit_test(entries),
        cmocka_unit_test(new_initrd),
        cmocka_unit_test(new_file),
        cmocka_unit_test(written_by_grub),
        cmocka_unit_test(configuration_that_cannot_be_followed),
        cmocka_unit_test(first_file),
        cmocka_unit_test(proven_programs),
        cmocka_unit_test(other_programs),
        cmocka_unit_test(nothing_recorded),
        cmocka_unit_test(not_secure_boot_off),
        cmocka_unit_test(other_boot_loaders),
        cmocka_unit_test(options_for_shim),
        cmocka_unit_test(grub_alone),
        cmocka_unit_test(what_is_set_for_the_next_boot),
        cmocka_unit_test(unknown_partition),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
