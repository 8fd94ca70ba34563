/* Every change of approval is cut after each of its steps; there must be a way in, and the next change must work. */
#include "protect/seal/approve.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/machine.h"
#include "protect/provision/provision.h"

static struct digest digest_of(const struct approval *approval)
{
    struct digest digest;
    struct error error;

    assert_good(approval_digest(approval, &digest, &error), &error);
    return digest;
}

static struct digest held(struct machine *machine, const struct state *state)
{
    struct digest digest;
    struct error error;

    assert_good(tpm_index_read(machine->tpm, &state->pins.index, &digest, &error), &error);
    return digest;
}

static bool is_held(struct machine *machine, const struct state *state, const struct approval *approval)
{
    struct digest a = digest_of(approval), b = held(machine, state);

    return digest_equal(&a, &b);
}

/* The state folder, and the connection using its TPM's entities. */
static struct state opened(struct machine *machine, bool *ret_lost)
{
    struct state state = machine_state(machine);
    struct error error;

    assert_good(provision_tpm(machine->tpm, &state, ret_lost, &error), &error);
    return state;
}

/* What is in force and one boot state more. */
static struct approval longer(const struct state *state)
{
    struct approval next = { 0 };
    struct branch branch;
    struct error error;

    assert_good(approval_copy(&state->approval, &next, &error), &error);
    branch = next.branches[approval_find_branch(&next, BRANCH_BOOT)];
    memset(branch.values.value[4], 0x77, DIGEST_BYTES);
    assert_good(approval_add_branch(&next, &branch, &error), &error);
    return next;
}

static void write_header(struct machine *machine, size_t i, const struct state *state, const struct approval *approval,
                         const struct approval *next)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct error error;

    assert_good(volume_open(&volume, machine->volumes[i].path, &error), &error);
    assert_good(approve_write_token(volume, state, approval, next, &error), &error);
}

static void write_index(struct machine *machine, struct state *state, const struct approval *approval)
{
    struct authority_signer signer = authority_signer(state->authority);
    struct digest digest = digest_of(approval);
    struct error error;

    assert_good(tpm_index_write(machine->tpm, &state->pins.index, &digest, &signer, &error), &error);
}

enum cut {
    CUT_BEFORE,
    CUT_AFTER_FILE,           /* approval.json holds both */
    CUT_AFTER_FIRST_HEADER,   /* so does volume 0's header */
    CUT_AFTER_BOTH_HEADERS,   /* and volume 1's */
    CUT_AFTER_INDEX,          /* the commit point is passed */
    CUT_AFTER_NEW_FILE,       /* approval.json holds the new list alone */
    CUT_AFTER_FIRST_REWRITE,  /* so does volume 0's header */
    CUT_AFTER_SECOND_REWRITE, /* all done */
};

/* approve_switch(), step by step, with the power gone after `cut`. */
static void change_and_cut(struct machine *machine, enum cut cut)
{
    cleanup(state_close) struct state state = opened(machine, NULL);
    cleanup(approval_free) struct approval old = { 0 };
    struct error error;

    assert_good(approval_copy(&state.approval, &old, &error), &error);
    state.next = longer(&state);
    state.has_next = true;
    if (cut >= CUT_AFTER_FILE)
        assert_good(state_save_approval(&state, &error), &error);
    for (size_t i = 0; i < 2; i++)
        if (cut >= CUT_AFTER_FIRST_HEADER + i)
            write_header(machine, i, &state, &state.approval, &state.next);
    if (cut >= CUT_AFTER_INDEX)
        write_index(machine, &state, &state.next);
    approval_free(&state.approval);
    state.approval = state.next;
    state.next = (struct approval){ 0 };
    state.has_next = false;
    if (cut >= CUT_AFTER_NEW_FILE)
        assert_good(state_save_approval(&state, &error), &error);
    for (size_t i = 0; i < 2; i++)
        if (cut >= CUT_AFTER_FIRST_REWRITE + i)
            write_header(machine, i, &state, &state.approval, NULL);
}

static void expect_both_open(struct machine *machine)
{
    struct error error;

    for (size_t i = 0; i < 2; i++)
        assert_good(machine_unlock(machine, i, MACHINE_PIN, &error), &error);
}

