#include "protect/reseal.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "machine.h"
#include "protect/seal/approve.h"
#include "protect/unlock/cap.h"
#include "tpm/approval-index.h"

static int reseal(struct machine *machine, bool keep, bool current_values, struct reseal_result *ret,
                  struct error *error)
{
    const struct reseal_request request = {
        .tpm = machine->tpm,
        .state_folder = machine->state_folder,
        .report_path = machine->report_path,
        .current_values = current_values,
        .keep = keep,
    };

    return reseal_current(&request, ret, error);
}

/* A boot with another kernel, left by its initramfs. */
static void boot_updated(struct machine *machine)
{
    machine_reboot(machine);
    machine_extend(machine, 4, "an update");
    machine_leave_initramfs(machine);
}

static int unlock_next_boot(struct machine *machine, bool updated, struct error *error)
{
    machine_reboot(machine);
    if (updated)
        machine_extend(machine, 4, "an update");
    return machine_unlock(machine, 0, MACHINE_PIN, error);
}

static void test_replaces(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;

    boot_updated(machine);
    assert_good(reseal(machine, false, false, &result, &error), &error);
    assert_int_equal(result.boot_branches, 1);
    assert_int_equal(result.volumes, 1);
    assert_int_equal(strncmp(result.label, "linux ", 6), 0);
    assert_int_equal(machine_handles(machine), 0);
    assert_good(unlock_next_boot(machine, true, &error), &error);
    assert_error(unlock_next_boot(machine, false, &error), &error, ERROR_MISMATCH, "PCR 4");
}

static void test_keeps(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;

    boot_updated(machine);
    assert_good(reseal(machine, true, false, &result, &error), &error);
    assert_int_equal(result.boot_branches, 2);
    assert_good(reseal(machine, true, false, &result, &error), &error); /* not a second time */
    assert_int_equal(result.boot_branches, 2);
    assert_good(unlock_next_boot(machine, true, &error), &error);
    assert_good(unlock_next_boot(machine, false, &error), &error);
    machine_reboot(machine);
    machine_leave_initramfs(machine);
    assert_good(reseal(machine, false, false, &result, &error), &error);
    assert_int_equal(result.boot_branches, 1);
    assert_error(unlock_next_boot(machine, true, &error), &error, ERROR_MISMATCH, "PCR 4");
}

/* Sealed object, PIN and keyslot stay as they are. */
static void test_changes_nothing_else(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state before = { .lock = -1 };
    cleanup(state_close) struct state after = { .lock = -1 };
    struct reseal_result result;
    struct error error;

    assert_good(state_open(machine->state_folder, STATE_READ, &before, &error), &error);
    boot_updated(machine);
    assert_good(reseal(machine, false, false, &result, &error), &error);
    after = machine_state(machine);
    assert_memory_equal(&before.pins, &after.pins, sizeof(before.pins));
    assert_int_equal(after.approval.object_count, 1);
    assert_true(object_name_equal(&before.approval.objects[0], &after.approval.objects[0]));
    assert_int_equal(machine_keyslots(machine, 0), 3);
}

static void test_current_values(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;

    machine_extend(machine, 4, "an update");
    assert_error(reseal(machine, false, false, &result, &error), &error, ERROR_REFUSED, "recorded no PCR");
    assert_good(reseal(machine, false, true, &result, &error), &error);
    assert_good(unlock_next_boot(machine, true, &error), &error);
    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
    assert_error(reseal(machine, false, true, &result, &error), &error, ERROR_REFUSED, "is capped");
    assert_good(unlock_next_boot(machine, true, &error), &error); /* a refusal changes nothing */
}

static void test_extended_since_the_initramfs(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;

    boot_updated(machine);
    machine_extend(machine, 7, "something else");
    assert_error(reseal(machine, false, false, &result, &error), &error, ERROR_MISMATCH, "PCR 7");
    assert_error(reseal(machine, false, true, &result, &error), &error, ERROR_MISMATCH, "PCR 7");
    assert_good(unlock_next_boot(machine, false, &error), &error);
}

