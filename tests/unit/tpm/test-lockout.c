#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"
#include "tpm/lockout.h"

#include <string.h>

static struct secret random_auth(void)
{
    struct secret auth;
    struct error error;

    bench_ok(secret_random(&auth, TPM_LOCKOUT_AUTH_BYTES, &error), &error);
    auth.bytes[auth.size - 1] |= 1;
    return auth;
}

static void test_authorisation_is_set_changed_and_used(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret first = random_auth();
    cleanup(secret_free) struct secret second = random_auth();
    struct tpm_state after;
    struct error error;

    bench_ok(tpm_lockout_set_auth(bench->tpm, NULL, &first, &error), &error);
    assert_true(bench_state(bench).lockout_auth_set);
    bench_ok(tpm_lockout_set_auth(bench->tpm, &first, &second, &error), &error);
    bench_ok(tpm_lockout_set_limits(bench->tpm, &second, 32, 600, 86400, &error), &error);
    after = bench_state(bench);
    assert_int_equal(after.max_tries, 32);
    assert_int_equal(after.recovery_s, 600);
    assert_int_equal(after.lockout_recovery_s, 86400);
    bench_ok(tpm_lockout_reset(bench->tpm, &second, &error), &error);
    assert_int_equal(bench->tpm->live_count, 0);
}

static void test_authorisations_stay_off_the_bus(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret first = random_auth();
    cleanup(secret_free) struct secret second = random_auth();
    struct error error;

    bus_tap(bench->tpm);
    bench_ok(tpm_lockout_set_auth(bench->tpm, NULL, &first, &error), &error);
    bench_ok(tpm_lockout_set_auth(bench->tpm, &first, &second, &error), &error);
    bench_ok(tpm_lockout_set_limits(bench->tpm, &second, 32, 600, 86400, &error), &error);
    bench_ok(tpm_lockout_reset(bench->tpm, &second, &error), &error);
    assert_int_equal(bus_tap_count(), 8); /* a session for each; the TPM closes them by itself */
    assert_false(bus_tap_saw(first.bytes, first.size / 2));
    assert_false(bus_tap_saw(second.bytes, second.size / 2));
}

/* The same through a password session: the search would find it. */
static void test_the_tap_would_see_one(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_auth();
    TPM2B_AUTH clear = { .size = TPM_LOCKOUT_AUTH_BYTES };

    memcpy(clear.buffer, auth.bytes, auth.size);
    bus_tap(bench->tpm);
    assert_int_equal(Esys_HierarchyChangeAuth(bench->tpm->esys, ESYS_TR_RH_LOCKOUT, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                              ESYS_TR_NONE, &clear),
                     0);
    assert_true(bus_tap_saw(auth.bytes, auth.size / 2));
}

static void test_wrong_authorisation_locks(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret right = random_auth();
    cleanup(secret_free) struct secret wrong = random_auth();
    struct error error;

    bench_ok(tpm_lockout_set_auth(bench->tpm, NULL, &right, &error), &error);
    assert_int_equal(tpm_lockout_reset(bench->tpm, &wrong, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_WRONG_AUTH);
    assert_int_equal(tpm_lockout_reset(bench->tpm, &right, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_LOCKOUT);
    assert_int_equal(bench->tpm->live_count, 0);
}

static void test_empty_no_longer_works(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_auth();
    struct error error;

    bench_ok(tpm_lockout_set_auth(bench->tpm, NULL, &auth, &error), &error);
    assert_int_equal(tpm_lockout_set_limits(bench->tpm, NULL, 1000, 1, 1, &error), ERROR_TPM);
    assert_int_equal(bench_state(bench).max_tries, 3);
}

static void test_refuses_weak_authorisations(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret shorter = bench_secret(1, TPM_LOCKOUT_AUTH_BYTES - 1);
    cleanup(secret_free) struct secret trailing_zero = random_auth();
    struct error error;

    trailing_zero.bytes[trailing_zero.size - 1] = 0;
    assert_int_equal(tpm_lockout_set_auth(bench->tpm, NULL, &shorter, &error), ERROR_FAILED);
    assert_int_equal(tpm_lockout_set_auth(bench->tpm, NULL, &trailing_zero, &error), ERROR_FAILED);
    assert_false(bench_state(bench).lockout_auth_set);
}

static void test_reset_forgives_wrong_pins(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret lockout_auth = random_auth();
    cleanup(secret_free) struct secret pin = random_auth();
    cleanup(secret_free) struct secret wrong = random_auth();
    cleanup(secret_free) struct secret data = bench_secret(5, 32);
    cleanup(secret_free) struct secret got = { 0 };
    struct bench_object object = bench_protect(bench, &pin, &data);
    struct error error;

    bench_ok(tpm_lockout_set_auth(bench->tpm, NULL, &lockout_auth, &error), &error);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bench_unlock(bench, &object, &wrong, &got, &error), ERROR_WRONG_PIN);
    assert_int_equal(bench_state(bench).lockout_counter, 3);
    assert_true(bench_state(bench).in_lockout);
    assert_int_equal(bench_unlock(bench, &object, &pin, &got, &error), ERROR_LOCKOUT);
    bench_ok(tpm_lockout_reset(bench->tpm, &lockout_auth, &error), &error);
    assert_int_equal(bench_state(bench).lockout_counter, 0);
    bench_ok(bench_unlock(bench, &object, &pin, &got, &error), &error);
    assert_true(secret_equal(&got, &data));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_authorisation_is_set_changed_and_used),
        bench_test(test_authorisations_stay_off_the_bus),
        bench_test(test_the_tap_would_see_one),
        bench_test(test_wrong_authorisation_locks),
        bench_test(test_empty_no_longer_works),
        bench_test(test_refuses_weak_authorisations),
        bench_test(test_reset_forgives_wrong_pins),
    };

    return cmocka_run_group_tests_name("lockout", tests, NULL, NULL);
}