static void test_cut_change(void **state)
{
    struct machine *machine = *state;

    machine_enroll(machine, machine_add_volume(machine), MACHINE_PIN);
    for (enum cut cut = CUT_BEFORE; cut <= CUT_AFTER_SECOND_REWRITE; cut++) {
        struct state own = opened(machine, NULL);
        size_t branches = own.approval.branch_count;
        bool lost = true;
        struct error error;

        state_close(&own);
        change_and_cut(machine, cut);
        machine_reboot(machine);
        expect_both_open(machine);
        own = opened(machine, &lost);
        assert_false(lost);
        assert_good(approve_settle(machine->tpm, &own, lost, &error), &error);
        assert_int_equal(own.approval.branch_count, branches + (cut >= CUT_AFTER_INDEX));
        assert_false(own.has_next);
        assert_true(is_held(machine, &own, &own.approval));
        { /* the next change starts from there, and ends with one list everywhere */
            cleanup(approval_free) struct approval next = longer(&own);

            approval_remove_branch(&next, next.branch_count - 1);
            assert_good(approve_switch(machine->tpm, &own, &next, &error), &error);
        }
        assert_true(is_held(machine, &own, &own.approval));
        state_close(&own);
        expect_both_open(machine);
    }
}

static void test_switch(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = opened(machine, NULL);
    cleanup(approval_free) struct approval next = longer(&own);
    struct digest expected = digest_of(&next), found;
    struct error error;

    assert_good(approve_switch(machine->tpm, &own, &next, &error), &error);
    assert_int_equal(next.branch_count, 0); /* taken over */
    assert_false(own.has_next);
    found = digest_of(&own.approval);
    assert_true(digest_equal(&found, &expected));
    assert_true(is_held(machine, &own, &own.approval));
    state_close(&own);
    own = opened(machine, NULL);
    assert_int_equal(own.approval.branch_count, 3);
    assert_false(own.has_next);
    state_close(&own);
    expect_both_open(machine);
}

static int setup_two(void **state)
{
    int r = machine_setup_enrolled(state);

    if (!r)
        machine_enroll(*state, machine_add_volume(*state), MACHINE_PIN);
    return r;
}

/* Nothing changes in the TPM while a volume is not there to be told. */
static void test_missing_volume(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = opened(machine, NULL);
    cleanup(approval_free) struct approval next = longer(&own);
    struct digest before = held(machine, &own), after;
    struct error error;

    assert_return_code(rename(machine->volumes[1].path, scratch_path(&machine->scratch, "unplugged")), 0);
    assert_error(approve_switch(machine->tpm, &own, &next, &error), &error, ERROR_FAILED, "volume1");
    after = held(machine, &own);
    assert_true(digest_equal(&before, &after));
    assert_return_code(rename(scratch_path(&machine->scratch, "unplugged"), machine->volumes[1].path), 0);
    state_close(&own);
    expect_both_open(machine);
}

static void test_another_volume_in_its_place(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = opened(machine, NULL);
    cleanup(approval_free) struct approval next = longer(&own);
    size_t other = machine_add_volume(machine);
    uint8_t before[32], after[32];
    struct error error;

    luks_set_uuid(machine->volumes[other].path, own.pins.volumes[1].uuid);
    machine_copy(machine->volumes[other].path, machine->volumes[1].path);
    luks_file_digest(&machine->volumes[1], before);
    assert_error(approve_switch(machine->tpm, &own, &next, &error), &error, ERROR_METADATA, "volume1");
    luks_file_digest(&machine->volumes[1], after);
    assert_memory_equal(before, after, sizeof(before));
}

static void test_lost_index(void **state)
{
    struct machine *machine = *state;
    struct state own = opened(machine, NULL);
    struct digest before = held(machine, &own);
    struct error error;
    bool lost = false;

    assert_good(tpm_index_undefine(machine->tpm, &own.pins.index, &error), &error);
    state_close(&own);
    assert_int_not_equal(machine_unlock(machine, 0, MACHINE_PIN, &error), 0);
    own = opened(machine, &lost);
    assert_true(lost);
    assert_good(approve_settle(machine->tpm, &own, lost, &error), &error);
    {
        struct digest after = held(machine, &own);

        assert_true(digest_equal(&before, &after));
    }
    state_close(&own);
    expect_both_open(machine); /* with no PIN asked in between */
}

static void test_lost_index_and_cut_change(void **state)
{
    struct machine *machine = *state;
    struct state own;
    struct error error;
    bool lost = false;

    change_and_cut(machine, CUT_AFTER_BOTH_HEADERS);
    own = machine_state(machine);
    assert_good(tpm_index_undefine(machine->tpm, &own.pins.index, &error), &error);
    state_close(&own);
    own = opened(machine, &lost);
    assert_good(approve_settle(machine->tpm, &own, lost, &error), &error);
    assert_false(own.has_next);
    assert_true(is_held(machine, &own, &own.approval));
    state_close(&own);
    expect_both_open(machine);
}

static void change_after_settling(struct machine *machine, struct state *own)
{
    cleanup(approval_free) struct approval next = { 0 };
    size_t branches = own->approval.branch_count;
    struct error error;

    assert_good(approve_settle(machine->tpm, own, false, &error), &error);
    assert_int_equal(own->approval.branch_count, branches);
    next = longer(own);
    assert_good(approve_switch(machine->tpm, own, &next, &error), &error);
    assert_true(is_held(machine, own, &own->approval));
}