static void test_nothing_enrolled(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;

    machine_leave_initramfs(machine);
    assert_error(reseal(machine, false, false, &result, &error), &error, ERROR_NO_PROTECTOR, "nothing is enrolled");
    assert_false(file_exists(machine->state_folder));
    assert_good(file_make_folder(machine->state_folder, 0700, &error), &error);
    assert_error(reseal(machine, false, false, &result, &error), &error, ERROR_NO_PROTECTOR, "nothing is enrolled");
}

static void test_repairs(void **state)
{
    struct machine *machine = *state;
    struct state own = machine_state(machine);
    struct reseal_result result;
    struct error error;

    assert_good(tpm_index_undefine(machine->tpm, &own.pins.index, &error), &error);
    state_close(&own);
    machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, "", NULL);
    machine_leave_initramfs(machine);
    assert_int_not_equal(machine_unlock(machine, 0, MACHINE_PIN, &error), 0);
    assert_good(reseal(machine, false, false, &result, &error), &error);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_APPROVAL), 1);
    assert_good(unlock_next_boot(machine, false, &error), &error);
}

/* What a disk says is never signed: a list in the header that approves another boot does not come into force. */
static void test_forged_list_is_overwritten(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;
    char values[300] = "[";

    for (int i = 0; i < 3; i++)
        snprintf(values + strlen(values), sizeof(values) - strlen(values), "%s\"%064d\"", i ? ", " : "", i);
    strcat(values, "]");
    machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, "values", values);
    machine_leave_initramfs(machine);
    assert_good(reseal(machine, true, false, &result, &error), &error);
    assert_int_equal(result.boot_branches, 1);
    assert_good(unlock_next_boot(machine, false, &error), &error);
}

static void test_another_tpm(void **state)
{
    struct machine *machine = *state;
    struct swtpm own = machine->swtpm;
    struct reseal_result result;
    struct error error;

    machine_leave_initramfs(machine);
    machine_disconnect(machine);
    assert_int_equal(swtpm_start(&machine->swtpm), 0);
    machine_connect(machine);
    assert_error(reseal(machine, false, false, &result, &error), &error, ERROR_TPM, "belongs to another TPM");
    machine_disconnect(machine);
    swtpm_stop(&machine->swtpm);
    machine->swtpm = own;
    machine_connect(machine);
}

/* ---- commit ---- */

/* The states that are approved, as if each had been approved in an earlier boot; the first one's entry is set. */
static void age_states(struct machine *machine, const char *first_entry)
{
    struct state own = machine_state(machine);
    struct error error;
    bool first = true;

    for (size_t i = 0; i < own.approval.branch_count; i++) {
        struct branch *branch = &own.approval.branches[i];

        if (branch->kind != BRANCH_BOOT)
            continue;
        strcpy(branch->approved_in, "00000000");
        if (first && first_entry)
            strcpy(branch->entry, first_entry);
        first = false;
    }
    assert_good(state_save_approval(&own, &error), &error);
    state_close(&own);
}

/* Two states: that of the enrolment, and the update, which is what runs. */
static void run_update(struct machine *machine, const char *first_entry)
{
    struct reseal_result result;
    struct error error;

    boot_updated(machine);
    assert_good(reseal(machine, true, false, &result, &error), &error);
    assert_int_equal(result.boot_branches, 2);
    age_states(machine, first_entry);
}

static int commit(struct machine *machine, const char *const *entries, struct reseal_result *ret, struct error *error)
{
    const struct reseal_request request = {
        .tpm = machine->tpm,
        .state_folder = machine->state_folder,
        .report_path = machine->report_path,
        .entries = entries,
        .kernel_folder = machine->scratch.folder,
    };

    return reseal_commit(&request, ret, error);
}

static void test_commit(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;

    run_update(machine, NULL);
    assert_good(commit(machine, NULL, &result, &error), &error);
    assert_int_equal(result.boot_branches, 1);
    assert_int_equal(result.dropped, 1);
    assert_true(result.states[0].running);
    assert_string_equal(result.states[0].label, result.label);
    assert_int_equal(machine_handles(machine), 0);
    assert_good(commit(machine, NULL, &result, &error), &error); /* never the last one */
    assert_int_equal(result.boot_branches, 1);
    assert_int_equal(result.dropped, 0);
    assert_good(unlock_next_boot(machine, true, &error), &error);
    assert_error(unlock_next_boot(machine, false, &error), &error, ERROR_MISMATCH, "PCR 4");
}

