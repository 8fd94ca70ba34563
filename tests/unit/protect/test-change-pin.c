#include "protect/change-pin.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "machine.h"

#define WRONG_PIN "602937"

static struct change_pin_request a_request(struct machine *machine, int i)
{
    return (struct change_pin_request){
        .tpm = machine->tpm,
        .state_folder = machine->state_folder,
        .device = i < 0 ? NULL : machine->volumes[i].path,
        .kdf = machine->policy.kdf,
    };
}

/* `old` NULL: it is forgotten, and the passphrase known. */
static int try_change(const struct change_pin_request *request, const char *old, const char *new, struct error *error)
{
    cleanup(change_pin_end) struct change_pin change = { .state.lock = -1 };
    cleanup(secret_free) struct secret proof = secret_of(old ? old : LUKS_FILE_PASSPHRASE);
    cleanup(secret_free) struct secret pin = secret_of(new);
    struct change_pin_request own = *request;
    int r;

    own.forgotten = !old;
    r = change_pin_begin(&change, &own, error);
    if (!r)
        r = old ? change_pin_by_pin(&change, &proof, error) : change_pin_by_passphrase(&change, &proof, error);
    return r ? r : change_pin_finish(&change, &pin, error);
}

static void assert_pin(struct machine *machine, size_t i, const char *right, const char *wrong)
{
    struct error error;

    assert_good(machine_unlock(machine, i, right, &error), &error);
    assert_error(machine_unlock(machine, i, wrong, &error), &error, ERROR_WRONG_PIN, "");
    assert_int_equal(machine_tokens(machine, i, TOKEN_TYPE_PENDING), 0);
    assert_int_equal(machine_tokens(machine, i, TOKEN_TYPE_PROTECTOR), 1);
    assert_int_equal(__builtin_popcount(machine_keyslots(machine, i)), 2);
    assert_int_equal(machine_handles(machine), 0);
}

static void test_by_the_old_pin(void **state)
{
    struct machine *machine = *state;
    struct change_pin_request request = a_request(machine, 0);
    struct error error;

    assert_good(try_change(&request, MACHINE_PIN, MACHINE_OTHER_PIN, &error), &error);
    assert_pin(machine, 0, MACHINE_OTHER_PIN, MACHINE_PIN);
}

static void test_by_a_passphrase(void **state)
{
    struct machine *machine = *state;
    struct change_pin_request request = a_request(machine, 0);
    struct error error;

    assert_good(try_change(&request, NULL, MACHINE_OTHER_PIN, &error), &error);
    assert_pin(machine, 0, MACHINE_OTHER_PIN, MACHINE_PIN);
}

/* The protector's own passphrase is one of the volume too; it goes with the protector all the same. */
static void test_by_the_protectors_passphrase(void **state)
{
    struct machine *machine = *state;
    cleanup(change_pin_end) struct change_pin change = { .state.lock = -1 };
    cleanup(secret_free) struct secret pin = secret_of(MACHINE_PIN);
    cleanup(secret_free) struct secret other_pin = secret_of(MACHINE_OTHER_PIN);
    cleanup(secret_free) struct secret passphrase = { 0 };
    struct change_pin_request request = a_request(machine, 0);
    struct unlock unlock = { .state.lock = -1 };
    struct error error;

    assert_good(unlock_begin(&unlock, machine->tpm, machine->state_folder, request.device, &error), &error);
    assert_good(unlock_try(&unlock, &pin, &passphrase, &error), &error);
    unlock_end(&unlock);
    request.forgotten = true;
    assert_good(change_pin_begin(&change, &request, &error), &error);
    assert_good(change_pin_by_passphrase(&change, &passphrase, &error), &error);
    assert_good(change_pin_finish(&change, &other_pin, &error), &error);
    change_pin_end(&change);
    assert_pin(machine, 0, MACHINE_OTHER_PIN, MACHINE_PIN);
}

static void test_wrong_then_right(void **state)
{
    struct machine *machine = *state;
    cleanup(change_pin_end) struct change_pin change = { .state.lock = -1 };
    cleanup(secret_free) struct secret wrong = secret_of(WRONG_PIN);
    cleanup(secret_free) struct secret right = secret_of(MACHINE_PIN);
    cleanup(secret_free) struct secret new = secret_of(MACHINE_OTHER_PIN);
    struct change_pin_request request = a_request(machine, 0);
    struct error error;

    assert_good(change_pin_begin(&change, &request, &error), &error);
    assert_error(change_pin_by_pin(&change, &wrong, &error), &error, ERROR_WRONG_PIN, "");
    assert_error(change_pin_by_pin(&change, &wrong, &error), &error, ERROR_WRONG_PIN, "");
    assert_good(change_pin_by_pin(&change, &right, &error), &error);
    assert_int_equal(change.count, 1);
    assert_good(change_pin_finish(&change, &new, &error), &error);
    assert_true(change.volumes[0].changed);
    change_pin_end(&change);
    assert_pin(machine, 0, MACHINE_OTHER_PIN, MACHINE_PIN);
}