/* The index holds a list that nobody here knows of: the next change starts from what is on record all the same. */
static void test_unknown_list(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = opened(machine, NULL);
    cleanup(approval_free) struct approval other = longer(&own);

    write_index(machine, &own, &other);
    assert_false(is_held(machine, &own, &own.approval));
    change_after_settling(machine, &own);
}

static void test_settle_before_any_approval(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = { .lock = -1 };
    struct error error;
    bool lost;

    assert_good(state_open(machine->state_folder, STATE_CREATE, &own, &error), &error);
    assert_good(provision_tpm(machine->tpm, &own, &lost, &error), &error);
    assert_good(approve_settle(machine->tpm, &own, lost, &error), &error);
    assert_false(own.has_approval);
}

static enum tpm_index_condition probe(struct machine *machine, const struct entity *index)
{
    enum tpm_index_condition condition;
    struct error error;

    assert_good(tpm_index_probe(machine->tpm, index, &condition, &error), &error);
    return condition;
}

static void test_withdraw_one_of_two(void **state)
{
    struct machine *machine = *state;
    struct state own = opened(machine, NULL);
    struct object_name name = own.approval.objects[1];
    struct error error;

    assert_int_equal(own.approval.object_count, 2);
    assert_good(approve_withdraw(machine->tpm, &own, &name, 1, &error), &error);
    assert_int_equal(own.approval.object_count, 1);
    assert_true(is_held(machine, &own, &own.approval));
    state_close(&own);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
    assert_error(machine_unlock(machine, 1, MACHINE_PIN, &error), &error, ERROR_METADATA, "not in force");
}

static void test_withdraw_a_stranger(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = opened(machine, NULL);
    struct digest before = held(machine, &own), after;
    struct object_name stranger = { { 0, 0x0b, 1 } };
    struct error error;

    assert_good(approve_withdraw(machine->tpm, &own, &stranger, 1, &error), &error);
    assert_int_equal(own.approval.object_count, 2);
    after = held(machine, &own);
    assert_true(digest_equal(&before, &after));
}

static void test_withdraw_the_last(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = opened(machine, NULL);
    struct object_name names[2] = { own.approval.objects[0], own.approval.objects[1] };
    struct error error;

    assert_good(approve_withdraw(machine->tpm, &own, names, 2, &error), &error);
    assert_int_equal(own.approval.object_count, 0);
    assert_int_equal(probe(machine, &own.pins.index), TPM_INDEX_ABSENT);
    state_close(&own);
    own = opened(machine, NULL); /* and on disk */
    assert_int_equal(own.approval.object_count, 0);
}

static void test_withdraw_without_a_tpm(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = opened(machine, NULL);
    struct digest before = held(machine, &own), after;
    struct object_name name = own.approval.objects[1];
    struct error error;

    assert_good(approve_withdraw(NULL, &own, &name, 1, &error), &error);
    assert_int_equal(own.approval.object_count, 1);
    after = held(machine, &own);
    assert_true(digest_equal(&before, &after));
    change_after_settling(machine, &own); /* told later */
    assert_int_equal(own.approval.object_count, 1);
}

/* An index that is settled to another list than the headers have would leave volumes without a way in, should the
 * command end there: a wrong passphrase is enough. */
static void test_way_in_after_settling(void **state)
{
    struct machine *machine = *state;
    struct state own = opened(machine, NULL);
    struct object_name name = own.approval.objects[1];
    struct error error;

    assert_good(approve_withdraw(NULL, &own, &name, 1, &error), &error);
    assert_good(approve_settle(machine->tpm, &own, false, &error), &error);
    state_close(&own);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
}

static void test_tokens_of_others_hand(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = machine_state(machine);

    luks_set(machine->volumes[0].path, "tokens/7",
             "{ \"type\": \"bootseal-approval\", \"keyslots\": [], \"version\": 1, \"forged\": true }");
    luks_set(machine->volumes[0].path, "tokens/8",
             "{ \"type\": \"bootseal-approval\", \"keyslots\": [], \"version\": 1, \"forged\": true }");
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_APPROVAL), 3);
    write_header(machine, 0, &own, &own.approval, NULL);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_APPROVAL), 1);
    state_close(&own);
    expect_both_open(machine);
}

