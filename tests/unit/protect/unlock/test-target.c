#include "protect/unlock/target.h"

#include "base/cleanup.h"
#include "protect/machine.h"
#include "protect/seal/approve.h"
#include "protect/unlock/keys.h"

struct opened {
    struct state state;
    struct target target;
};

static void opened_free(struct opened *opened)
{
    target_free(&opened->target);
    state_close(&opened->state);
}

static int open_now(struct machine *machine, struct opened *ret, struct error *error)
{
    opened_free(ret);
    ret->state = machine_state(machine);
    return target_open(&ret->target, &ret->state.pins, &ret->state.pins.volumes[0], error);
}

static void expect_refused(struct machine *machine, enum error_kind kind, const char *part)
{
    cleanup(opened_free) struct opened opened = { .state.lock = -1 };
    struct error error;

    assert_error(open_now(machine, &opened, &error), &error, kind, part);
}

static void test_whole_way(void **state)
{
    struct machine *machine = *state;
    cleanup(opened_free) struct opened opened = { .state.lock = -1 };
    cleanup(secret_free) struct secret pin = secret_of(MACHINE_PIN);
    cleanup(secret_free) struct secret auth = { 0 };
    cleanup(secret_free) struct secret mix = { 0 };
    cleanup(secret_free) struct secret passphrase = { 0 };
    struct target *target = &opened.target;
    struct error error;

    assert_good(open_now(machine, &opened, &error), &error);
    assert_true(target_has_pin(target));
    assert_false(target->has_next);
    assert_int_equal(machine_handles(machine), 0); /* nothing was sent */
    assert_good(tpm_srk_use(machine->tpm, &opened.state.pins.srk, &error), &error);
    assert_good(tpm_index_use(machine->tpm, &opened.state.pins.index, &error), &error);
    assert_good(target_prepare(target, machine->tpm, NULL, &error), &error);
    assert_int_equal(machine_handles(machine), 2);
    assert_good(target_prepare(target, machine->tpm, NULL, &error), &error);
    assert_int_equal(machine_handles(machine), 2);
    assert_good(keys_stretch(&pin, &target->protector->kdf, &auth, &mix, &error), &error);
    assert_good(target_unseal(target, &auth, &mix, &passphrase, &error), &error);
    assert_good(volume_keyslot_open(target->volume, target->protector->keyslot, &passphrase, NULL, NULL, &error),
                &error);
    target_free(target);
    assert_int_equal(machine_handles(machine), 0);
    target_free(target);
}

static void test_freed_while_prepared(void **state)
{
    struct machine *machine = *state;
    cleanup(opened_free) struct opened opened = { .state.lock = -1 };
    struct error error;

    assert_good(open_now(machine, &opened, &error), &error);
    assert_good(tpm_srk_use(machine->tpm, &opened.state.pins.srk, &error), &error);
    assert_good(tpm_index_use(machine->tpm, &opened.state.pins.index, &error), &error);
    assert_good(target_prepare(&opened.target, machine->tpm, NULL, &error), &error);
    target_free(&opened.target);
    assert_int_equal(machine_handles(machine), 0);
}

static void test_a_protector_without_pin_comes_first(void **state)
{
    struct machine *machine = *state;
    cleanup(opened_free) struct opened opened = { .state.lock = -1 };
    struct protector without = machine_enroll(machine, 0, NULL);
    struct error error;

    assert_good(open_now(machine, &opened, &error), &error);
    assert_int_equal(opened.target.protectors.count, 2);
    assert_false(target_has_pin(&opened.target));
    assert_string_equal(opened.target.protector->id, without.id);
}

static void test_same_pin(void **state)
{
    struct protector a = { .kind = PROTECTOR_TPM2_PIN, .kdf = { 8192, 2, 1, { 1 } } }, b = a;
    struct target x = { .protector = &a }, y = { .protector = &b };

    (void)state;
    assert_true(target_same_pin(&x, &y));
    b.kdf.salt[31] = 1;
    assert_false(target_same_pin(&x, &y));
    b = a;
    b.kdf.memory_kib++;
    assert_false(target_same_pin(&x, &y));
    b = a;
    b.kdf.iterations++;
    assert_false(target_same_pin(&x, &y));
    b = a;
    b.kdf.lanes++;
    assert_false(target_same_pin(&x, &y));
    b = a;
    b.kind = PROTECTOR_TPM2;
    assert_false(target_same_pin(&x, &y));
    assert_false(target_same_pin(&y, &y));
}

