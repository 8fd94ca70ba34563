#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"

#include <string.h>
#include <time.h>

/* tpm2-tss itself sends a command five times. */
static void test_waits_while_the_tpm_is_busy(void **state)
{
    static const TPM2_RC busy[] = { TPM2_RC_RETRY, TPM2_RC_TESTING, TPM2_RC_YIELDED, TPM2_RC_NV_RATE };
    struct bench *bench = *state;

    bus_tap(bench->tpm);
    for (size_t i = 0; i < array_size(busy); i++) {
        bus_tap_restart();
        bus_tap_refuse(TPM2_CC_GetCapability, busy[i], 12);
        assert_false(bench_state(bench).in_lockout);
        assert_int_equal(bus_tap_repeats(), 12);
        assert_int_equal(bus_tap_count(), 1);
    }
}

static void test_gives_up_in_the_end(void **state)
{
    struct tpm_attempt attempt = { 0 };
    struct timespec now;

    (void)state;
    assert_true(tpm_try_again(&attempt, TPM2_RC_RETRY));
    clock_gettime(CLOCK_MONOTONIC, &now);
    attempt.started_ms = (uint64_t)now.tv_sec * 1000 - TPM_PATIENCE_MS - 1000;
    assert_false(tpm_try_again(&attempt, TPM2_RC_RETRY));
}

static void test_does_not_repeat_what_failed(void **state)
{
    struct bench *bench = *state;
    struct tpm_state tpm_state;
    struct error error;

    bus_tap(bench->tpm);
    bus_tap_refuse(TPM2_CC_GetCapability, TPM2_RC_FAILURE, 1);
    assert_int_equal(tpm_state_read(bench->tpm, &tpm_state, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM2_RC_FAILURE);
    assert_int_equal(bus_tap_count(), 1);
}

/* An earlier program that was killed: its sessions and objects stay in the TPM. */
static void leave_behind(struct bench *bench, unsigned sessions, const struct sealed_blob *blob, unsigned objects)
{
    cleanup(tpm_close) struct tpm *killed = NULL;
    struct error error;

    bench_disconnect(bench);
    bench_ok(tpm_open(&killed, swtpm_tcti(&bench->swtpm), &error), &error);
    bench_ok(tpm_srk_use(killed, &bench->srk, &error), &error);
    for (unsigned i = 0; i < sessions; i++) {
        struct tpm_handle session = { 0 };

        bench_ok(tpm_session_start(killed, TPM_SESSION_POLICY, &session, &error), &error);
    }
    for (unsigned i = 0; i < objects; i++) {
        struct tpm_handle object = { 0 };

        bench_ok(tpm_load(killed, blob, &object, &error), &error);
    }
    killed->live_count = 0;
    tpm_close(&killed);
    bench_connect(bench);
}

static size_t count_loaded(struct bench *bench, TPM2_HANDLE first)
{
    TPM2_HANDLE handles[8];
    struct error error;
    size_t count;

    bench_ok(tpm_handles_read(bench->tpm, first, handles, array_size(handles), &count, &error), &error);
    return count;
}

static void test_flushes_leftovers(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret data = bench_secret(7, 32);
    cleanup(secret_free) struct secret got = { 0 };
    struct bench_object object = bench_protect(bench, NULL, &data);
    struct error error;

    leave_behind(bench, 3, &object.blob, 2); /* Load needs a third slot, for the SRK */
    assert_int_equal(count_loaded(bench, TPM_LOADED_SESSION_FIRST), 3);
    assert_int_equal(count_loaded(bench, TPM_TRANSIENT_FIRST), 2);
    bench_ok(bench_unlock(bench, &object, NULL, &got, &error), &error);
    assert_true(secret_equal(&got, &data));
    assert_int_equal(count_loaded(bench, TPM_LOADED_SESSION_FIRST), 0);
    assert_int_equal(count_loaded(bench, TPM_TRANSIENT_FIRST), 0);
}

static void test_keeps_its_own(void **state)
{
    struct bench *bench = *state;
    struct tpm_handle sessions[4] = { 0 };
    struct digest digest;
    struct error error;

    for (int i = 0; i < 3; i++)
        bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &sessions[i], &error), &error);
    assert_int_equal(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &sessions[3], &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM2_RC_SESSION_MEMORY);
    for (int i = 0; i < 3; i++) {
        bench_ok(tpm_policy_digest(&sessions[i], &digest, &error), &error);
        tpm_handle_free(&sessions[i]);
        assert_int_equal(sessions[i].reference, 0);
    }
    assert_int_equal(count_loaded(bench, TPM_LOADED_SESSION_FIRST), 0);
}

static void test_makes_room_beside_its_own(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle first = { 0 }, second = { 0 };
    struct digest digest;
    struct error error;

    leave_behind(bench, 2, NULL, 0);
    bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &first, &error), &error);
    bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &second, &error), &error);
    bench_ok(tpm_policy_digest(&first, &digest, &error), &error);
    assert_int_equal(count_loaded(bench, TPM_LOADED_SESSION_FIRST), 2);
}

static void test_flushes_once_only(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    struct error error;

    leave_behind(bench, 1, NULL, 0);
    bus_tap(bench->tpm);
    bus_tap_refuse(TPM2_CC_StartAuthSession, TPM2_RC_SESSION_MEMORY, 100);
    assert_int_equal(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &session, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM2_RC_SESSION_MEMORY);
    assert_int_equal(bus_tap_count(), 5); /* start, two lists, flush, start */
}

/* The list of what could be flushed is not to be had either. */
static void test_no_room_for_anything(void **state)
{
    struct bench *bench = *state;
    struct tpm_state now;
    struct error error;

    bus_tap(bench->tpm);
    bus_tap_refuse(TPM2_CC_GetCapability, TPM2_RC_OBJECT_MEMORY, 100);
    assert_int_equal(tpm_state_read(bench->tpm, &now, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM2_RC_OBJECT_MEMORY);
    assert_int_equal(bus_tap_count(), 3); /* the state, two lists */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_waits_while_the_tpm_is_busy),
        cmocka_unit_test(test_gives_up_in_the_end),
        bench_test(test_does_not_repeat_what_failed),
        bench_test(test_flushes_leftovers),
        bench_test(test_keeps_its_own),
        bench_test(test_makes_room_beside_its_own),
        bench_test(test_flushes_once_only),
        bench_test(test_no_room_for_anything),
    };

    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
