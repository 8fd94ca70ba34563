/* A machine with one protector with a PIN, and the unlock sequence run on its parts. */
#include "protect/unlock/unseal.h"

#include "base/cleanup.h"
#include "protect/machine.h"
#include "protect/seal/approve.h"
#include "protect/unlock/cap.h"
#include "protect/unlock/keys.h"
#include "tpm/approval-index.h"

struct parts {
    struct state state;
    struct volume *volume;
    struct protector_list protectors;
    struct secret auth, mix, sealed;
    struct unseal unseal;
    struct authority_signer signer;
};

static void parts_free(struct parts *parts)
{
    unseal_free(&parts->unseal);
    secret_free(&parts->auth);
    secret_free(&parts->mix);
    secret_free(&parts->sealed);
    protector_list_free(&parts->protectors);
    volume_close(&parts->volume);
    state_close(&parts->state);
}

static void stretch(struct parts *parts, const char *text)
{
    cleanup(secret_free) struct secret pin = secret_of(text);
    struct error error;

    secret_free(&parts->auth);
    secret_free(&parts->mix);
    assert_good(keys_stretch(&pin, &parts->protectors.items[0].kdf, &parts->auth, &parts->mix, &error), &error);
}

static struct parts parts_of(struct machine *machine)
{
    struct parts parts = { .state = machine_state(machine) };
    struct error error;

    assert_good(volume_open(&parts.volume, machine->volumes[0].path, &error), &error);
    assert_good(protector_list_read(parts.volume, TOKEN_TYPE_PROTECTOR, &parts.protectors, &error), &error);
    assert_int_equal(parts.protectors.count, 1);
    assert_good(tpm_srk_use(machine->tpm, &parts.state.pins.srk, &error), &error);
    assert_good(tpm_index_use(machine->tpm, &parts.state.pins.index, &error), &error);
    parts.signer = authority_signer(parts.state.authority);
    if (parts.protectors.items[0].kind == PROTECTOR_TPM2_PIN)
        stretch(&parts, MACHINE_PIN);
    return parts;
}

static struct unseal_request request_of(struct machine *machine, struct parts *parts)
{
    return (struct unseal_request){
        .tpm = machine->tpm,
        .protector = &parts->protectors.items[0],
        .approval = &parts->state.approval,
    };
}

/* The sealed secret is the one that the keyslot was made from. */
static void assert_opens(struct parts *parts)
{
    cleanup(secret_free) struct secret passphrase = { 0 };
    const struct protector *protector = &parts->protectors.items[0];
    struct error error;

    assert_int_equal(parts->sealed.size, KEYS_SEALED_BYTES);
    assert_good(keys_passphrase(&parts->sealed, &parts->mix, protector->id, &passphrase, &error), &error);
    assert_good(volume_keyslot_open(parts->volume, protector->keyslot, &passphrase, NULL, NULL, &error), &error);
}

static void test_by_the_boot_state(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    struct error error;

    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    assert_int_equal(machine_handles(machine), 2); /* object and session, waiting for the PIN */
    assert_good(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error);
    assert_int_equal(machine_handles(machine), 0);
    assert_opens(&parts);
}

static void test_freed_without_a_pin(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    struct error error;

    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    unseal_free(&parts.unseal);
    assert_int_equal(machine_handles(machine), 0);
    unseal_free(&parts.unseal);
}

static uint32_t counter(struct machine *machine)
{
    struct tpm_state now;
    struct error error;

    assert_good(tpm_state_read(machine->tpm, &now, &error), &error);
    return now.lockout_counter;
}

static void test_wrong_pin_then_right(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    struct error error;

    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    stretch(&parts, "000000");
    assert_error(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error, ERROR_WRONG_PIN, "");
    assert_int_equal(error.tpm_code, TPM_CODE_WRONG_AUTH);
    assert_int_equal(parts.sealed.size, 0);
    assert_int_equal(counter(machine), 1);
    stretch(&parts, MACHINE_PIN);
    assert_good(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error);
    assert_opens(&parts);
    assert_int_equal(counter(machine), 1); /* a right PIN is not counted, and takes nothing off */
}

/* Shutdown follows each try, so that a plug that is pulled does not count it twice. */
static void test_power_cut_after_a_wrong_pin(void **state)
{
    struct machine *machine = *state;
    struct error error;

    assert_error(machine_unlock(machine, 0, "000000", &error), &error, ERROR_WRONG_PIN, "");
    machine_disconnect(machine);
    assert_int_equal(swtpm_power_cut(&machine->swtpm), 0);
    machine_connect(machine);
    assert_int_equal(counter(machine), 1);
}