/* Chosen by number or by salt; what was prepared for another one is given back to the TPM. */
static void test_operators(void **state)
{
    struct machine *machine = *state;
    struct protector bert = machine_enroll(machine, 0, MACHINE_OTHER_PIN);
    cleanup(opened_free) struct opened opened = { .state.lock = -1 };
    struct target *target = &opened.target;
    struct operator_list operators = { 0 };
    struct kdf_parameters fresh = { 8192, 1, 1, { 0 } };
    struct error error;

    assert_good(open_now(machine, &opened, &error), &error);
    target_operators(target, &operators);
    assert_int_equal(operators.count, 2);
    assert_int_equal(target->protector->operator_number, 1);
    assert_good(tpm_srk_use(machine->tpm, &opened.state.pins.srk, &error), &error);
    assert_good(tpm_index_use(machine->tpm, &opened.state.pins.index, &error), &error);
    assert_good(target_prepare(target, machine->tpm, NULL, &error), &error);
    assert_good(target_choose_operator(target, 1, &error), &error);
    assert_true(target->prepared);
    assert_good(target_choose_operator(target, 2, &error), &error);
    assert_false(target->prepared);
    assert_int_equal(machine_handles(machine), 0);
    assert_string_equal(target->protector->id, bert.id);
    assert_error(target_choose_operator(target, 3, &error), &error, ERROR_NO_PROTECTOR, "operator 3 has no PIN");
    assert_string_equal(target->protector->id, bert.id);
    assert_good(target_choose_operator(target, 1, &error), &error);
    assert_error(target_choose_same_pin(target, &fresh, &error), &error, ERROR_NO_PROTECTOR, "");
    assert_good(target_choose_same_pin(target, &bert.kdf, &error), &error);
    assert_int_equal(target->protector->operator_number, 2);
}

/* One that the pins do not know, or that has lost its keyslot, is passed over while there is a better one. */
static void test_the_better_protector(void **state)
{
    static const struct {
        const char *member, *json;
    } edits[] = {
        { "keyslots", "[]" },
        { "kdf/memory_kib", "64" },
    };
    struct machine *machine = *state;
    struct protector bert = machine_enroll(machine, 0, MACHINE_OTHER_PIN);
    cleanup(opened_free) struct opened opened = { .state.lock = -1 };
    struct error error;
    int first;

    assert_good(open_now(machine, &opened, &error), &error);
    first = opened.target.protector->token;
    machine_copy(machine->volumes[0].path, scratch_path(&machine->scratch, "genuine"));
    for (size_t i = 0; i < array_size(edits); i++) {
        char path[64];

        snprintf(path, sizeof(path), "tokens/%d/%s", first, edits[i].member);
        luks_set(machine->volumes[0].path, path, edits[i].json);
        assert_good(open_now(machine, &opened, &error), &error);
        assert_string_equal(opened.target.protector->id, bert.id);
        assert_error(target_choose_operator(&opened.target, 1, &error), &error, ERROR_METADATA, "");
        assert_string_equal(opened.target.protector->id, bert.id);
        machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    }
}

static void test_no_operators_without_a_pin(void **state)
{
    struct machine *machine = *state;
    cleanup(opened_free) struct opened opened = { .state.lock = -1 };
    struct operator_list operators = { 0 };
    struct error error;

    machine_enroll(machine, 0, NULL);
    assert_good(open_now(machine, &opened, &error), &error);
    target_operators(&opened.target, &operators);
    assert_int_equal(operators.count, 0);
    assert_good(target_choose_operator(&opened.target, 1, &error), &error); /* who asks for it gets it */
    assert_true(target_has_pin(&opened.target));
}

static void test_no_protector(void **state)
{
    struct machine *machine = *state;

    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "", NULL);
    expect_refused(machine, ERROR_NO_PROTECTOR, "no bootseal protector");
}

static void test_protector_without_keyslot(void **state)
{
    machine_set_token(*state, 0, TOKEN_TYPE_PROTECTOR, "keyslots", "[]");
    expect_refused(*state, ERROR_METADATA, "names no keyslot");
}

static void test_edited_protector(void **state)
{
    struct machine *machine = *state;
    char name[80] = "\"000b";

    memset(name + 5, 'a', 64);
    strcpy(name + 69, "\"");
    machine_copy(machine->volumes[0].path, scratch_path(&machine->scratch, "genuine"));
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "tpm/srk", name);
    expect_refused(machine, ERROR_METADATA, "SRK is not the pinned one");
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "tpm/approval", name);
    expect_refused(machine, ERROR_METADATA, "index is not the pinned one");
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "kdf/memory_kib", "64");
    expect_refused(machine, ERROR_METADATA, "less than the pinned");
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "version", "2");
    expect_refused(machine, ERROR_METADATA, "version");
}

static void test_edited_header(void **state)
{
    struct machine *machine = *state;

    luks_set(machine->volumes[0].path, "segments/0/encryption", "\"aes-cbc-essiv:sha256\"");
    expect_refused(machine, ERROR_METADATA, "not that of the pinned volume");
}

