#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"

#include <string.h>

static void test_needs_an_srk(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_close) struct tpm *other = NULL;
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    struct error error;

    bench_disconnect(bench);
    bench_ok(tpm_open(&other, swtpm_tcti(&bench->swtpm), &error), &error);
    assert_int_equal(tpm_session_start(other, TPM_SESSION_POLICY, &session, &error), ERROR_FAILED);
    assert_int_equal(session.reference, 0);
}

static void test_free_flushes(void **state)
{
    struct bench *bench = *state;
    struct tpm_handle session = { 0 };
    struct error error;

    bus_tap(bench->tpm);
    tpm_handle_free(&session);
    assert_int_equal(bus_tap_count(), 0);
    bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &session, &error), &error);
    assert_int_equal(bench->tpm->live_count, 1);
    tpm_handle_free(&session);
    assert_int_equal(session.reference, 0);
    assert_int_equal(bench->tpm->live_count, 0);
    assert_int_equal(bus_tap_count(), 2);
    assert_int_equal(bus_tap_command(1), TPM2_CC_FlushContext);
}

/* Salted to the key that is pinned, not to the one that answers: a TPM with another key cannot prove anything. */
static void test_salt_is_to_the_pinned_key(void **state)
{
    struct bench *bench = *state;
    struct authority_signer other = bench_authority_new();
    struct entity false_srk = bench->srk;
    const struct digest nothing = { { 0 } };
    struct digest digest;
    struct error error;

    bench_ok(tpm_index_write(bench->tpm, &bench->index, &nothing, &bench->authority, &error), &error);
    memcpy(false_srk.public + false_srk.public_size - 66, other.public.x, 32);
    memcpy(false_srk.public + false_srk.public_size - 32, other.public.y, 32);
    bench_ok(object_name_compute(&false_srk.name, false_srk.public, false_srk.public_size, &error), &error);
    bench_ok(tpm_srk_use(bench->tpm, &false_srk, &error), &error);
    assert_int_equal(tpm_index_read(bench->tpm, &bench->index, &digest, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_WRONG_AUTH_NODA);
    bench_ok(tpm_srk_use(bench->tpm, &bench->srk, &error), &error);
    bench_ok(tpm_index_read(bench->tpm, &bench->index, &digest, &error), &error);
    bench_authority_free(&other);
}

static void test_no_more_than_are_tracked(void **state)
{
    struct bench *bench = *state;
    struct tpm_handle session = { 0 };
    struct error error;

    bus_tap(bench->tpm);
    bench->tpm->live_count = TPM_LIVE_MAX;
    assert_int_equal(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &session, &error), ERROR_FAILED);
    bench->tpm->live_count = 0;
    assert_int_equal(bus_tap_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_needs_an_srk),
        bench_test(test_free_flushes),
        bench_test(test_salt_is_to_the_pinned_key),
        bench_test(test_no_more_than_are_tracked),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
