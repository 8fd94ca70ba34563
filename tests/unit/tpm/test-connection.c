#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"

#include <errno.h>
#include <string.h>

static void expect_failure(const char *tcti, enum error_kind kind, const char *words)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct error error;

    assert_int_equal(tpm_open(&tpm, tcti, &error), kind);
    assert_null(tpm);
    assert_non_null(strstr(error.text, words));
}

static void test_tells_why_it_cannot_open(void **state)
{
    (void)state;
    expect_failure(NULL, ERROR_USAGE, "not said");
    expect_failure("", ERROR_USAGE, "not said");
    expect_failure(":/dev/tpm0", ERROR_USAGE, "names no way");
    expect_failure("nosuchtcti:x", ERROR_TPM, "no library for \"nosuchtcti\"");
    expect_failure("device:/nonexistent/tpm0", ERROR_TPM, "there is no TPM device \"/nonexistent/tpm0\"");
    expect_failure("device:/", ERROR_TPM, "cannot open the TPM device \"/\"");
    expect_failure("swtpm:host=127.0.0.1,port=1", ERROR_TPM, "cannot reach the TPM at \"swtpm:");
}

static void test_says_that_a_device_is_busy(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(tpm_device_failed("/dev/tpm0", EBUSY, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "in use by another program"));
    assert_non_null(strstr(error.remedy, "/dev/tpmrm0"));
    assert_int_equal(tpm_device_failed("/dev/tpm0", EACCES, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "Permission denied"));
    assert_non_null(strstr(error.remedy, "root"));
}

static void test_opening_sends_nothing_and_keeps_the_log_level(void **state)
{
    struct bench *bench = *state;

    bench_disconnect(bench);
    setenv("TSS2_LOG", "esys+error", 1);
    bench_connect(bench);
    assert_string_equal(getenv("TSS2_LOG"), "esys+error");
    unsetenv("TSS2_LOG");
    bench_disconnect(bench);
    bench_connect(bench);
    assert_string_equal(getenv("TSS2_LOG"), "all+none");
    bus_tap(bench->tpm);
    assert_false(bench_state(bench).in_lockout);
    assert_int_equal(bus_tap_count(), 1);
}

static void test_close_flushes_what_is_left(void **state)
{
    struct bench *bench = *state;
    struct tpm_handle sessions[2] = { 0 };
    TPM2_HANDLE handles[8];
    struct error error;
    size_t count;

    for (size_t i = 0; i < array_size(sessions); i++)
        bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &sessions[i], &error), &error);
    bench_ok(tpm_handles_read(bench->tpm, TPM_LOADED_SESSION_FIRST, handles, 8, &count, &error), &error);
    assert_int_equal(count, 2);
    bench_disconnect(bench);
    bench_connect(bench);
    bench_ok(tpm_handles_read(bench->tpm, TPM_LOADED_SESSION_FIRST, handles, 8, &count, &error), &error);
    assert_int_equal(count, 0);
}

/* After an answer that is not authentic tpm2-tss refuses to go on; what is in the TPM is flushed all the same. */
static void test_close_flushes_after_a_broken_answer(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret data = bench_secret(1, 16);
    struct bench_object object = bench_protect(bench, NULL, &data);
    struct tpm_handle loaded = { 0 };
    struct digest digest;
    TPM2_HANDLE handles[8];
    struct error error;
    size_t count;

    bench_ok(tpm_load(bench->tpm, &object.blob, &loaded, &error), &error);
    bus_tap(bench->tpm);
    bus_tap_spoil(TPM2_CC_NV_Read, 1);
    assert_int_equal(tpm_index_read(bench->tpm, &bench->index, &digest, &error), ERROR_TPM);
    assert_int_equal(tpm_shutdown(bench->tpm, &error), ERROR_TPM);
    bench_disconnect(bench);
    bench_connect(bench);
    bench_ok(tpm_handles_read(bench->tpm, TPM_TRANSIENT_FIRST, handles, 8, &count, &error), &error);
    assert_int_equal(count, 0);
    bench_ok(tpm_handles_read(bench->tpm, TPM_LOADED_SESSION_FIRST, handles, 8, &count, &error), &error);
    assert_int_equal(count, 0);
}

static void test_connection_that_broke(void **state)
{
    struct bench *bench = *state;
    struct tpm_state tpm_state;
    struct error error;

    swtpm_stop(&bench->swtpm);
    assert_int_equal(tpm_state_read(bench->tpm, &tpm_state, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, 0);
    assert_non_null(strstr(error.text, "no connection to the TPM"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tells_why_it_cannot_open),
        cmocka_unit_test(test_says_that_a_device_is_busy),
        bench_test(test_opening_sends_nothing_and_keeps_the_log_level),
        bench_test(test_close_flushes_what_is_left),
        bench_test(test_close_flushes_after_a_broken_answer),
        bench_test(test_connection_that_broke),
    };

    return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
