#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"

#include <string.h>

#define RESET_COUNT 16
#define RESTART_COUNT 20

static struct digest digest_of(const struct tpm_handle *session)
{
    struct digest digest;
    struct error error;

    bench_ok(tpm_policy_digest(session, &digest, &error), &error);
    return digest;
}

static struct tpm_handle start(struct bench *bench, enum tpm_session_kind kind)
{
    struct tpm_handle session = { 0 };
    struct error error;

    bench_ok(tpm_session_start(bench->tpm, kind, &session, &error), &error);
    return session;
}

static void test_pcr_follows_the_boot_state(void **state)
{
    struct bench *bench = *state;
    struct digest before[2], same[2], after[2];
    struct error error;

    bench_branches(bench, before);
    bench_branches(bench, same);
    assert_true(digest_equal(&before[0], &same[0]));
    bench_ok(tpm_pcr_event(bench->tpm, BENCH_CAP, "x", 1, &error), &error);
    bench_branches(bench, after);
    assert_false(digest_equal(&before[0], &after[0]));
}

static void test_or(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_POLICY);
    struct digest branches[2], wrong[2], after_pcr;
    struct error error;

    bench_branches(bench, branches);
    memset(wrong, 0x11, sizeof(wrong));
    bench_ok(tpm_policy_pcr(&session, HASH_SHA256, BENCH_PCRS, &error), &error);
    after_pcr = digest_of(&session);
    assert_true(digest_equal(&after_pcr, &branches[0]));
    assert_int_equal(tpm_policy_or(&session, wrong, 2, &error), ERROR_MISMATCH);
    assert_int_equal(error.tpm_code, TPM_CODE_OR_MISMATCH);
    after_pcr = digest_of(&session);
    assert_true(digest_equal(&after_pcr, &branches[0]));
    bench_ok(tpm_policy_or(&session, branches, 2, &error), &error);
    after_pcr = digest_of(&session);
    assert_false(digest_equal(&after_pcr, &branches[0]));
    assert_int_equal(tpm_policy_or(&session, branches, 1, &error), ERROR_USAGE);
    assert_int_equal(tpm_policy_or(&session, branches, 9, &error), ERROR_USAGE);
}

static void test_authorize_nv(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_POLICY);
    struct digest approved, branches[2];
    struct error error;

    assert_int_equal(tpm_policy_authorize_nv(&session, &error), ERROR_TPM); /* never written */
    assert_true(strlen(error.remedy) > 0);
    bench_branches(bench, branches);
    bench_ok(tpm_index_write(bench->tpm, &bench->index, &branches[0], &bench->authority, &error), &error);
    assert_int_equal(tpm_policy_authorize_nv(&session, &error), ERROR_MISMATCH);
    assert_int_equal(error.tpm_code, TPM_CODE_STALE_LIST);
    bench_ok(tpm_policy_pcr(&session, HASH_SHA256, BENCH_PCRS, &error), &error);
    bench_ok(tpm_policy_authorize_nv(&session, &error), &error);
    approved = digest_of(&session);
    assert_false(digest_equal(&approved, &branches[0]));

    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    assert_int_equal(tpm_policy_authorize_nv(&session, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_NO_HANDLE);
    assert_true(strlen(error.remedy) > 0);
}

static int reset_count_at_most(struct bench *bench, uint32_t count, struct error *error)
{
    cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_POLICY);

    return tpm_policy_counter_timer(&session, count, 4, RESET_COUNT, TPM_COMPARE_LESS_OR_EQUAL, error);
}

static uint32_t reset_count(struct bench *bench)
{
    struct tpm_clock clock;
    struct error error;

    bench_ok(tpm_clock_read(bench->tpm, &clock, &error), &error);
    return clock.reset_count;
}

static void test_counters(void **state)
{
    struct bench *bench = *state;
    uint32_t now = reset_count(bench);
    struct error error;

    bench_ok(reset_count_at_most(bench, now, &error), &error);
    bench_power_cut(bench);
    assert_int_equal(reset_count(bench), now + 1);
    assert_int_equal(reset_count_at_most(bench, now, &error), ERROR_MISMATCH);
    assert_int_equal(error.tpm_code, TPM2_RC_POLICY);
    bench_ok(reset_count_at_most(bench, now + 1, &error), &error);
}

