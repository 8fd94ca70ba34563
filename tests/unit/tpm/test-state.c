#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"
#include "tpm/lockout.h"

#include <string.h>

static void test_fresh_tpm(void **state)
{
    struct bench *bench = *state;
    struct tpm_state tpm_state;

    bus_tap(bench->tpm);
    tpm_state = bench_state(bench);
    assert_int_equal(bus_tap_count(), 1);
    assert_int_equal(bus_tap_command(0), TPM2_CC_GetCapability);
    assert_false(tpm_state.owner_auth_set);
    assert_false(tpm_state.lockout_auth_set);
    assert_false(tpm_state.in_lockout);
    assert_int_equal(tpm_state.lockout_counter, 0);
    assert_int_equal(tpm_state.max_tries, 3); /* libtpms' defaults */
    assert_int_equal(tpm_state.recovery_s, 1000);
    assert_int_equal(tpm_state.lockout_recovery_s, 1000);
}

static void test_tells_what_was_set(void **state)
{
    const TPM2B_AUTH owner = { .size = 1, .buffer = { 1 } };
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = bench_secret(3, TPM_LOCKOUT_AUTH_BYTES);
    struct tpm_state tpm_state;
    struct error error;

    assert_int_equal(Esys_HierarchyChangeAuth(bench->tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                              ESYS_TR_NONE, &owner),
                     0);
    bench_ok(tpm_lockout_set_auth(bench->tpm, NULL, &auth, &error), &error);
    bench_ok(tpm_lockout_set_limits(bench->tpm, &auth, 31, 601, 86401, &error), &error);
    tpm_state = bench_state(bench);
    assert_true(tpm_state.owner_auth_set);
    assert_true(tpm_state.lockout_auth_set);
    assert_int_equal(tpm_state.max_tries, 31);
    assert_int_equal(tpm_state.recovery_s, 601);
    assert_int_equal(tpm_state.lockout_recovery_s, 86401);
}

static void test_orderly(void **state)
{
    struct bench *bench = *state;

    bench_disconnect(bench);
    assert_int_equal(swtpm_reset(&bench->swtpm), 0);
    bench_connect(bench);
    assert_true(bench_state(bench).orderly);
    bench_disconnect(bench);
    assert_int_equal(swtpm_power_cut(&bench->swtpm), 0);
    bench_connect(bench);
    assert_false(bench_state(bench).orderly);
}

static struct tpm_clock read_clock(struct bench *bench)
{
    struct tpm_clock clock;
    struct error error;

    bench_ok(tpm_clock_read(bench->tpm, &clock, &error), &error);
    return clock;
}

static void test_clock(void **state)
{
    struct bench *bench = *state;
    struct tpm_clock first = read_clock(bench), then;

    bench_power_cut(bench);
    then = read_clock(bench);
    assert_int_equal(then.reset_count, first.reset_count + 1);
    assert_int_equal(then.restart_count, 0);
    bench_disconnect(bench);
    assert_int_equal(swtpm_restart(&bench->swtpm), 0);
    bench_connect(bench);
    first = then;
    then = read_clock(bench);
    assert_int_equal(then.reset_count, first.reset_count);
    assert_int_equal(then.restart_count, 1);
    assert_true(then.clock_ms >= first.clock_ms);
}

static void test_identity(void **state)
{
    struct bench *bench = *state;
    struct tpm_identity identity;
    struct error error;

    bench_ok(tpm_identity_read(bench->tpm, &identity, &error), &error);
    assert_string_equal(identity.manufacturer, "IBM");
    assert_true(strlen(identity.vendor) > 0);
    assert_true(identity.revision >= 138 && identity.revision < 1000);
    assert_true(identity.firmware > 0);
    assert_true(identity.has_policy_authorize_nv);
}

static void test_identity_of_an_older_tpm(void **state)
{
    struct bench *bench = *state;
    struct tpm_identity identity;
    struct error error;

    bus_tap(bench->tpm);
    bus_tap_hide_command(TPM2_CC_PolicyAuthorizeNV);
    bench_ok(tpm_identity_read(bench->tpm, &identity, &error), &error);
    assert_false(identity.has_policy_authorize_nv);
}

/* A TPM that answers less than it was asked for must not be taken for one without a lockout. */
static void test_failure_is_told(void **state)
{
    struct bench *bench = *state;
    struct tpm_state tpm_state;
    struct error error;

    bus_tap(bench->tpm);
    bus_tap_refuse(TPM2_CC_GetCapability, TPM2_RC_VALUE, 1);
    assert_int_equal(tpm_state_read(bench->tpm, &tpm_state, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "TPM2_GetCapability"));
}

static void test_handles(void **state)
{
    struct bench *bench = *state;
    TPM2_HANDLE handles[4];
    struct error error;
    size_t count;

    bench_ok(tpm_handles_read(bench->tpm, TPM_PERSISTENT_FIRST, handles, 4, &count, &error), &error);
    assert_int_equal(count, 1);
    assert_int_equal(handles[0], TPM_SRK_HANDLE);
    bench_ok(tpm_handles_read(bench->tpm, TPM_TRANSIENT_FIRST, handles, 4, &count, &error), &error);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_fresh_tpm),       bench_test(test_tells_what_was_set),
        bench_test(test_orderly),         bench_test(test_clock),
        bench_test(test_identity),        bench_test(test_identity_of_an_older_tpm),
        bench_test(test_failure_is_told), bench_test(test_handles),
    };

    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
