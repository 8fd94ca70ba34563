#include "protect/provision/provision.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "policy/digest.h"
#include "protect/machine.h"
#include "protect/seal/approve.h"
#include "tpm/lockout.h"

static const struct lockout_rules rules = { .max_tries = 20, .recovery_s = 900, .lockout_recovery_s = 3600 };

static struct state new_state(struct machine *machine)
{
    struct state state;
    struct error error;

    assert_good(state_open(machine->state_folder, STATE_CREATE, &state, &error), &error);
    return state;
}

static struct tpm_state tpm_now(struct machine *machine)
{
    struct tpm_state now;
    struct error error;

    assert_good(tpm_state_read(machine->tpm, &now, &error), &error);
    return now;
}

static enum tpm_index_condition probe(struct machine *machine, const struct entity *index)
{
    enum tpm_index_condition condition;
    struct error error;

    assert_good(tpm_index_probe(machine->tpm, index, &condition, &error), &error);
    return condition;
}

static void test_first_time(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = new_state(machine);
    struct entity srk;
    struct error error;
    bool lost = false;

    assert_good(provision_tpm(machine->tpm, &own, &lost, &error), &error);
    assert_true(lost); /* it had to be defined, and is not written yet */
    assert_good(tpm_srk_read(machine->tpm, &srk, &error), &error);
    assert_true(object_name_equal(&srk.name, &own.pins.srk.name));
    assert_good(entity_check(&own.pins.srk, &error), &error);
    assert_good(entity_check(&own.pins.index, &error), &error);
    assert_int_equal(own.pins.index.handle, TPM_INDEX_FIRST);
    assert_int_equal(probe(machine, &own.pins.index), TPM_INDEX_UNWRITTEN);
    assert_false(own.has_pins); /* saves nothing */
    assert_int_equal(machine_handles(machine), 0);
}

/* Once pinned, nothing is chosen anew. */
static void test_again(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = machine_state(machine);
    struct pins before = own.pins;
    struct error error;
    bool lost = true;

    assert_good(provision_tpm(machine->tpm, &own, &lost, &error), &error);
    assert_false(lost);
    assert_memory_equal(&own.pins, &before, sizeof(before));
}

static void test_taken_handles_are_left_alone(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = new_state(machine);
    struct digest policy = { { 1 } };
    struct entity others;
    struct error error;

    assert_good(tpm_index_describe(TPM_INDEX_FIRST, &policy, &others, &error), &error);
    assert_good(tpm_index_define(machine->tpm, &others, &error), &error);
    assert_good(provision_tpm(machine->tpm, &own, NULL, &error), &error);
    assert_int_equal(own.pins.index.handle, TPM_INDEX_FIRST + 1);
    assert_int_equal(probe(machine, &others), TPM_INDEX_UNWRITTEN);
}

static void test_lost_index(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = machine_state(machine);
    struct digest policy = { { 1 } };
    struct entity foreign;
    struct error error;
    bool lost = false;

    assert_good(tpm_index_undefine(machine->tpm, &own.pins.index, &error), &error);
    assert_good(provision_tpm(machine->tpm, &own, &lost, &error), &error);
    assert_true(lost);
    assert_int_equal(probe(machine, &own.pins.index), TPM_INDEX_UNWRITTEN);
    /* and when somebody put one of his own there */
    assert_good(tpm_index_undefine(machine->tpm, &own.pins.index, &error), &error);
    assert_good(tpm_index_describe(own.pins.index.handle, &policy, &foreign, &error), &error);
    assert_good(tpm_index_define(machine->tpm, &foreign, &error), &error);
    assert_int_equal(probe(machine, &own.pins.index), TPM_INDEX_FOREIGN);
    lost = false;
    assert_good(provision_tpm(machine->tpm, &own, &lost, &error), &error);
    assert_true(lost);
    assert_int_equal(probe(machine, &own.pins.index), TPM_INDEX_UNWRITTEN);
}

static void test_another_tpms_state(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = machine_state(machine);
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct swtpm other;
    struct pins before = own.pins;
    struct error error;

    assert_int_equal(swtpm_start(&other), 0);
    assert_good(tpm_open(&tpm, swtpm_tcti(&other), &error), &error);
    assert_error(provision_tpm(tpm, &own, NULL, &error), &error, ERROR_TPM, "belongs to another TPM");
    assert_non_null(strstr(error.remedy, "enroll anew"));
    assert_memory_equal(&own.pins, &before, sizeof(before));
    assert_int_equal(tpm_index_probe(tpm, &own.pins.index, &(enum tpm_index_condition){ 0 }, &error), 0);
    tpm_close(&tpm);
    swtpm_stop(&other);
}

