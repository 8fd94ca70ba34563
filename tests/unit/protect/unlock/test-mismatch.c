#include "protect/unlock/unseal.h"

#include "base/cleanup.h"
#include "protect/machine.h"
#include "protect/unlock/cap.h"

static struct approval empty_approval(void)
{
    struct branch authority = { .kind = BRANCH_AUTHORITY };
    struct approval approval = { .bank = HASH_SHA256, .pcrs = MACHINE_PCRS, .cap = MACHINE_CAP };
    struct error error;

    assert_good(approval_add_branch(&approval, &authority, &error), &error);
    return approval;
}

static void approve_now(struct machine *machine, struct approval *approval)
{
    struct branch branch = { .kind = BRANCH_BOOT, .label = "now", .values = machine_pcrs(machine) };
    struct error error;

    assert_good(approval_add_branch(approval, &branch, &error), &error);
}

static void test_no_boot_state(void **state)
{
    struct machine *machine = *state;
    cleanup(approval_free) struct approval approval = empty_approval();
    struct error error;
    bool capped = true;

    assert_error(unseal_explain_mismatch(machine->tpm, &approval, &capped, &error), &error, ERROR_MISMATCH,
                 "no boot state is approved yet");
    assert_false(capped);
}

static void test_the_approved_state(void **state)
{
    struct machine *machine = *state;
    cleanup(approval_free) struct approval approval = empty_approval();
    struct error error;

    approve_now(machine, &approval);
    /* asked after the TPM said no: so the list in the header is not what it says */
    assert_error(unseal_explain_mismatch(machine->tpm, &approval, NULL, &error), &error, ERROR_METADATA,
                 "the list was changed");
}

static void test_changed_pcrs_are_named(void **state)
{
    struct machine *machine = *state;
    cleanup(approval_free) struct approval approval = empty_approval();
    struct error error;
    bool capped = true;

    approve_now(machine, &approval);
    machine_extend(machine, 7, "something else");
    assert_error(unseal_explain_mismatch(machine->tpm, &approval, &capped, &error), &error, ERROR_MISMATCH,
                 "not the approved one: PCR 7 (");
    assert_null(strstr(error.text, "PCR 4"));
    assert_non_null(strstr(error.text, pcr_meaning(7)));
    assert_false(capped);
    machine_extend(machine, 4, "something else");
    machine_extend(machine, 5, "a PCR that is not the policy's");
    assert_error(unseal_explain_mismatch(machine->tpm, &approval, &capped, &error), &error, ERROR_MISMATCH, "PCR 4 (");
    assert_non_null(strstr(error.text, ", PCR 7 ("));
    assert_null(strstr(error.text, "PCR 5"));
}

static void test_the_nearest_state_is_told(void **state)
{
    struct machine *machine = *state;
    cleanup(approval_free) struct approval approval = empty_approval();
    struct error error;

    approve_now(machine, &approval);
    machine_extend(machine, 4, "an update");
    machine_extend(machine, 7, "an update");
    approve_now(machine, &approval);
    machine_extend(machine, 7, "something else");
    assert_error(unseal_explain_mismatch(machine->tpm, &approval, NULL, &error), &error, ERROR_MISMATCH, "PCR 7 (");
    assert_null(strstr(error.text, "PCR 4"));
}

static void test_capped(void **state)
{
    struct machine *machine = *state;
    cleanup(approval_free) struct approval approval = empty_approval();
    struct error error;
    bool capped = false;

    approve_now(machine, &approval);
    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
    assert_error(unseal_explain_mismatch(machine->tpm, &approval, &capped, &error), &error, ERROR_MISMATCH,
                 "time to unseal is over: PCR 12 is capped");
    assert_true(capped);
    machine_extend(machine, 7, "something else"); /* both: what changed is told, and that the cap is on */
    capped = false;
    assert_error(unseal_explain_mismatch(machine->tpm, &approval, &capped, &error), &error, ERROR_MISMATCH, "PCR 7 (");
    assert_true(capped);
}

static void test_the_cap_pcr_changed_otherwise(void **state)
{
    struct machine *machine = *state;
    cleanup(approval_free) struct approval approval = empty_approval();
    struct error error;
    bool capped = true;

    approve_now(machine, &approval);
    machine_extend(machine, MACHINE_CAP, "a longer command line");
    assert_error(unseal_explain_mismatch(machine->tpm, &approval, &capped, &error), &error, ERROR_MISMATCH,
                 "not the approved one: PCR 12 (");
    assert_false(capped);
}

/* The text has a limit; all 24 PCRs' meanings may be cut, but not overrun. */
static void test_many_changed_pcrs(void **state)
{
    struct machine *machine = *state;
    cleanup(approval_free) struct approval approval = empty_approval();
    struct error error;

    approval.pcrs = 0xffff & ~(1u << 10);
    approve_now(machine, &approval);
    for (unsigned i = 0; i < 16; i++)
        machine_extend(machine, i, "something else");
    assert_error(unseal_explain_mismatch(machine->tpm, &approval, NULL, &error), &error, ERROR_MISMATCH, "PCR 0 (");
    assert_null(strstr(error.text, "PCR 10 "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(test_no_boot_state),
        machine_test(test_the_approved_state),
        machine_test(test_changed_pcrs_are_named),
        machine_test(test_the_nearest_state_is_told),
        machine_test(test_capped),
        machine_test(test_the_cap_pcr_changed_otherwise),
        machine_test(test_many_changed_pcrs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