/* Of other indices only the list that a rotation has beside this one stays. */
static void test_tokens_of_other_indices(void **state)
{
    static const char other[] = "{ \"type\": \"bootseal-approval\", \"keyslots\": [], \"version\": 1, \"index\": "
                                "\"000b000000000000000000000000000000000000000000000000000000000000beef\" }";
    struct machine *machine = *state;
    cleanup(state_close) struct state own = machine_state(machine);
    struct error error;

    luks_set(machine->volumes[0].path, "tokens/9", other);
    own.rotation = ROTATION_WAITING;
    own.other_index = (struct object_name){ { 0, 0x0b, [32] = 0xbe, [33] = 0xef } };
    write_header(machine, 0, &own, &own.approval, NULL);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_APPROVAL), 2);
    own.other_index = (struct object_name){ { 0, 0x0b, 1 } };
    write_header(machine, 0, &own, &own.approval, NULL);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_APPROVAL), 1);
    luks_set(machine->volumes[0].path, "tokens/9", other);
    own.rotation = ROTATION_NONE;
    write_header(machine, 0, &own, &own.approval, NULL);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_APPROVAL), 1);
    state_close(&own);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
}

static void test_reopen(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = machine_state(machine);
    cleanup(volume_close) struct volume *volume = NULL;
    struct error error;

    assert_good(volume_open(&volume, machine->volumes[0].path, &error), &error);
    assert_good(approve_reopen(&own, &volume, &error), &error);
    assert_string_equal(volume_path(volume), machine->volumes[0].path);
    own.pins.volumes[0].facts.bytes[0] ^= 1;
    assert_error(approve_reopen(&own, &volume, &error), &error, ERROR_METADATA, "pinned volume");
    volume_close(&volume);
    assert_good(volume_open(&volume, machine->volumes[0].path, &error), &error);
    assert_return_code(rename(machine->volumes[0].path, scratch_path(&machine->scratch, "gone")), 0);
    assert_int_not_equal(approve_reopen(&own, &volume, &error), 0);
    assert_null(volume);
    assert_return_code(rename(scratch_path(&machine->scratch, "gone"), machine->volumes[0].path), 0);
}

static void test_draft(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = machine_state(machine);
    cleanup(approval_free) struct approval copy = { 0 };
    cleanup(approval_free) struct approval fresh = { 0 };
    struct digest a, b;
    struct error error;

    assert_good(approve_draft(&own, HASH_SHA384, 1u << 3, 3, &copy, &error), &error);
    a = digest_of(&copy);
    b = digest_of(&own.approval);
    assert_true(digest_equal(&a, &b)); /* what is in force, whatever was asked */
    own.has_approval = false;
    assert_good(approve_draft(&own, HASH_SHA384, 1u << 3, 3, &fresh, &error), &error);
    assert_int_equal(fresh.bank, HASH_SHA384);
    assert_int_equal(fresh.pcrs, 1u << 3);
    assert_int_equal(fresh.cap, 3);
    assert_int_equal(fresh.branch_count, 1);
    assert_int_equal(fresh.branches[0].kind, BRANCH_AUTHORITY);
    assert_int_equal(fresh.object_count, 0);
}

static void test_boot_branch(void **state)
{
    struct machine *machine = *state;
    const struct approval approval = { .bank = HASH_SHA256, .pcrs = MACHINE_PCRS, .cap = MACHINE_CAP };
    struct pcr_values values = machine_pcrs(machine);
    struct branch branch;
    struct error error;

    assert_good(approve_boot_branch(&approval, &values, &branch, &error), &error);
    assert_int_equal(branch.kind, BRANCH_BOOT);
    assert_int_equal(branch.source, BRANCH_MEASURED);
    assert_int_equal(branch.values.mask, MACHINE_PCRS);
    assert_int_equal(strncmp(branch.label, "linux ", 6), 0);
    assert_true(branch.label[6]);
    values.mask &= ~(1u << 7);
    assert_error(approve_boot_branch(&approval, &values, &branch, &error), &error, ERROR_REFUSED, "lacks PCRs");
    values.mask |= 1u << 7;
    values.bank = HASH_SHA384;
    assert_error(approve_boot_branch(&approval, &values, &branch, &error), &error, ERROR_REFUSED, "lacks PCRs");
}

#define two_test(test) cmocka_unit_test_setup_teardown(test, setup_two, machine_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_cut_change),
        two_test(test_switch),
        two_test(test_missing_volume),
        two_test(test_another_volume_in_its_place),
        two_test(test_lost_index),
        two_test(test_lost_index_and_cut_change),
        two_test(test_unknown_list),
        machine_test(test_settle_before_any_approval),
        two_test(test_withdraw_one_of_two),
        two_test(test_withdraw_a_stranger),
        two_test(test_withdraw_the_last),
        two_test(test_withdraw_without_a_tpm),
        two_test(test_way_in_after_settling),
        two_test(test_tokens_of_others_hand),
        enrolled_test(test_tokens_of_other_indices),
        two_test(test_reopen),
        enrolled_test(test_draft),
        machine_test(test_boot_branch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