static void test_lockout(void **state)
{
    struct machine *machine = *state;
    struct error error;

    machine_set_max_tries(machine, 2);
    assert_error(machine_unlock(machine, 0, "000000", &error), &error, ERROR_WRONG_PIN, "");
    assert_error(machine_unlock(machine, 0, "000000", &error), &error, ERROR_WRONG_PIN, "");
    /* known before anyone types, also with the right PIN in mind */
    assert_error(machine_unlock(machine, 0, MACHINE_PIN, &error), &error, ERROR_LOCKOUT, "after 2 wrong ones");
    assert_non_null(strstr(error.remedy, "600 s"));
    assert_int_equal(machine_handles(machine), 0);
}

static void test_lockout_while_typing(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = { .state.lock = -1 };
    struct unseal_request request;
    struct error error;

    machine_set_max_tries(machine, 1);
    parts = parts_of(machine);
    request = request_of(machine, &parts);
    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    stretch(&parts, "000000");
    assert_error(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error, ERROR_WRONG_PIN, "");
    stretch(&parts, MACHINE_PIN);
    assert_error(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error, ERROR_LOCKOUT, "");
    assert_int_equal(parts.sealed.size, 0);
}

static void test_another_pcr_moves_while_typing(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    struct error error;

    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    machine_extend(machine, 10, "what IMA saw");
    assert_good(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error);
    assert_opens(&parts);
    assert_int_equal(machine_handles(machine), 0);
    assert_int_equal(counter(machine), 0);
}

static void test_boot_state_moves_while_typing(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    struct error error;

    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    machine_extend(machine, 7, "something else");
    assert_error(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error, ERROR_MISMATCH, "PCR 7");
    assert_int_equal(parts.sealed.size, 0);
}

static void test_another_boot_state(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    struct error error;

    machine_extend(machine, 4, "an evil kernel");
    assert_error(unseal_prepare(&parts.unseal, &request, &error), &error, ERROR_MISMATCH, "PCR 4");
    assert_false(parts.unseal.capped);
    assert_int_equal(machine_handles(machine), 0);
    assert_int_equal(counter(machine), 0);
}

static void test_capped(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    struct error error;

    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
    assert_error(unseal_prepare(&parts.unseal, &request, &error), &error, ERROR_MISMATCH, "is capped");
    assert_true(parts.unseal.capped);
    assert_int_equal(machine_handles(machine), 0);
    request.authority = &parts.signer; /* and the way that the running system has */
    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    assert_good(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error);
    assert_opens(&parts);
    assert_int_equal(machine_handles(machine), 0);
}

static void test_authority_needs_the_pin_too(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    struct error error;

    request.authority = &parts.signer;
    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    stretch(&parts, "000000");
    assert_error(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error, ERROR_WRONG_PIN, "");
}

static void test_another_authority(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    cleanup(authority_close) struct authority *other = NULL;
    struct unseal_request request = request_of(machine, &parts);
    struct error error;

    assert_good(authority_open(machine->scratch.folder, true, &other, &error), &error);
    parts.signer = authority_signer(other);
    request.authority = &parts.signer;
    assert_int_not_equal(unseal_prepare(&parts.unseal, &request, &error), 0);
    assert_int_equal(error.tpm_code, TPM_CODE_OR_MISMATCH);
    assert_int_equal(machine_handles(machine), 0);
}

/* The list names other values than the TPM holds, so the TPM's own digest does not come out. */
static struct branch another_boot(struct machine *machine, uint8_t byte)
{
    struct branch branch = { .kind = BRANCH_BOOT, .label = "another", .values = machine_pcrs(machine) };

    memset(branch.values.value[4], byte, DIGEST_BYTES);
    return branch;
}

static void test_stale_list(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    cleanup(approval_free) struct approval list = { 0 };
    struct branch branch = another_boot(machine, 1);
    struct error error;

    assert_good(approval_copy(request.approval, &list, &error), &error);
    assert_good(approval_add_branch(&list, &branch, &error), &error);
    request.approval = &list;
    assert_error(unseal_prepare(&parts.unseal, &request, &error), &error, ERROR_METADATA, "not the one that the TPM");
    assert_int_equal(error.tpm_code, TPM_CODE_STALE_LIST);
    assert_int_equal(machine_handles(machine), 0);
    request.next = &parts.state.approval; /* a change that was cut before its commit, seen from the other side */
    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    assert_good(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error);
    assert_opens(&parts);
}