static void test_no_authority(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = new_state(machine);
    struct error error;

    authority_close(&own.authority);
    assert_error(provision_tpm(machine->tpm, &own, NULL, &error), &error, ERROR_FAILED, "has no authority");
}

/* authPolicy of the index is PolicySigned by this authority: another's signature writes nothing. */
static void test_index_belongs_to_the_authority(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = machine_state(machine);
    cleanup(authority_close) struct authority *other = NULL;
    struct authority_signer signer = authority_signer(own.authority), stranger;
    struct digest digest = { { 7 } };
    struct error error;

    assert_good(authority_open(machine->scratch.folder, true, &other, &error), &error);
    stranger = authority_signer(other);
    assert_good(provision_tpm(machine->tpm, &own, NULL, &error), &error);
    assert_int_not_equal(tpm_index_write(machine->tpm, &own.pins.index, &digest, &stranger, &error), 0);
    assert_good(tpm_index_write(machine->tpm, &own.pins.index, &digest, &signer, &error), &error);
}

static struct state provisioned(struct machine *machine)
{
    struct state own = new_state(machine);
    struct error error;

    assert_good(provision_tpm(machine->tpm, &own, NULL, &error), &error);
    return own;
}

static void test_lockout_is_set_once(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = provisioned(machine);
    cleanup(secret_free) struct secret first = { 0 };
    cleanup(secret_free) struct secret second = { 0 };
    struct tpm_state now;
    struct error error;

    assert_false(tpm_now(machine).lockout_auth_set);
    assert_good(provision_lockout(machine->tpm, &own, &rules, &error), &error);
    now = tpm_now(machine);
    assert_true(now.lockout_auth_set);
    assert_int_equal(now.max_tries, 20);
    assert_int_equal(now.recovery_s, 900);
    assert_int_equal(now.lockout_recovery_s, 3600);
    assert_good(state_read_lockout_auth(&own, &first, &error), &error);
    assert_int_equal(first.size, TPM_LOCKOUT_AUTH_BYTES);
    assert_good(tpm_lockout_reset(machine->tpm, &first, &error), &error); /* it is the TPM's */
    assert_good(provision_lockout(machine->tpm, &own, &rules, &error), &error);
    assert_good(state_read_lockout_auth(&own, &second, &error), &error);
    assert_true(secret_equal(&first, &second));
    assert_int_equal(machine_handles(machine), 0);
}

static void test_changed_limits_are_put_back(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = provisioned(machine);
    cleanup(secret_free) struct secret auth = { 0 };
    struct error error;

    assert_good(provision_lockout(machine->tpm, &own, &rules, &error), &error);
    assert_good(state_read_lockout_auth(&own, &auth, &error), &error);
    assert_good(tpm_lockout_set_limits(machine->tpm, &auth, 1000, 1, 0, &error), &error);
    assert_good(provision_lockout(machine->tpm, &own, &rules, &error), &error);
    assert_int_equal(tpm_now(machine).max_tries, 20);
    assert_int_equal(tpm_now(machine).recovery_s, 900);
}

/* The file is on disk before the TPM gets it; a cut in between is mended with the same authorisation. */
static void test_cut_before_the_tpm_has_it(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = provisioned(machine);
    cleanup(secret_free) struct secret auth = { 0 };
    cleanup(secret_free) struct secret again = { 0 };
    struct error error;

    assert_good(secret_random(&auth, TPM_LOCKOUT_AUTH_BYTES, &error), &error);
    auth.bytes[TPM_LOCKOUT_AUTH_BYTES - 1] |= 1;
    assert_good(state_save_lockout_auth(&own, &auth, &error), &error);
    assert_good(provision_lockout(machine->tpm, &own, &rules, &error), &error);
    assert_good(state_read_lockout_auth(&own, &again, &error), &error);
    assert_true(secret_equal(&auth, &again));
    assert_good(tpm_lockout_reset(machine->tpm, &again, &error), &error);
}

static void test_damaged_file(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = provisioned(machine);
    struct error error;

    scratch_write(&machine->scratch, "state/lockout-auth", "too short");
    assert_error(provision_lockout(machine->tpm, &own, &rules, &error), &error, ERROR_FAILED, "lockout authorisation");
    assert_false(tpm_now(machine).lockout_auth_set);
}