static void test_commit_leaves_installed_kernels(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;

    run_update(machine, "previous");
    scratch_write(&machine->scratch, "vmlinuz-previous", "");
    assert_good(commit(machine, NULL, &result, &error), &error);
    assert_int_equal(result.dropped, 0);
    assert_string_equal(result.states[0].entry, "previous");
    assert_int_equal(remove(scratch_path(&machine->scratch, "vmlinuz-previous")), 0);
    assert_good(commit(machine, NULL, &result, &error), &error);
    assert_int_equal(result.dropped, 1);
    assert_error(unlock_next_boot(machine, false, &error), &error, ERROR_MISMATCH, "PCR 4");
}

/* The caller knows which entries the boot loader has: then what is installed does not count. */
static void test_commit_of_named_entries(void **state)
{
    static const char *const previous[] = { "other", "previous", NULL }, *const others[] = { "other", NULL };
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;

    run_update(machine, "previous");
    assert_good(commit(machine, previous, &result, &error), &error);
    assert_int_equal(result.dropped, 0);
    scratch_write(&machine->scratch, "vmlinuz-previous", "");
    assert_good(commit(machine, others, &result, &error), &error);
    assert_int_equal(result.dropped, 1);
    assert_good(unlock_next_boot(machine, true, &error), &error);
}

/* A name that leads out of the folder is no installed kernel. */
static void test_commit_of_an_odd_entry(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;

    run_update(machine, "x/../vmlinuz-x");
    scratch_write(&machine->scratch, "vmlinuz-x", "");
    assert_good(commit(machine, NULL, &result, &error), &error);
    assert_int_equal(result.dropped, 1);
}

static void test_commit_ends_a_suspension(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct branch suspend = { .kind = BRANCH_SUSPEND, .after = 1, .until = 2 };
    struct approval draft = { 0 };
    struct state own;
    struct error error;

    run_update(machine, NULL);
    own = machine_state(machine);
    suspend.values = own.approval.branches[approval_find_branch(&own.approval, BRANCH_BOOT)].values;
    assert_good(approval_copy(&own.approval, &draft, &error), &error);
    assert_good(approval_add_branch(&draft, &suspend, &error), &error);
    assert_good(approve_switch(machine->tpm, &own, &draft, &error), &error);
    state_close(&own);
    assert_good(commit(machine, NULL, &result, &error), &error);
    assert_int_equal(result.dropped, 1);
    assert_true(result.resumed);
    own = machine_state(machine);
    assert_int_equal(approval_find_branch(&own.approval, BRANCH_SUSPEND), -1);
    state_close(&own);
}

static void test_commit_in_another_boot(void **state)
{
    struct machine *machine = *state;
    struct reseal_result result;
    struct error error;

    run_update(machine, NULL);
    machine_reboot(machine);
    machine_extend(machine, 4, "a third");
    machine_leave_initramfs(machine);
    assert_error(commit(machine, NULL, &result, &error), &error, ERROR_MISMATCH, "not an approved one");
    assert_non_null(strstr(error.remedy, "reseal --current"));
    assert_good(unlock_next_boot(machine, true, &error), &error);
    assert_good(unlock_next_boot(machine, false, &error), &error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_replaces),
        enrolled_test(test_keeps),
        enrolled_test(test_changes_nothing_else),
        enrolled_test(test_current_values),
        enrolled_test(test_extended_since_the_initramfs),
        machine_test(test_nothing_enrolled),
        enrolled_test(test_repairs),
        enrolled_test(test_forged_list_is_overwritten),
        enrolled_test(test_another_tpm),
        enrolled_test(test_commit),
        enrolled_test(test_commit_leaves_installed_kernels),
        enrolled_test(test_commit_of_named_entries),
        enrolled_test(test_commit_of_an_odd_entry),
        enrolled_test(test_commit_ends_a_suspension),
        enrolled_test(test_commit_in_another_boot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
