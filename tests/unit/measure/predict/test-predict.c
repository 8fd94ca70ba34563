#include "measure/predict/predict.h"

#include "base/cleanup.h"
#include "grub-machine.h"
#include "log-builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void predict(const struct predict_machine *machine, struct prediction *ret)
{
    struct error error = { 0 };

    if (predict_boots(machine, ret, &error))
        fail_msg("%s", error.text);
}

/* The running boot once more is the next one. */
static void the_same_again(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    const struct predicted_boot *boot;
    struct pcr_values usb;

    (void)state;
    grub_machine_start(&machine, "a");
    predict(&machine.scratch.machine, &prediction);
    assert_int_equal(prediction.chain, CHAIN_SHIM_GRUB);
    boot = &prediction.boots[0];
    assert_true(boot->chosen && boot->order == 0 && boot->step == 0 && !boot->shell);
    assert_recorded(&machine.recorded, boot);
    assert_string_equal(boot->label, "linux 6.1.0-56-cloud-amd64");
    assert_string_equal(boot->title, "Debian GNU/Linux");
    assert_string_equal(boot->command_line, "root=UUID=86e224d5-2e88-4382-a7fc-a3a8681dcd50 ro console=ttyS0");
    assert_int_equal(boot->initrd_count, 1);
    read_recorded(GRUB_RECORDED "usbhigh", &usb); /* the other order of disks */
    usb.mask &= 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 14;
    assert_recorded(&usb, find_boot(&prediction, 1, true, 0, "gnulinux-simple"));
}

static void running_with_a_usb_disk(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    grub_machine_start(&machine, "usbhigh");
    predict(&machine.scratch.machine, &prediction);
    assert_recorded(&machine.recorded, find_boot(&prediction, 1, true, 0, "gnulinux-simple"));
}

/* grub-reboot: the next boot, and the one after it, for which GRUB has written grubenv. */
static void one_boot_of_another_entry(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    const struct predicted_boot *boot;

    (void)state;
    grub_machine_start(&machine, "next");
    predict(&machine.scratch.machine, &prediction);
    boot = find_boot(&prediction, 0, true, 0, "6.1.0-53");
    assert_recorded(&machine.recorded, boot);
    assert_string_equal(boot->label, "linux 6.1.0-53-cloud-amd64");
    boot = find_boot(&prediction, 0, true, 1, "gnulinux-simple");
    assert_int_equal(boot->values.mask & (1u << 8 | 1u << 9), 1u << 8 | 1u << 9);
    assert_int_not_equal(pcr_values_differ(&boot->values, &machine.recorded, 1u << 9), 0);
}

/* The menu's entries, of which one gives a shell; the firmware's setup starts no kernel. */
static void entries(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    const struct predicted_boot *boot;

    (void)state;
    grub_machine_start(&machine, "a");
    predict(&machine.scratch.machine, &prediction);
    assert_false(find_boot(&prediction, 0, false, 0, "6.1.0-56-cloud-amd64-advanced")->shell);
    boot = find_boot(&prediction, 0, false, 0, "6.1.0-53-cloud-amd64-recovery");
    assert_true(boot->shell);
    assert_string_equal(boot->label, "linux 6.1.0-53-cloud-amd64 (shell)");
    assert_true(boot->values.mask & 1u << 9);
    assert_false(boot->values.mask & 1u << 4); /* the file of that kernel is not there */
    assert_non_null(strstr(boot->unknown[4], "vmlinuz-6.1.0-53"));
    boot = find_boot(&prediction, 0, false, 0, "uefi-firmware");
    assert_string_equal(boot->kernel, "");
    assert_non_null(boot->unknown[8]);
}