static void test_wrong_passphrase(void **state)
{
    struct machine *machine = *state;
    cleanup(change_pin_end) struct change_pin change = { .state.lock = -1 };
    cleanup(secret_free) struct secret wrong = secret_of("another passphrase");
    struct change_pin_request request = a_request(machine, 0);
    struct error error;

    request.forgotten = true;
    assert_good(change_pin_begin(&change, &request, &error), &error);
    assert_error(change_pin_by_passphrase(&change, &wrong, &error), &error, ERROR_WRONG_PIN, "existing passphrase");
    change_pin_end(&change);
    assert_pin(machine, 0, MACHINE_PIN, MACHINE_OTHER_PIN);
}

static void test_shared(void **state)
{
    struct machine *machine = *state;
    struct change_pin_request request = a_request(machine, -1);
    struct error error;

    machine_enroll(machine, machine_add_volume(machine), MACHINE_PIN);
    machine_enroll(machine, machine_add_volume(machine), WRONG_PIN);
    machine_enroll(machine, machine_add_volume(machine), NULL);
    assert_good(try_change(&request, MACHINE_PIN, MACHINE_OTHER_PIN, &error), &error);
    assert_pin(machine, 0, MACHINE_OTHER_PIN, MACHINE_PIN);
    assert_pin(machine, 1, MACHINE_OTHER_PIN, MACHINE_PIN);
    assert_pin(machine, 2, WRONG_PIN, MACHINE_OTHER_PIN);
    assert_good(machine_unlock(machine, 3, NULL, &error), &error);
}

/* Two tokens that claim one salt: the second one's try would be a guess, and is the last. */
static void test_forged_sharing(void **state)
{
    struct machine *machine = *state;
    struct change_pin_request request = a_request(machine, -1);
    struct kdf_parameters kdf = machine_enroll(machine, machine_add_volume(machine), MACHINE_OTHER_PIN).kdf;
    char salt[BASE64_TEXT(KDF_SALT_BYTES)], text[sizeof(salt) + 2], iterations[12];
    struct error error;

    base64_encode(kdf.salt, sizeof(kdf.salt), salt);
    snprintf(text, sizeof(text), "\"%s\"", salt);
    snprintf(iterations, sizeof(iterations), "%u", kdf.iterations);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "kdf/salt", text);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "kdf/iterations", iterations);
    assert_error(try_change(&request, MACHINE_OTHER_PIN, WRONG_PIN, &error), &error, ERROR_WRONG_PIN, "");
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "kdf/salt",
                      "\"" /* 32 zeros */
                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"");
    assert_good(try_change(&request, MACHINE_OTHER_PIN, WRONG_PIN, &error), &error);
    assert_pin(machine, 1, WRONG_PIN, MACHINE_OTHER_PIN);
}

/* An old protector that is in force no more is no proof, but a passphrase puts another one in its place. */
static void test_not_in_force(void **state)
{
    struct machine *machine = *state;
    struct change_pin_request request = a_request(machine, 0);
    struct error error;

    machine_enroll(machine, machine_add_volume(machine), MACHINE_PIN);
    machine_copy(machine->volumes[0].path, scratch_path(&machine->scratch, "old"));
    assert_good(try_change(&request, MACHINE_PIN, MACHINE_OTHER_PIN, &error), &error);
    machine_copy(scratch_path(&machine->scratch, "old"), machine->volumes[0].path);
    assert_error(try_change(&request, MACHINE_PIN, WRONG_PIN, &error), &error, ERROR_METADATA, "not in force");
    assert_good(try_change(&request, NULL, WRONG_PIN, &error), &error);
    assert_pin(machine, 0, WRONG_PIN, MACHINE_PIN);
    assert_pin(machine, 1, MACHINE_PIN, WRONG_PIN);
}

static int unlock_as(struct machine *machine, size_t i, unsigned number, const char *text, struct error *error)
{
    cleanup(unlock_end) struct unlock unlock = { .state.lock = -1 };
    cleanup(secret_free) struct secret pin = secret_of(text), opener = { 0 };
    int r = unlock_begin(&unlock, machine->tpm, machine->state_folder, machine->volumes[i].path, error);

    r = r ?: unlock_choose(&unlock, number, error);
    return r ?: unlock_try(&unlock, &pin, &opener, error);
}

/* One operator's PIN; nobody else's object, token or PIN changes. */
static void test_operator(void **state)
{
    struct machine *machine = *state;
    struct change_pin_request request = a_request(machine, 0);
    struct error error;

    assert_int_equal(machine_enroll(machine, 0, MACHINE_OTHER_PIN).operator_number, 2);
    request.operator_number = 2;
    assert_error(try_change(&request, MACHINE_PIN, WRONG_PIN, &error), &error, ERROR_WRONG_PIN, "");
    assert_good(try_change(&request, MACHINE_OTHER_PIN, WRONG_PIN, &error), &error);
    assert_good(unlock_as(machine, 0, 1, MACHINE_PIN, &error), &error);
    assert_good(unlock_as(machine, 0, 2, WRONG_PIN, &error), &error);
    assert_error(unlock_as(machine, 0, 2, MACHINE_OTHER_PIN, &error), &error, ERROR_WRONG_PIN, "");
    request.operator_number = 3;
    assert_error(try_change(&request, MACHINE_PIN, MACHINE_OTHER_PIN, &error), &error, ERROR_NO_PROTECTOR,
                 "operator 3 has no PIN");
    assert_int_equal(machine_handles(machine), 0);
}