static void test_restart_raises_restart_count_alone(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle before = start(bench, TPM_SESSION_POLICY);
    cleanup(tpm_handle_free) struct tpm_handle after = { 0 };
    uint32_t now = reset_count(bench);
    struct error error;

    bench_ok(tpm_policy_counter_timer(&before, 0, 4, RESTART_COUNT, TPM_COMPARE_EQUAL, &error), &error);
    tpm_handle_free(&before);
    bench_disconnect(bench);
    assert_int_equal(swtpm_restart(&bench->swtpm), 0);
    bench_connect(bench);
    assert_int_equal(reset_count(bench), now);
    after = start(bench, TPM_SESSION_POLICY);
    bench_ok(tpm_policy_counter_timer(&after, now - 1, 4, RESET_COUNT, TPM_COMPARE_GREATER, &error), &error);
    assert_int_equal(tpm_policy_counter_timer(&after, 0, 4, RESTART_COUNT, TPM_COMPARE_EQUAL, &error), ERROR_MISMATCH);
}

static void test_clock_is_eight_bytes(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_POLICY);
    struct error error;

    bench_ok(tpm_policy_counter_timer(&session, UINT64_C(1) << 40, 8, 8, TPM_COMPARE_LESS_OR_EQUAL, &error), &error);
    assert_int_equal(tpm_policy_counter_timer(&session, 0, 8, 8, TPM_COMPARE_EQUAL, &error), ERROR_MISMATCH);
    assert_int_equal(tpm_policy_counter_timer(&session, 0, 2, 8, TPM_COMPARE_EQUAL, &error), ERROR_USAGE);
}

/* ---- PolicySigned ---- */

static void test_signed(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle trial = start(bench, TPM_SESSION_TRIAL);
    cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_POLICY);
    const struct digest cp_hash = { { 1 } };
    struct digest expected, got;
    struct error error;

    bench_ok(tpm_policy_signed(&trial, &bench->authority, AUTHORITY_ADMIN, &cp_hash, &error), &error);
    expected = digest_of(&trial);
    bus_tap(bench->tpm);
    bench_ok(tpm_policy_signed(&session, &bench->authority, AUTHORITY_ADMIN, &cp_hash, &error), &error);
    assert_int_equal(bus_tap_count(), 3); /* LoadExternal, PolicySigned, FlushContext */
    got = digest_of(&session);
    assert_true(digest_equal(&expected, &got)); /* neither nonce nor cpHash is part of the policy */
    assert_int_equal(bench->tpm->live_count, 2);
}

static void test_threat_27_approve_and_admin_differ(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle approve = start(bench, TPM_SESSION_TRIAL);
    cleanup(tpm_handle_free) struct tpm_handle admin = start(bench, TPM_SESSION_TRIAL);
    const struct digest cp_hash = { { 1 } };
    struct digest one, other;
    struct error error;

    bench_ok(tpm_policy_signed(&approve, &bench->authority, AUTHORITY_APPROVE, &cp_hash, &error), &error);
    bench_ok(tpm_policy_signed(&admin, &bench->authority, AUTHORITY_ADMIN, &cp_hash, &error), &error);
    one = digest_of(&approve);
    other = digest_of(&admin);
    assert_false(digest_equal(&one, &other));
}

static int sign_garbage(void *context, const struct authority_request *request, struct authority_signature *ret,
                        struct error *error)
{
    (void)context, (void)request, (void)error;
    memset(ret, 0x33, sizeof(*ret));
    return 0;
}

static int refuse_to_sign(void *context, const struct authority_request *request, struct authority_signature *ret,
                          struct error *error)
{
    (void)context, (void)request, (void)ret;
    return error_set(error, ERROR_REFUSED, "not this");
}

static void test_threat_27_bad_signature(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_POLICY);
    struct authority_signer signer = bench->authority;
    const struct digest cp_hash = { { 1 } };
    struct error error;

    signer.sign = sign_garbage;
    assert_int_equal(tpm_policy_signed(&session, &signer, AUTHORITY_ADMIN, &cp_hash, &error), ERROR_FAILED);
    assert_int_not_equal(error.tpm_code, 0);
    signer.sign = refuse_to_sign;
    assert_int_equal(tpm_policy_signed(&session, &signer, AUTHORITY_ADMIN, &cp_hash, &error), ERROR_REFUSED);
    assert_string_equal(error.text, "not this");
    assert_int_equal(bench->tpm->live_count, 1);
}

/* The request that the signer saw names this session's nonce and this cpHash, and nothing that came before. */
static struct authority_request seen;

static int remember(void *context, const struct authority_request *request, struct authority_signature *ret,
                    struct error *error)
{
    (void)context, (void)ret;
    seen = *request;
    return error_set(error, ERROR_REFUSED, "enough");
}