static void new_initrd(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    const struct predicted_boot *boot;
    struct digest sha256;
    struct error error;
    bool found = false;

    (void)state;
    grub_machine_start(&machine, "a");
    machine_write(&machine.scratch, "boot/initrd.img-6.1.0-56-cloud-amd64", "another", 7);
    grub_machine_forget_file(&machine, "boot/initrd.img-6.1.0-56-cloud-amd64");
    predict(&machine.scratch.machine, &prediction);
    boot = &prediction.boots[0];
    assert_int_equal(pcr_values_differ(&boot->values, &machine.recorded, boot->values.mask & machine.recorded.mask),
                     1u << 9);
    assert_int_equal(digest_compute(&sha256, &(struct span){ "another", 7 }, 1, &error), 0);
    for (size_t i = 0; i < boot->extends.file_count; i++)
        found = found || (strstr(boot->extends.files[i].path, "initrd") &&
                          digest_equal(&boot->extends.files[i].sha256, &sha256));
    assert_true(found);
}

static void assert_only_unknown(const struct predicted_boot *boot, uint32_t pcrs, const char *reason)
{
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if ((1u << 10 | 0x7e0000u) & 1u << pcr)
            continue;
        if (pcrs & 1u << pcr && (!boot->unknown[pcr] || !strstr(boot->unknown[pcr], reason)))
            fail_msg("PCR %u: %s", pcr, boot->unknown[pcr] ? boot->unknown[pcr] : "known");
        if (!(pcrs & 1u << pcr) && boot->unknown[pcr])
            fail_msg("PCR %u: %s", pcr, boot->unknown[pcr]);
        assert_int_equal(boot->values.mask >> pcr & 1, !boot->unknown[pcr]);
    }
}

static void configuration_that_cannot_be_followed(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    static const char config[] = "frobnicate\n";

    (void)state;
    grub_machine_start(&machine, "a");
    machine_write(&machine.scratch, "boot/grub/grub.cfg", config, strlen(config));
    predict(&machine.scratch.machine, &prediction);
    assert_int_equal(prediction.count, 2);
    assert_true(prediction.boots[0].chosen);
    assert_only_unknown(&prediction.boots[0], 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9, "grub.cfg");
}

/* What GRUB's own image looks for is there now. */
static void another_first_file(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    machine_write(&machine.scratch, "esp/EFI/debian/x86_64-efi/grub.cfg", "", 0);
    predict(&machine.scratch.machine, &prediction);
    assert_only_unknown(&prediction.boots[0], 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9, "appeared");
}

/* A value that the log does not explain is not predicted. */
static void another_value_than_the_log_gives(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    machine.recorded.value[5][0] ^= 1;
    predict(&machine.scratch.machine, &prediction);
    assert_only_unknown(&prediction.boots[0], 1u << 5, "another value");
}

/* A load option: active, or what else its attributes say. */
static void set_option(const struct grub_machine *machine, const char *name, uint32_t attributes)
{
    uint8_t option[] = { (uint8_t)attributes, (uint8_t)(attributes >> 8), 0, 0, 4, 0, 'x', 0, 0, 0, 0x7f, 0xff, 4, 0 };

    scratch_set_variable(&machine->scratch, vendor_global, name, option, sizeof(option));
}

static void set_number(const struct grub_machine *machine, const char *name, uint16_t number)
{
    scratch_set_variable(&machine->scratch, vendor_global, name, &number, sizeof(number));
}

static void another_boot_entry(void **state)
{
    static const uint32_t loaders = 1u << 4 | 1u << 5 | 0x780u | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14;
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 }, again = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    set_option(&machine, "Boot0099", 1);
    set_number(&machine, "BootCurrent", 2);
    predict(&machine.scratch.machine, &again);
    assert_only_unknown(&again.boots[0], 0, "");
    prediction_free(&again);
    set_number(&machine, "BootNext", 0x99);
    predict(&machine.scratch.machine, &prediction);
    assert_only_unknown(&prediction.boots[0], loaders & ~(1u << 10), "Boot0099 (x)");
}

static void request_to_shim(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    scratch_set_variable(&machine.scratch, vendor_shim, "MokNew", "x", 1);
    predict(&machine.scratch.machine, &prediction);
    assert_only_unknown(&prediction.boots[0], 1u << 4 | 1u << 7 | 1u << 14, "MokNew");
}