static void test_object_not_in_force(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    cleanup(approval_free) struct approval list = { 0 };
    struct error error;

    assert_good(approval_copy(request.approval, &list, &error), &error);
    list.objects[0].bytes[33] ^= 1;
    request.approval = &list;
    assert_error(unseal_prepare(&parts.unseal, &request, &error), &error, ERROR_METADATA, "not in force");
    assert_int_equal(machine_handles(machine), 0);
    request.next = &parts.state.approval;
    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
}

static void test_many_boot_states(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    cleanup(approval_free) struct approval list = { 0 };
    struct unseal_request request;
    struct error error;

    /* the branch of now is the last of 19: in the third group of the PolicyOR tree */
    list = (struct approval){ .bank = HASH_SHA256, .pcrs = MACHINE_PCRS, .cap = MACHINE_CAP };
    for (uint8_t i = 1; i <= 17; i++) {
        struct branch branch = another_boot(machine, i);

        assert_good(approval_add_branch(&list, &branch, &error), &error);
    }
    for (size_t i = 0; i < parts.state.approval.branch_count; i++)
        assert_good(approval_add_branch(&list, &parts.state.approval.branches[i], &error), &error);
    assert_good(approval_add_object(&list, &parts.state.approval.objects[0], &error), &error);
    assert_int_equal(list.branch_count, 19);
    assert_good(approve_switch(machine->tpm, &parts.state, &list, &error), &error);
    request = request_of(machine, &parts);
    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    assert_good(unseal_finish(&parts.unseal, &parts.auth, &parts.sealed, &error), &error);
    assert_opens(&parts);
    machine_extend(machine, 4, "an evil kernel");
    assert_error(unseal_prepare(&parts.unseal, &request, &error), &error, ERROR_MISMATCH, "PCR 4");
    assert_int_equal(machine_handles(machine), 0);
}

static void test_another_tpm(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct unseal_request request = request_of(machine, &parts);
    struct swtpm other;
    struct entity srk;
    struct error error;

    assert_int_equal(swtpm_start(&other), 0);
    assert_good(tpm_open(&tpm, swtpm_tcti(&other), &error), &error);
    assert_good(tpm_srk_make(tpm, &srk, &error), &error);
    assert_good(tpm_index_use(tpm, &parts.state.pins.index, &error), &error);
    request.tpm = tpm;
    assert_error(unseal_prepare(&parts.unseal, &request, &error), &error, ERROR_TPM, "this TPM did not seal");
    tpm_close(&tpm);
    swtpm_stop(&other);
}

static void test_index_is_gone(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = parts_of(machine);
    struct unseal_request request = request_of(machine, &parts);
    struct error error;

    assert_good(tpm_index_undefine(machine->tpm, &parts.state.pins.index, &error), &error);
    assert_error(unseal_prepare(&parts.unseal, &request, &error), &error, ERROR_TPM, "");
    assert_true(error.remedy[0]);
    assert_int_equal(machine_handles(machine), 0);
}

static void test_without_a_pin(void **state)
{
    struct machine *machine = *state;
    cleanup(parts_free) struct parts parts = { .state.lock = -1 };
    struct unseal_request request;
    struct error error;

    machine_enroll(machine, 0, NULL);
    parts = parts_of(machine);
    assert_int_equal(parts.protectors.items[0].kind, PROTECTOR_TPM2);
    request = request_of(machine, &parts);
    assert_good(unseal_prepare(&parts.unseal, &request, &error), &error);
    assert_good(unseal_finish(&parts.unseal, NULL, &parts.sealed, &error), &error);
    assert_opens(&parts);
    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
    assert_error(unseal_prepare(&parts.unseal, &request, &error), &error, ERROR_MISMATCH, "is capped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_by_the_boot_state),
        enrolled_test(test_freed_without_a_pin),
        enrolled_test(test_wrong_pin_then_right),
        enrolled_test(test_power_cut_after_a_wrong_pin),
        enrolled_test(test_lockout),
        enrolled_test(test_lockout_while_typing),
        enrolled_test(test_another_pcr_moves_while_typing),
        enrolled_test(test_boot_state_moves_while_typing),
        enrolled_test(test_another_boot_state),
        enrolled_test(test_capped),
        enrolled_test(test_authority_needs_the_pin_too),
        enrolled_test(test_another_authority),
        enrolled_test(test_stale_list),
        enrolled_test(test_object_not_in_force),
        enrolled_test(test_many_boot_states),
        enrolled_test(test_another_tpm),
        enrolled_test(test_index_is_gone),
        machine_test(test_without_a_pin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
