#include "protect/remove.h"

#include "base/cleanup.h"
#include "machine.h"
#include "tpm/approval-index.h"

#include <stdlib.h>
#include <string.h>

static int let_it_go(void *context, const char *name, struct error *error)
{
    (void)context;
    (void)error;
    assert_int_equal(strncmp(name, "volume", 6), 0);
    return 0;
}

static int take_away(struct machine *machine, size_t i, const char *id, bool force, struct remove_result *ret,
                     struct error *error)
{
    const struct remove_request request = {
        .tpm = machine->tpm,
        .state_folder = machine->state_folder,
        .device = machine->volumes[i].path,
        .protector = id,
        .confirm_last = force ? let_it_go : NULL,
    };

    return remove_protectors(&request, ret, error);
}

static void drop_passphrase(struct machine *machine, size_t i)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct error error;

    assert_good(volume_open(&volume, machine->volumes[i].path, &error), &error);
    assert_good(volume_keyslot_remove(volume, 0, &error), &error);
}

static int setup_two(void **state)
{
    int r = machine_setup_enrolled(state);

    if (!r)
        machine_enroll(*state, machine_add_volume(*state), MACHINE_PIN);
    return r;
}

static void test_one_of_two_volumes(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = { .lock = -1 };
    struct remove_result result;
    struct error error;

    assert_good(take_away(machine, 0, NULL, false, &result, &error), &error);
    assert_int_equal(result.removed, 1);
    assert_int_equal(result.keyslots_left, 1);
    assert_int_equal(machine_keyslots(machine, 0), 1);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PROTECTOR), 0);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_APPROVAL), 0);
    own = machine_state(machine);
    assert_int_equal(own.pins.volume_count, 1);
    assert_string_equal(own.pins.volumes[0].name, "volume1");
    assert_int_equal(own.approval.object_count, 1);
    state_close(&own);
    assert_good(machine_unlock(machine, 1, MACHINE_PIN, &error), &error);
    assert_error(machine_unlock(machine, 0, MACHINE_PIN, &error), &error, ERROR_NO_PROTECTOR, "");
    assert_int_equal(machine_handles(machine), 0);
}

/* Removed means dead in the TPM: neither the old header as it was nor one with the list in force unseals. */
static void test_old_header_comes_back(void **state)
{
    struct machine *machine = *state;
    struct state own = machine_state(machine);
    struct pinned_volume pin = own.pins.volumes[0];
    cleanup(target_free) struct target target = { 0 };
    struct remove_result result;
    struct error error;

    state_close(&own);
    machine_copy(machine->volumes[0].path, scratch_path(&machine->scratch, "old"));
    assert_good(take_away(machine, 0, NULL, false, &result, &error), &error);
    machine_copy(scratch_path(&machine->scratch, "old"), machine->volumes[0].path);
    assert_error(machine_unlock(machine, 0, MACHINE_PIN, &error), &error, ERROR_NO_PROTECTOR, "");
    own = machine_state(machine); /* as if its pin were still in an old initramfs */
    assert_good(tpm_srk_use(machine->tpm, &own.pins.srk, &error), &error);
    assert_good(tpm_index_use(machine->tpm, &own.pins.index, &error), &error);
    assert_good(target_open(&target, &own.pins, &pin, &error), &error);
    assert_int_not_equal(target_prepare(&target, machine->tpm, NULL, &error), 0);
    assert_int_equal(error.tpm_code, TPM_CODE_STALE_LIST);
    approval_free(&target.approval);
    assert_good(approval_copy(&own.approval, &target.approval, &error), &error);
    assert_error(target_prepare(&target, machine->tpm, NULL, &error), &error, ERROR_METADATA, "not in force");
    target_free(&target);
    state_close(&own);
}

static void test_last_of_the_machine(void **state)
{
    struct machine *machine = *state;
    struct remove_result result;
    enum tpm_index_condition condition;
    struct state own;
    struct error error;

    assert_good(take_away(machine, 0, NULL, false, &result, &error), &error);
    assert_int_equal(machine_keyslots(machine, 0), 1);
    own = machine_state(machine);
    assert_int_equal(own.pins.volume_count, 0);
    assert_int_equal(own.approval.object_count, 0);
    assert_good(tpm_index_probe(machine->tpm, &own.pins.index, &condition, &error), &error);
    assert_int_equal(condition, TPM_INDEX_ABSENT);
    state_close(&own);
    machine_enroll(machine, 0, MACHINE_OTHER_PIN);
    assert_good(machine_unlock(machine, 0, MACHINE_OTHER_PIN, &error), &error);
}

static void test_last_way_in(void **state)
{
    struct machine *machine = *state;
    struct remove_result result;
    uint8_t before[32], after[32];
    struct error error;

    drop_passphrase(machine, 0);
    luks_file_digest(&machine->volumes[0], before);
    assert_error(take_away(machine, 0, NULL, false, &result, &error), &error, ERROR_REFUSED, "last way into");
    luks_file_digest(&machine->volumes[0], after);
    assert_memory_equal(before, after, sizeof(before));
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
    assert_good(take_away(machine, 0, NULL, true, &result, &error), &error);
    assert_int_equal(result.keyslots_left, 0);
}