static void variables_that_cannot_be_read(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    machine.scratch.machine.variables = NULL;
    predict(&machine.scratch.machine, &prediction);
    assert_only_unknown(&prediction.boots[0], 1u << 1 | 1u << 7, "cannot be read");
}

/* Both what is there now and what will be there. */
static void changed_variable(void **state)
{
    cleanup(firmware_variable_list_free) struct firmware_variable_list changed = { 0 };
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction on_disk = { 0 }, to_come = { 0 };
    struct firmware_variable variable;
    struct error error;
    bool found;

    (void)state;
    grub_machine_start(&machine, "a");
    assert_int_equal(
        firmware_variable_read(machine.scratch.variables, NULL, vendor_database, "dbx", &variable, &found, &error), 0);
    assert_true(found && variable.size > 0);
    variable.size--;
    assert_int_equal(firmware_variable_list_set(&changed, &variable, &error), 0);
    machine.scratch.machine.changed = &changed;
    predict(&machine.scratch.machine, &to_come);
    assert_int_equal(pcr_values_differ(&to_come.boots[0].values, &machine.recorded,
                                       to_come.boots[0].values.mask & machine.recorded.mask),
                     1u << 7);
    machine.scratch.machine.changed = NULL;
    scratch_set_variable(&machine.scratch, vendor_database, "dbx", changed.items[0].data, changed.items[0].size);
    predict(&machine.scratch.machine, &on_disk);
    assert_int_equal(pcr_values_differ(&to_come.boots[0].values, &on_disk.boots[0].values, 1u << 7), 0);
    scratch_set_variable(&machine.scratch, vendor_database, "dbx", NULL, 0);
    prediction_free(&on_disk);
    predict(&machine.scratch.machine, &on_disk);
    assert_only_unknown(&on_disk.boots[0], 1u << 7, "\"dbx\" is gone");
}

static void no_partition(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    machine.scratch.machine.efi_system_partition_uuid = "00000000-0000-4000-8000-000000000001";
    predict(&machine.scratch.machine, &prediction);
    assert_non_null(strstr(prediction.boots[0].unknown[4], "another partition"));
    machine.scratch.machine.efi_system_partition_uuid = "aaaa0001-0000-4000-8000-000000000001";
    prediction_free(&prediction);
    predict(&machine.scratch.machine, &prediction);
    assert_recorded(&machine.recorded, &prediction.boots[0]);
    machine.scratch.machine.efi_system_partition = NULL;
    prediction_free(&prediction);
    predict(&machine.scratch.machine, &prediction);
    assert_non_null(prediction.boots[0].unknown[4]);
    assert_non_null(prediction.boots[0].unknown[8]);
    assert_null(prediction.boots[0].unknown[0]);
}

static void no_log(void **state)
{
    const struct predict_machine machine = { .bank = HASH_SHA256 };
    cleanup(prediction_free) struct prediction prediction = { 0 };

    (void)state;
    predict(&machine, &prediction);
    assert_int_equal(prediction.count, 1);
    assert_int_equal(prediction.boots[0].values.mask, 0);
    assert_non_null(strstr(prediction.boots[0].unknown[8], "no event log"));
}

static void no_such_bank(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    struct prediction prediction = { 0 };
    struct error error = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    machine.scratch.machine.bank = (enum hash_algorithm)0x12;
    assert_int_equal(predict_boots(&machine.scratch.machine, &prediction, &error), ERROR_USAGE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_again),
        cmocka_unit_test(running_with_a_usb_disk),
        cmocka_unit_test(one_boot_of_another_entry),
        cmocka_unit_test(entries),
        cmocka_unit_test(new_initrd),
        cmocka_unit_test(configuration_that_cannot_be_followed),
        cmocka_unit_test(another_first_file),
        cmocka_unit_test(another_value_than_the_log_gives),
        cmocka_unit_test(another_boot_entry),
        cmocka_unit_test(request_to_shim),
        cmocka_unit_test(variables_that_cannot_be_read),
        cmocka_unit_test(changed_variable),
        cmocka_unit_test(no_partition),
        cmocka_unit_test(no_log),
        cmocka_unit_test(no_such_bank),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