static void test_another_volume(void **state)
{
    struct machine *machine = *state;
    size_t other = machine_add_volume(machine);

    machine_copy(machine->volumes[other].path, machine->volumes[0].path);
    expect_refused(machine, ERROR_METADATA, "has the UUID");
    luks_set_uuid(machine->volumes[0].path, LUKS_FILE_UUID); /* its own key, the pinned UUID */
    expect_refused(machine, ERROR_METADATA, "not that of the pinned volume");
}

static void test_approval_tokens(void **state)
{
    struct machine *machine = *state;

    machine_copy(machine->volumes[0].path, scratch_path(&machine->scratch, "genuine"));
    machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, "version", "2");
    expect_refused(machine, ERROR_METADATA, "version");
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, "bank", "\"sha384\"");
    expect_refused(machine, ERROR_METADATA, "");
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, "cap", "7");
    expect_refused(machine, ERROR_METADATA, "");
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    luks_set(machine->volumes[0].path, "tokens/9",
             "{ \"type\": \"bootseal-approval\", \"keyslots\": [], \"version\": 1 }");
    expect_refused(machine, ERROR_METADATA, "2 lists of approved states");
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, "", NULL);
    expect_refused(machine, ERROR_METADATA, "0 lists of approved states");
}

/* A list of another index is left aside; without one of the pinned index there is none. */
static void test_lists_of_two_indices(void **state)
{
    struct machine *machine = *state;
    cleanup(opened_free) struct opened opened = { .state.lock = -1 };
    struct error error;

    luks_set(machine->volumes[0].path, "tokens/9",
             "{ \"type\": \"bootseal-approval\", \"keyslots\": [], \"version\": 1, \"index\": "
             "\"000b000000000000000000000000000000000000000000000000000000000000beef\" }");
    assert_good(open_now(machine, &opened, &error), &error);
    opened_free(&opened);
    luks_set(machine->volumes[0].path, "tokens/9/index", "\"beef\"");
    expect_refused(machine, ERROR_METADATA, "index");
    luks_set(machine->volumes[0].path, "tokens/9", NULL);
    machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, "index", NULL); /* as written before there were rotations */
    assert_good(open_now(machine, &opened, &error), &error);
    opened_free(&opened);
    machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, "index",
                      "\"000b000000000000000000000000000000000000000000000000000000000000beef\"");
    expect_refused(machine, ERROR_METADATA, "0 lists of approved states");
}

/* The same for protectors: the twin of another index is not taken, wherever its token stands. */
static void test_protectors_of_two_indices(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state now = machine_state(machine);
    struct protector items[2] = { { .token = 1 }, { .token = 2, .approval = now.pins.index.name } };
    struct protector_list list = { items, 2 };

    pins_select_protectors(&now.pins, &list);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].token, 2);
    items[0].approval = (struct object_name){ { 1 } };
    pins_select_protectors(&now.pins, &list);
    assert_int_equal(list.count, 1); /* none fits: what is wrong is said by pins_check_protector() */
    state_close(&now);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "tpm/approval",
                      "\"000b000000000000000000000000000000000000000000000000000000000000beef\"");
    expect_refused(machine, ERROR_METADATA, "approval index is not the pinned one");
}

static void test_both_lists(void **state)
{
    struct machine *machine = *state;
    cleanup(opened_free) struct opened opened = { .state.lock = -1 };
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(state_close) struct state now = machine_state(machine);
    cleanup(approval_free) struct approval next = { 0 };
    struct branch branch;
    struct error error;

    assert_good(approval_copy(&now.approval, &next, &error), &error);
    branch = next.branches[approval_find_branch(&next, BRANCH_BOOT)];
    assert_good(approval_add_branch(&next, &branch, &error), &error);
    assert_good(volume_open(&volume, machine->volumes[0].path, &error), &error);
    assert_good(approve_write_token(volume, &now, &now.approval, &next, &error), &error);
    state_close(&now);
    assert_good(open_now(machine, &opened, &error), &error);
    assert_true(opened.target.has_next);
    assert_int_equal(opened.target.approval.branch_count, 2);
    assert_int_equal(opened.target.next.branch_count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_whole_way),
        enrolled_test(test_freed_while_prepared),
        enrolled_test(test_a_protector_without_pin_comes_first),
        cmocka_unit_test(test_same_pin),
        enrolled_test(test_operators),
        enrolled_test(test_the_better_protector),
        enrolled_test(test_no_operators_without_a_pin),
        enrolled_test(test_no_protector),
        enrolled_test(test_protector_without_keyslot),
        enrolled_test(test_edited_protector),
        enrolled_test(test_edited_header),
        enrolled_test(test_another_volume),
        enrolled_test(test_approval_tokens),
        enrolled_test(test_lists_of_two_indices),
        enrolled_test(test_protectors_of_two_indices),
        enrolled_test(test_both_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