/* What is in the file is not the TPM's: it is sent once, since a wrong one locks the hierarchy, and put aside. */
static void test_file_of_another_tpm(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = provisioned(machine);
    cleanup(secret_free) struct secret real = { 0 };
    cleanup(secret_free) struct secret other = { 0 };
    struct error error;

    assert_good(secret_random(&real, TPM_LOCKOUT_AUTH_BYTES, &error), &error);
    assert_good(secret_random(&other, TPM_LOCKOUT_AUTH_BYTES, &error), &error);
    real.bytes[31] = other.bytes[31] = 1;
    assert_good(tpm_lockout_set_auth(machine->tpm, NULL, &real, &error), &error);
    assert_good(state_save_lockout_auth(&own, &other, &error), &error);
    assert_error(provision_lockout(machine->tpm, &own, &rules, &error), &error, ERROR_TPM, "was tried once");
    assert_false(file_exists(scratch_path(&machine->scratch, "state/lockout-auth")));
    assert_true(file_exists(scratch_path(&machine->scratch, "state/lockout-auth.refused")));
    /* from then on it is somebody else's, judged by its limits: a TPM's own ones are strict enough */
    assert_good(provision_lockout(machine->tpm, &own, &rules, &error), &error);
    assert_int_not_equal(tpm_now(machine).max_tries, rules.max_tries);
    assert_good(provision_forgive(machine->tpm, &own, &error), &error);
}

static uint32_t counter(struct machine *machine)
{
    return tpm_now(machine).lockout_counter;
}

static void test_forgive(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = { .lock = -1 };
    struct error error;

    assert_error(machine_unlock(machine, 0, "000000", &error), &error, ERROR_WRONG_PIN, "");
    assert_int_equal(counter(machine), 1);
    own = machine_state(machine);
    assert_good(tpm_srk_use(machine->tpm, &own.pins.srk, &error), &error);
    assert_good(provision_forgive(machine->tpm, &own, &error), &error);
    assert_int_equal(counter(machine), 0);
    assert_int_equal(machine_handles(machine), 0);
}

/* Without the authorisation it stays counted, and that is no failure. */
static void test_forgive_without_the_authorisation(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = { .lock = -1 };
    struct error error;

    assert_error(machine_unlock(machine, 0, "000000", &error), &error, ERROR_WRONG_PIN, "");
    own = machine_state(machine);
    assert_good(file_remove(scratch_path(&machine->scratch, "state/lockout-auth"), &error), &error);
    assert_good(provision_forgive(machine->tpm, &own, &error), &error);
    assert_int_equal(counter(machine), 1);
}

static int with_foreign_limits(struct machine *machine, uint32_t max_tries, uint32_t recovery_s, struct error *error)
{
    cleanup(state_close) struct state own = provisioned(machine);
    cleanup(secret_free) struct secret theirs = { 0 };

    assert_good(secret_copy(&theirs, "the authorisation of another one", TPM_LOCKOUT_AUTH_BYTES, error), error);
    if (!tpm_now(machine).lockout_auth_set)
        assert_good(tpm_lockout_set_auth(machine->tpm, NULL, &theirs, error), error);
    assert_good(tpm_lockout_set_limits(machine->tpm, &theirs, max_tries, recovery_s, 86400, error), error);
    return provision_lockout(machine->tpm, &own, &rules, error);
}

static void test_foreign_lockout(void **state)
{
    struct machine *machine = *state;
    struct error error;

    assert_error(with_foreign_limits(machine, 21, 900, &error), &error, ERROR_REFUSED, "too loose for a PIN: 21 tries");
    assert_non_null(strstr(error.text, "at most 20 and at least 900 s"));
    assert_error(with_foreign_limits(machine, 20, 899, &error), &error, ERROR_REFUSED, "one more each 899 s");
    assert_error(with_foreign_limits(machine, 20, 0, &error), &error, ERROR_REFUSED, "too loose");
    assert_error(with_foreign_limits(machine, UINT32_MAX, UINT32_MAX, &error), &error, ERROR_REFUSED, "too loose");
    assert_good(with_foreign_limits(machine, 20, 900, &error), &error);
    assert_good(with_foreign_limits(machine, 5, 7200, &error), &error);
    assert_int_equal(tpm_now(machine).max_tries, 5); /* theirs, untouched */
    assert_false(file_exists(scratch_path(&machine->scratch, "state/lockout-auth")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(test_first_time),
        enrolled_test(test_again),
        machine_test(test_taken_handles_are_left_alone),
        enrolled_test(test_lost_index),
        enrolled_test(test_another_tpms_state),
        machine_test(test_no_authority),
        enrolled_test(test_index_belongs_to_the_authority),
        machine_test(test_lockout_is_set_once),
        machine_test(test_changed_limits_are_put_back),
        machine_test(test_cut_before_the_tpm_has_it),
        machine_test(test_damaged_file),
        machine_test(test_file_of_another_tpm),
        enrolled_test(test_forgive),
        enrolled_test(test_forgive_without_the_authorisation),
        machine_test(test_foreign_lockout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