static void test_by_its_id(void **state)
{
    struct machine *machine = *state;
    struct protector without = machine_enroll(machine, 0, NULL);
    struct remove_result result;
    char prefix[9];
    struct error error;

    assert_error(take_away(machine, 0, "zzzz", false, &result, &error), &error, ERROR_NO_PROTECTOR, "\"zzzz\"");
    assert_error(take_away(machine, 0, "", false, &result, &error), &error, ERROR_USAGE, "2 protectors");
    snprintf(prefix, sizeof(prefix), "%.8s", without.id);
    assert_good(take_away(machine, 0, prefix, false, &result, &error), &error);
    assert_int_equal(result.removed, 1);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PROTECTOR), 1);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_APPROVAL), 1);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error); /* the other one stays */
}

static void test_by_the_operator(void **state)
{
    struct machine *machine = *state;
    struct remove_request request = { .tpm = machine->tpm,
                                      .state_folder = machine->state_folder,
                                      .device = machine->volumes[0].path,
                                      .operator_number = 3 };
    struct remove_result result;
    struct error error;

    machine_enroll(machine, 0, NULL);
    machine_enroll(machine, 0, MACHINE_OTHER_PIN);
    assert_error(remove_protectors(&request, &result, &error), &error, ERROR_NO_PROTECTOR, "no PIN of operator 3");
    request.operator_number = 2;
    assert_good(remove_protectors(&request, &result, &error), &error);
    assert_int_equal(result.removed, 1);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PROTECTOR), 2);
}

/* With a second protector left, the volume has a way in. */
static void test_not_the_last_way_in(void **state)
{
    struct machine *machine = *state;
    struct protector without = machine_enroll(machine, 0, NULL);
    struct remove_result result;
    struct error error;

    drop_passphrase(machine, 0);
    assert_error(take_away(machine, 0, NULL, false, &result, &error), &error, ERROR_REFUSED, "last way into");
    assert_good(take_away(machine, 0, without.id, false, &result, &error), &error);
    assert_int_equal(__builtin_popcount(result.keyslots_left), 1);
}

/* The power went before the volume was unpinned: saying it again brings it to its end, and then there is nothing. */
static void test_a_removal_that_was_cut(void **state)
{
    struct machine *machine = *state;
    cleanup(free_ptr) char *kept = strdup(scratch_path(&machine->scratch, "pins.json"));
    cleanup(state_close) struct state own = { .lock = -1 };
    struct remove_result result;
    struct error error;

    assert_non_null(kept);
    machine_copy(scratch_path(&machine->scratch, "state/pins.json"), kept);
    assert_good(take_away(machine, 0, NULL, false, &result, &error), &error);
    machine_copy(kept, scratch_path(&machine->scratch, "state/pins.json"));
    assert_good(take_away(machine, 0, NULL, false, &result, &error), &error);
    assert_int_equal(result.removed, 0);
    own = machine_state(machine);
    assert_int_equal(own.pins.volume_count, 1);
    assert_string_equal(own.pins.volumes[0].name, "volume1");
    state_close(&own);
    assert_error(take_away(machine, 0, NULL, false, &result, &error), &error, ERROR_NO_PROTECTOR, "has no protector");
    assert_good(machine_unlock(machine, 1, MACHINE_PIN, &error), &error);
}

static void test_nothing_to_remove(void **state)
{
    struct machine *machine = *state;
    struct remove_result result;
    struct error error;

    assert_error(take_away(machine, 0, NULL, false, &result, &error), &error, ERROR_NO_PROTECTOR, "has no protector");
}

static void test_without_a_tpm(void **state)
{
    struct machine *machine = *state;
    struct remove_request request = { .state_folder = machine->state_folder, .device = machine->volumes[1].path };
    struct remove_result result;
    struct error error;

    assert_good(remove_protectors(&request, &result, &error), &error);
    assert_int_equal(machine_keyslots(machine, 1), 1);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
}

static void test_after_a_reinstallation(void **state)
{
    struct machine *machine = *state;
    char folder[300];
    struct remove_request request = { .state_folder = folder, .device = machine->volumes[0].path };
    struct remove_result result;
    struct error error;

    snprintf(folder, sizeof(folder), "%s/another", machine->scratch.folder);
    assert_good(remove_protectors(&request, &result, &error), &error);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PROTECTOR), 0);
    assert_int_equal(machine_keyslots(machine, 0), 1);
}

/* A volume that is not there cannot be told: nothing is removed, here neither. */
static void test_missing_other_volume(void **state)
{
    struct machine *machine = *state;
    struct remove_result result;
    struct error error;

    assert_return_code(rename(machine->volumes[1].path, scratch_path(&machine->scratch, "unplugged")), 0);
    assert_error(take_away(machine, 0, NULL, false, &result, &error), &error, ERROR_FAILED, "volume1");
    assert_int_equal(machine_keyslots(machine, 0), 3);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
    assert_return_code(rename(scratch_path(&machine->scratch, "unplugged"), machine->volumes[1].path), 0);
}

#define two_test(test) cmocka_unit_test_setup_teardown(test, setup_two, machine_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        two_test(test_one_of_two_volumes),
        two_test(test_old_header_comes_back),
        enrolled_test(test_last_of_the_machine),
        enrolled_test(test_last_way_in),
        enrolled_test(test_by_its_id),
        enrolled_test(test_by_the_operator),
        enrolled_test(test_not_the_last_way_in),
        two_test(test_a_removal_that_was_cut),
        machine_test(test_nothing_to_remove),
        two_test(test_without_a_tpm),
        enrolled_test(test_after_a_reinstallation),
        two_test(test_missing_other_volume),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