/* Not said beforehand: which ones there are is told, and nothing is tried until one is chosen. */
static void test_operator_is_chosen(void **state)
{
    struct machine *machine = *state;
    cleanup(change_pin_end) struct change_pin change = { .state.lock = -1 };
    cleanup(secret_free) struct secret old = secret_of(MACHINE_OTHER_PIN), new = secret_of(WRONG_PIN);
    struct change_pin_request request = a_request(machine, -1);
    struct error error;

    machine_enroll(machine, 0, MACHINE_OTHER_PIN);
    machine_enroll(machine, machine_add_volume(machine), MACHINE_PIN);
    machine_enroll(machine, machine_add_volume(machine), MACHINE_OTHER_PIN);
    assert_good(change_pin_begin(&change, &request, &error), &error);
    assert_int_equal(change.operators.count, 2);
    assert_error(change_pin_choose(&change, 5, &error), &error, ERROR_NO_PROTECTOR, "on this machine");
    assert_int_equal(change.count, 3);
    assert_good(change_pin_choose(&change, 2, &error), &error);
    assert_int_equal(change.count, 2);
    assert_good(change_pin_by_pin(&change, &old, &error), &error);
    assert_good(change_pin_finish(&change, &new, &error), &error);
    change_pin_end(&change);
    assert_good(unlock_as(machine, 0, 1, MACHINE_PIN, &error), &error);
    assert_good(unlock_as(machine, 0, 2, WRONG_PIN, &error), &error);
    assert_good(unlock_as(machine, 1, 1, MACHINE_PIN, &error), &error);
    assert_good(unlock_as(machine, 2, 2, WRONG_PIN, &error), &error);
}

static void test_operator_that_has_forgotten(void **state)
{
    struct machine *machine = *state;
    struct change_pin_request request = a_request(machine, 0);
    struct error error;

    machine_enroll(machine, 0, MACHINE_OTHER_PIN);
    request.operator_number = 1;
    assert_good(try_change(&request, NULL, WRONG_PIN, &error), &error);
    assert_good(unlock_as(machine, 0, 1, WRONG_PIN, &error), &error);
    assert_good(unlock_as(machine, 0, 2, MACHINE_OTHER_PIN, &error), &error);
}

static void test_refusals(void **state)
{
    struct machine *machine = *state;
    struct change_pin_request request = a_request(machine, -1);
    struct error error;

    assert_error(try_change(&request, NULL, WRONG_PIN, &error), &error, ERROR_USAGE, "name it");
    request = a_request(machine, (int)machine_add_volume(machine));
    assert_error(try_change(&request, MACHINE_PIN, WRONG_PIN, &error), &error, ERROR_NO_PROTECTOR, "not enrolled");
    request = a_request(machine, 0);
    request.protector = "nothing like it";
    assert_error(try_change(&request, MACHINE_PIN, WRONG_PIN, &error), &error, ERROR_NO_PROTECTOR, "no protector");
    request.protector = NULL;
    request.state_folder = scratch_path(&machine->scratch, "nowhere");
    assert_error(try_change(&request, MACHINE_PIN, WRONG_PIN, &error), &error, ERROR_NO_PROTECTOR, "no state folder");
    assert_pin(machine, 0, MACHINE_PIN, WRONG_PIN);
}

static void test_lockout(void **state)
{
    struct machine *machine = *state;
    cleanup(change_pin_end) struct change_pin change = { .state.lock = -1 };
    struct change_pin_request request = a_request(machine, 0);
    struct error error;

    machine_set_max_tries(machine, 1);
    assert_error(try_change(&request, WRONG_PIN, MACHINE_OTHER_PIN, &error), &error, ERROR_WRONG_PIN, "");
    assert_error(change_pin_begin(&change, &request, &error), &error, ERROR_LOCKOUT, "refuses PINs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_by_the_old_pin),
        enrolled_test(test_by_a_passphrase),
        enrolled_test(test_by_the_protectors_passphrase),
        enrolled_test(test_wrong_then_right),
        enrolled_test(test_wrong_passphrase),
        enrolled_test(test_shared),
        enrolled_test(test_forged_sharing),
        enrolled_test(test_not_in_force),
        enrolled_test(test_operator),
        enrolled_test(test_operator_is_chosen),
        enrolled_test(test_operator_that_has_forgotten),
        enrolled_test(test_refusals),
        enrolled_test(test_lockout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
