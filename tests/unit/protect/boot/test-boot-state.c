#include "protect/boot/boot-state.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/machine.h"
#include "protect/unlock/cap.h"

static struct boot_state_request request_of(struct machine *machine, uint32_t pcrs)
{
    return (struct boot_state_request){
        .report_path = machine->report_path,
        .bank = HASH_SHA256,
        .pcrs = pcrs,
        .cap = MACHINE_CAP,
    };
}

static void test_recorded(void **state)
{
    struct machine *machine = *state;
    struct boot_state_request request = request_of(machine, MACHINE_PCRS);
    struct pcr_values before = machine_pcrs(machine), values;
    struct error error;

    machine_leave_initramfs(machine);
    assert_good(boot_state_read(machine->tpm, &request, &values, &error), &error);
    assert_int_equal(values.mask, 0xffff);
    assert_int_equal(pcr_values_differ(&values, &before, 0xffff), 0); /* the cap is not in it */
    request.current_values = true;                                    /* what was recorded counts more */
    assert_good(boot_state_read(machine->tpm, &request, &values, &error), &error);
    assert_int_equal(pcr_values_differ(&values, &before, 0xffff), 0);
}

static void test_recorded_and_not_capped(void **state)
{
    struct machine *machine = *state;
    struct boot_state_request request = request_of(machine, MACHINE_PCRS);
    struct report report = { .values = machine_pcrs(machine), .cap = MACHINE_CAP };
    struct pcr_values values;
    struct error error;

    assert_good(report_write(machine->report_path, &report, &error), &error);
    assert_good(boot_state_read(machine->tpm, &request, &values, &error), &error);
    assert_int_equal(pcr_values_differ(&values, &report.values, 0xffff), 0);
}

static void test_recorded_and_extended_since(void **state)
{
    static const unsigned pcrs[] = { 4, 7, 12 };
    struct machine *machine = *state;
    struct boot_state_request request = request_of(machine, MACHINE_PCRS);
    struct pcr_values values;
    struct error error;

    for (size_t i = 0; i < array_size(pcrs); i++) {
        char named[16];

        machine_leave_initramfs(machine);
        machine_extend(machine, pcrs[i], "something else");
        snprintf(named, sizeof(named), "PCR %u is not", pcrs[i]);
        assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_MISMATCH, named);
    }
    machine_leave_initramfs(machine);
    machine_extend(machine, 9, "a PCR that is not the policy's");
    assert_good(boot_state_read(machine->tpm, &request, &values, &error), &error);
}

static void test_capped_again(void **state)
{
    struct machine *machine = *state;
    struct boot_state_request request = request_of(machine, MACHINE_PCRS);
    struct pcr_values values;
    struct error error;

    machine_leave_initramfs(machine);
    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
    assert_good(boot_state_read(machine->tpm, &request, &values, &error), &error);
    /* the cap event in another PCR is an extension like any other */
    assert_good(cap_apply(machine->tpm, HASH_SHA256, 4, NULL, &error), &error);
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_MISMATCH, "PCR 4");
}

static void test_boot_phases(void **state)
{
    static const char *const phases[] = { "enter-initrd", "leave-initrd", "sysinit", "ready" };
    struct machine *machine = *state;
    struct boot_state_request request = request_of(machine, MACHINE_PCRS | 1u << 11);
    struct pcr_values before, values;
    struct error error;

    machine_extend(machine, 11, "a unified kernel image");
    before = machine_pcrs(machine);
    machine_leave_initramfs(machine);
    for (size_t i = 0; i < array_size(phases); i++) {
        machine_extend(machine, 11, phases[i]);
        assert_good(boot_state_read(machine->tpm, &request, &values, &error), &error);
        assert_int_equal(pcr_values_differ(&values, &before, 1u << 11), 0);
    }
    machine_extend(machine, 11, "something else");
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_MISMATCH, "PCR 11");
}

/* A boot whose bootseal-unlock runs between the phases, or whose systemd leaves some of them out. */
static void test_some_boot_phases(void **state)
{
    struct machine *machine = *state;
    struct boot_state_request request = request_of(machine, MACHINE_PCRS | 1u << 11);
    struct pcr_values values;
    struct error error;

    machine_extend(machine, 11, "enter-initrd");
    machine_leave_initramfs(machine);
    machine_extend(machine, 11, "leave-initrd");
    machine_extend(machine, 11, "ready");
    assert_good(boot_state_read(machine->tpm, &request, &values, &error), &error);
    machine_extend(machine, 11, "sysinit"); /* out of order */
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_MISMATCH, "PCR 11");
}

static void test_phases_in_another_pcr(void **state)
{
    struct machine *machine = *state;
    struct boot_state_request request = request_of(machine, MACHINE_PCRS);
    struct pcr_values values;
    struct error error;

    machine_leave_initramfs(machine);
    machine_extend(machine, 7, "sysinit");
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_MISMATCH, "PCR 7");
}

static void test_nothing_recorded(void **state)
{
    struct machine *machine = *state;
    struct boot_state_request request = request_of(machine, MACHINE_PCRS);
    struct pcr_values before = machine_pcrs(machine), values;
    struct error error;

    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_REFUSED, "recorded no PCR");
    assert_non_null(strstr(error.remedy, "--current-values"));
    request.current_values = true;
    assert_good(boot_state_read(machine->tpm, &request, &values, &error), &error);
    assert_int_equal(pcr_values_differ(&values, &before, 0xffff), 0);
    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_REFUSED, "PCR 12 is capped");
    request.current_values = false;
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_REFUSED, "recorded no PCR");
}

/* A report that cannot be used is an error, and no reason to take the values of now. */
static void test_unusable_report(void **state)
{
    struct machine *machine = *state;
    struct boot_state_request request = request_of(machine, MACHINE_PCRS);
    struct report report = { .values = machine_pcrs(machine), .cap = MACHINE_CAP };
    struct pcr_values values;
    struct error error;

    request.current_values = true;
    report.values.mask &= ~(1u << 7);
    assert_good(report_write(machine->report_path, &report, &error), &error);
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_REFUSED, "does not have");
    report.values = (struct pcr_values){ 0 }; /* the initramfs had no TPM */
    assert_good(report_write(machine->report_path, &report, &error), &error);
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_REFUSED, "does not have");
    scratch_write(&machine->scratch, "report.json", "{}");
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_METADATA, "report.json");
    assert_good(file_remove(machine->report_path, &error), &error);
    assert_good(boot_state_read(machine->tpm, &request, &values, &error), &error);
}

static void test_bank(void **state)
{
    struct machine *machine = *state;
    struct boot_state_request request = request_of(machine, MACHINE_PCRS);
    struct pcr_values values;
    struct error error;

    machine_leave_initramfs(machine);
    request.bank = HASH_SHA384; /* active, but not the one that was recorded */
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_REFUSED, "does not have");
    machine_set_banks(machine, "sha256:all+sha384:none");
    assert_error(boot_state_read(machine->tpm, &request, &values, &error), &error, ERROR_REFUSED,
                 "sha384 is not active");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(test_recorded),
        machine_test(test_recorded_and_not_capped),
        machine_test(test_recorded_and_extended_since),
        machine_test(test_capped_again),
        machine_test(test_boot_phases),
        machine_test(test_some_boot_phases),
        machine_test(test_phases_in_another_pcr),
        machine_test(test_nothing_recorded),
        machine_test(test_unusable_report),
        machine_test(test_bank),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