static void test_request(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_POLICY);
    struct authority_signer signer = bench->authority;
    const struct digest cp_hash = { { 9, 8, 7 } };
    struct error error;
    TPM2B_NONCE *nonce;

    signer.sign = remember;
    assert_int_equal(tpm_policy_signed(&session, &signer, AUTHORITY_ADMIN, &cp_hash, &error), ERROR_REFUSED);
    assert_int_equal(Esys_TRSess_GetNonceTPM(bench->tpm->esys, session.reference, &nonce), 0);
    assert_int_equal(nonce->size, sizeof(seen.nonce_tpm));
    assert_memory_equal(nonce->buffer, seen.nonce_tpm, sizeof(seen.nonce_tpm));
    assert_true(digest_equal(&seen.cp_hash, &cp_hash));
    assert_int_equal(seen.use, AUTHORITY_ADMIN);
    Esys_Free(nonce);
}

/* ---- a signature that was captured on the bus ---- */

struct captured {
    struct authority_signer *authority;
    struct authority_signature signature;
};

/* It never reaches the TPM on the way that it was meant for. */
static int sign_and_capture(void *context, const struct authority_request *request, struct authority_signature *ret,
                            struct error *error)
{
    struct captured *captured = context;

    assert_int_equal(captured->authority->sign(captured->authority->context, request, ret, error), 0);
    captured->signature = *ret;
    return error_set(error, ERROR_REFUSED, "captured");
}

static int use_captured(void *context, const struct authority_request *request, struct authority_signature *ret,
                        struct error *error)
{
    (void)request, (void)error;
    *ret = ((struct captured *)context)->signature;
    return 0;
}

static void test_threat_27_captured_signature(void **state)
{
    struct bench *bench = *state;
    struct captured captured = { .authority = &bench->authority };
    struct authority_signer capture = { .public = bench->authority.public, sign_and_capture, &captured };
    struct authority_signer replay = { .public = bench->authority.public, use_captured, &captured };
    const struct digest cp_hash = { { 1 } }, other = { { 2 } };
    struct tpm_handle session = start(bench, TPM_SESSION_POLICY), next = start(bench, TPM_SESSION_POLICY);
    struct error error;

    assert_int_equal(tpm_policy_signed(&session, &capture, AUTHORITY_ADMIN, &cp_hash, &error), ERROR_REFUSED);
    assert_int_equal(tpm_policy_signed(&session, &replay, AUTHORITY_ADMIN, &other, &error), ERROR_FAILED);
    assert_int_equal(tpm_policy_signed(&session, &replay, AUTHORITY_APPROVE, &cp_hash, &error), ERROR_FAILED);
    assert_int_equal(tpm_policy_signed(&next, &replay, AUTHORITY_ADMIN, &cp_hash, &error), ERROR_FAILED);
    bench_ok(tpm_policy_signed(&session, &replay, AUTHORITY_ADMIN, &cp_hash, &error), &error); /* what it is for */
    tpm_handle_free(&session);
    tpm_handle_free(&next);
    bench_power_cut(bench);
    session = start(bench, TPM_SESSION_POLICY);
    assert_int_equal(tpm_policy_signed(&session, &replay, AUTHORITY_ADMIN, &cp_hash, &error), ERROR_FAILED);
    tpm_handle_free(&session);
}

/* A session whose nonce is shorter, as an interposer might offer it: nothing is signed for it. */
static void test_threat_27_short_nonce_is_refused(void **state)
{
    static const TPMT_SYM_DEF aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };
    const TPM2B_NONCE short_nonce = { .size = 16 };
    struct bench *bench = *state;
    struct tpm_handle session = { .tpm = bench->tpm };
    struct authority_signer signer = bench->authority;
    const struct digest cp_hash = { { 1 } };
    struct error error;

    assert_int_equal(Esys_StartAuthSession(bench->tpm->esys, bench->tpm->srk, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                           ESYS_TR_NONE, &short_nonce, TPM2_SE_POLICY, &aes, TPM2_ALG_SHA256,
                                           &session.reference),
                     0);
    signer.sign = remember;
    assert_int_equal(tpm_policy_signed(&session, &signer, AUTHORITY_ADMIN, &cp_hash, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "16 bytes"));
    tpm_handle_free(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_pcr_follows_the_boot_state),
        bench_test(test_or),
        bench_test(test_authorize_nv),
        bench_test(test_counters),
        bench_test(test_restart_raises_restart_count_alone),
        bench_test(test_clock_is_eight_bytes),
        bench_test(test_signed),
        bench_test(test_threat_27_approve_and_admin_differ),
        bench_test(test_threat_27_bad_signature),
        bench_test(test_request),
        bench_test(test_threat_27_captured_signature),
        bench_test(test_threat_27_short_nonce_is_refused),
    };

    return cmocka_run_group_tests_name("policy-session", tests, NULL, NULL);
}
