#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"

#include <string.h>

/* A PIN-protected object that is loaded, with a session that lacks nothing but the PIN. */
struct prepared {
    struct secret pin, wrong, data;
    struct bench_object object;
    struct tpm_handle loaded, session;
};

static struct secret random_secret(size_t size)
{
    struct secret secret;
    struct error error;

    bench_ok(secret_random(&secret, size, &error), &error);
    return secret;
}

static void load(struct bench *bench, struct prepared *prepared)
{
    struct error error;

    bench_ok(tpm_load(bench->tpm, &prepared->object.blob, &prepared->loaded, &error), &error);
    bench_ok(bench_session(bench, prepared->object.branches, &prepared->object.name, true, &prepared->session, &error),
             &error);
}

static struct prepared prepare(struct bench *bench)
{
    struct prepared prepared = {
        .pin = random_secret(DIGEST_BYTES),
        .wrong = random_secret(DIGEST_BYTES),
        .data = random_secret(32),
    };

    prepared.object = bench_protect(bench, &prepared.pin, &prepared.data);
    load(bench, &prepared);
    return prepared;
}

static void unload(struct prepared *prepared)
{
    tpm_handle_free(&prepared->session);
    tpm_handle_free(&prepared->loaded);
}

static void prepared_free(struct prepared *prepared)
{
    unload(prepared);
    secret_free(&prepared->pin);
    secret_free(&prepared->wrong);
    secret_free(&prepared->data);
}

static int unseal(struct prepared *prepared, const struct secret *pin, struct error *error)
{
    cleanup(secret_free) struct secret got = { 0 };
    int r = tpm_unseal(&prepared->loaded, &prepared->session, pin, &got, error);

    assert_int_equal(got.size, r ? 0 : prepared->data.size);
    if (!r)
        assert_true(secret_equal(&got, &prepared->data));
    return r;
}

static void test_without_auth(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret data = random_secret(1);
    cleanup(secret_free) struct secret got = { 0 };
    struct bench_object object = bench_protect(bench, NULL, &data);
    struct error error;

    bench_ok(bench_unlock(bench, &object, NULL, &got, &error), &error);
    assert_true(secret_equal(&got, &data));
}

static void test_with_auth_and_as_much_as_fits(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_secret(DIGEST_BYTES);
    cleanup(secret_free) struct secret data = random_secret(SEALED_DATA_MAX);
    cleanup(secret_free) struct secret got = { 0 };
    struct bench_object object = bench_protect(bench, &auth, &data);
    struct error error;

    bench_ok(bench_unlock(bench, &object, &auth, &got, &error), &error);
    assert_true(secret_equal(&got, &data));
}

/* The TPM cuts trailing zeros of an authValue; the HMAC is the same all the same. */
static void test_auth_with_trailing_zeros(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_secret(DIGEST_BYTES);
    cleanup(secret_free) struct secret data = random_secret(32);
    cleanup(secret_free) struct secret got = { 0 };
    struct bench_object object;
    struct error error;

    auth.bytes[DIGEST_BYTES - 1] = auth.bytes[DIGEST_BYTES - 2] = 0;
    object = bench_protect(bench, &auth, &data);
    bench_ok(bench_unlock(bench, &object, &auth, &got, &error), &error);
    assert_true(secret_equal(&got, &data));
}

static void test_refuses_what_cannot_be_sealed(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_secret(DIGEST_BYTES);
    cleanup(secret_free) struct secret short_auth = random_secret(DIGEST_BYTES - 1);
    cleanup(secret_free) struct secret data = random_secret(32);
    cleanup(secret_free) struct secret much = random_secret(SEALED_DATA_MAX + 1);
    struct secret nothing = { 0 };
    const struct digest policy = { { 0 } };
    struct sealed_blob blob;
    struct error error;

    assert_int_equal(tpm_seal(bench->tpm, &policy, &short_auth, &data, &blob, &error), ERROR_FAILED);
    assert_int_equal(tpm_seal(bench->tpm, &policy, &auth, &much, &blob, &error), ERROR_FAILED);
    assert_int_equal(tpm_seal(bench->tpm, &policy, &auth, &nothing, &blob, &error), ERROR_FAILED);
    bench_ok(tpm_seal(bench->tpm, &policy, &auth, &data, &blob, &error), &error);
}

static TPMA_OBJECT attributes_of(const struct sealed_blob *blob, struct digest *ret_policy)
{
    TPMT_PUBLIC public;
    size_t offset = 0;

    assert_int_equal(Tss2_MU_TPMT_PUBLIC_Unmarshal(blob->public, blob->public_size, &offset, &public), 0);
    assert_int_equal(offset, blob->public_size);
    assert_int_equal(public.type, TPM2_ALG_KEYEDHASH);
    assert_int_equal(public.nameAlg, TPM2_ALG_SHA256);
    assert_int_equal(public.parameters.keyedHashDetail.scheme.scheme, TPM2_ALG_NULL);
    assert_int_equal(public.authPolicy.size, sizeof(ret_policy->bytes));
    memcpy(ret_policy->bytes, public.authPolicy.buffer, sizeof(ret_policy->bytes));
    return public.objectAttributes;
}

static void test_attributes_as_designed(void **state)
{
    const TPMA_OBJECT common = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_ADMINWITHPOLICY;
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_secret(DIGEST_BYTES);
    cleanup(secret_free) struct secret data = random_secret(32);
    struct sealed_blob blob = bench_seal(bench, &auth, &data);
    struct digest policy, expected = bench_object_policy(bench, true);

    assert_int_equal(attributes_of(&blob, &policy), common);
    assert_true(digest_equal(&policy, &expected));
    blob = bench_seal(bench, NULL, &data);
    expected = bench_object_policy(bench, false);
    assert_int_equal(attributes_of(&blob, &policy), common | TPMA_OBJECT_NODA);
    assert_true(digest_equal(&policy, &expected));
}

/* ---- the unlock, command by command ---- */

static void test_unlock_takes_eleven_commands(void **state)
{
    static const TPM2_CC expected[] = {
        TPM2_CC_Load,     TPM2_CC_GetCapability, TPM2_CC_StartAuthSession,  TPM2_CC_PolicyPCR,
        TPM2_CC_PolicyOR, TPM2_CC_PolicyCpHash,  TPM2_CC_PolicyAuthorizeNV, TPM2_CC_PolicyAuthValue,
        TPM2_CC_Unseal,   TPM2_CC_FlushContext,  TPM2_CC_Shutdown,
    };
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct error error;

    unload(&prepared);
    bench_disconnect(bench);
    bench_connect(bench);
    bus_tap(bench->tpm);
    bench_ok(tpm_load(bench->tpm, &prepared.object.blob, &prepared.loaded, &error), &error);
    assert_false(bench_state(bench).in_lockout);
    bench_ok(bench_session(bench, prepared.object.branches, &prepared.object.name, true, &prepared.session, &error),
             &error);
    bench_ok(unseal(&prepared, &prepared.pin, &error), &error);
    assert_int_equal(prepared.session.reference, 0);
    unload(&prepared);
    bench_ok(tpm_shutdown(bench->tpm, &error), &error);
    assert_int_equal(bus_tap_count(), array_size(expected));
    assert_int_equal(bus_tap_repeats(), 1); /* of Unseal */
    for (size_t i = 0; i < array_size(expected); i++)
        assert_int_equal(bus_tap_command(i), expected[i]);
    assert_int_equal(bench->tpm->live_count, 0);
    assert_false(bus_tap_saw(prepared.pin.bytes, 8));
    assert_false(bus_tap_saw(prepared.data.bytes, 8));
}

static void test_sealing_shows_nothing_on_the_bus(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_secret(DIGEST_BYTES);
    cleanup(secret_free) struct secret data = random_secret(SEALED_DATA_MAX);
    const struct digest policy = { { 0 } };
    struct sealed_blob blob;
    struct error error;

    bus_tap(bench->tpm);
    bench_ok(tpm_seal(bench->tpm, &policy, &auth, &data, &blob, &error), &error);
    assert_int_equal(bus_tap_count(), 2);
    assert_true(bus_tap_saw(policy.bytes, sizeof(policy.bytes)));
    assert_false(bus_tap_saw(auth.bytes, 8));
    assert_false(bus_tap_saw(data.bytes, 8));
    assert_false(bus_tap_saw(data.bytes + 100, 8));
    assert_int_equal(bench->tpm->live_count, 0);
}

static void test_wrong_pin_then_right_in_one_session(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct error error;

    bus_tap(bench->tpm);
    assert_int_equal(unseal(&prepared, &prepared.wrong, &error), ERROR_WRONG_PIN);
    assert_int_equal(error.tpm_code, TPM_CODE_WRONG_AUTH);
    assert_int_not_equal(prepared.session.reference, 0);
    assert_int_equal(bus_tap_count(), 1);
    bench_ok(unseal(&prepared, &prepared.pin, &error), &error);
    assert_int_equal(bus_tap_count(), 2);
    assert_int_equal(prepared.session.reference, 0);
    assert_int_equal(bench_state(bench).lockout_counter, 1);
}

static void test_wrong_pin_then_freed(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct error error;

    assert_int_equal(unseal(&prepared, &prepared.wrong, &error), ERROR_WRONG_PIN);
    bus_tap(bench->tpm);
    tpm_handle_free(&prepared.session);
    assert_int_equal(bus_tap_count(), 1);
    assert_int_equal(bus_tap_command(0), TPM2_CC_FlushContext);
    assert_int_equal(bench->tpm->live_count, 1);
}

static void test_session_lives_through_a_shutdown(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct error error;

    assert_int_equal(unseal(&prepared, &prepared.wrong, &error), ERROR_WRONG_PIN);
    bench_ok(tpm_shutdown(bench->tpm, &error), &error);
    bench_ok(unseal(&prepared, &prepared.pin, &error), &error);
}

static void test_lockout(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct error error;

    for (int i = 0; i < 3; i++)
        assert_int_equal(unseal(&prepared, &prepared.wrong, &error), ERROR_WRONG_PIN);
    assert_true(bench_state(bench).in_lockout);
    assert_int_equal(unseal(&prepared, &prepared.pin, &error), ERROR_LOCKOUT);
    assert_int_equal(error.tpm_code, TPM_CODE_LOCKOUT);
}

static void test_object_without_auth_is_not_locked_out(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret data = random_secret(32);
    cleanup(secret_free) struct secret got = { 0 };
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct bench_object object;
    struct error error;

    for (int i = 0; i < 3; i++)
        assert_int_equal(unseal(&prepared, &prepared.wrong, &error), ERROR_WRONG_PIN);
    unload(&prepared);
    object = bench_protect(bench, NULL, &data);
    bench_ok(bench_unlock(bench, &object, NULL, &got, &error), &error);
}

/* The power goes right after the PIN: a try is counted unless TPM2_Shutdown came first. */
static void count_after_power_cut(struct bench *bench, bool right, bool shut_down, unsigned expected)
{
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct error error;

    assert_int_equal(unseal(&prepared, right ? &prepared.pin : &prepared.wrong, &error),
                     right ? ERROR_NONE : ERROR_WRONG_PIN);
    if (shut_down)
        bench_ok(tpm_shutdown(bench->tpm, &error), &error);
    unload(&prepared);
    bench_power_cut(bench);
    assert_int_equal(bench_state(bench).lockout_counter, expected);
}

static void test_power_cut_after_right_pin_and_shutdown(void **state)
{
    count_after_power_cut(*state, true, true, 0);
}

static void test_power_cut_after_right_pin_alone(void **state)
{
    count_after_power_cut(*state, true, false, 1);
}

static void test_power_cut_after_wrong_pin_and_shutdown(void **state)
{
    count_after_power_cut(*state, false, true, 1);
}

static void test_power_cut_after_wrong_pin_alone(void **state)
{
    count_after_power_cut(*state, false, false, 2);
}

/* ---- what the TPM refuses ---- */

static void test_stale_list(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    const struct digest other = { { 7 } };
    struct error error;

    tpm_handle_free(&prepared.session);
    bench_ok(tpm_index_write(bench->tpm, &bench->index, &other, &bench->authority, &error), &error);
    assert_int_equal(
        bench_session(bench, prepared.object.branches, &prepared.object.name, true, &prepared.session, &error),
        ERROR_MISMATCH);
    assert_int_equal(error.tpm_code, TPM_CODE_STALE_LIST);
}

static void test_boot_state_that_is_not_approved(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct error error;

    tpm_handle_free(&prepared.session);
    bench_ok(tpm_pcr_event(bench->tpm, BENCH_CAP, "bootseal cap v1", 15, &error), &error);
    assert_int_equal(
        bench_session(bench, prepared.object.branches, &prepared.object.name, true, &prepared.session, &error),
        ERROR_MISMATCH);
    assert_int_equal(error.tpm_code, TPM_CODE_OR_MISMATCH);
}

static void test_pcr_that_moves_in_between(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct error error;

    bench_ok(tpm_pcr_event(bench->tpm, 10, "ima", 3, &error), &error); /* not one of the policy */
    assert_int_equal(unseal(&prepared, &prepared.pin, &error), ERROR_MISMATCH);
    assert_int_equal(error.tpm_code, TPM_CODE_PCR_CHANGED);
    assert_int_equal(bench_state(bench).lockout_counter, 0);
    tpm_handle_free(&prepared.session);
    bench_ok(bench_session(bench, prepared.object.branches, &prepared.object.name, true, &prepared.session, &error),
             &error);
    bench_ok(unseal(&prepared, &prepared.pin, &error), &error);
}

/* An old object from an old header, tried under the new one's approval. */
static void test_object_that_is_not_approved(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared old = prepare(bench);
    struct bench_object new;
    struct error error;

    unload(&old);
    new = bench_protect(bench, &old.pin, &old.data);
    bench_ok(tpm_load(bench->tpm, &old.object.blob, &old.loaded, &error), &error);
    bench_ok(bench_session(bench, new.branches, &new.name, true, &old.session, &error), &error);
    assert_int_equal(unseal(&old, &old.pin, &error), ERROR_MISMATCH);
    assert_int_equal(error.tpm_code, TPM_CODE_POLICY_FAIL);
    assert_int_equal(bench_state(bench).lockout_counter, 0);
}

static void test_blob_of_another_tpm(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret data = random_secret(32);
    struct tpm_handle loaded = { 0 };
    void *other;
    struct sealed_blob blob;
    struct error error;

    assert_int_equal(bench_setup(&other), 0);
    blob = bench_seal(other, NULL, &data);
    bench_teardown(&other);
    assert_int_equal(tpm_load(bench->tpm, &blob, &loaded, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_INTEGRITY);
    assert_true(strlen(error.remedy) > 0);
    assert_int_equal(loaded.reference, 0);
}

static void test_blob_that_was_edited(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret data = random_secret(32);
    const struct sealed_blob good = bench_seal(bench, NULL, &data);
    struct sealed_blob bad = good;
    struct tpm_handle loaded = { 0 };
    struct error error;

    bad.private[bad.private_size - 1] ^= 1;
    assert_int_equal(tpm_load(bench->tpm, &bad, &loaded, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_INTEGRITY);
    bad = good;
    bad.public_size--;
    assert_int_equal(tpm_load(bench->tpm, &bad, &loaded, &error), ERROR_METADATA);
    bad = good;
    bad.private_size = SEALED_PRIVATE_MAX + 1;
    assert_int_equal(tpm_load(bench->tpm, &bad, &loaded, &error), ERROR_METADATA);
    bad = good;
    bad.public_size = 0;
    assert_int_equal(tpm_load(bench->tpm, &bad, &loaded, &error), ERROR_METADATA);
}

/* Without adminWithPolicy a PIN could be tried by ObjectChangeAuth in any boot state. */
static void test_threat_28_pin_cannot_be_tried_by_object_change_auth(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    const TPM2B_AUTH new_auth = { .size = 4, .buffer = { 1, 2, 3, 4 } };
    ESYS_CONTEXT *esys = bench->tpm->esys;
    TPM2B_PRIVATE *private = NULL;
    struct error error;

    bench_ok(tpm_session_start_hmac(bench->tpm, TPMA_SESSION_DECRYPT, &session, &error), &error);
    bench_ok(tpm_auth_set(bench->tpm, prepared.loaded.reference, &prepared.pin, &error), &error);
    assert_int_equal(Esys_ObjectChangeAuth(esys, prepared.loaded.reference, bench->tpm->srk, session.reference,
                                           ESYS_TR_NONE, ESYS_TR_NONE, &new_auth, &private),
                     TPM2_RC_AUTH_TYPE);
    assert_int_equal(bench_state(bench).lockout_counter, 0);
}

static void test_threat_28_pin_cannot_be_tried_by_certify(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    const TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_NULL };
    const TPM2B_DATA nothing = { 0 };
    TPM2B_ATTEST *info = NULL;
    TPMT_SIGNATURE *signature = NULL;
    struct error error;

    bench_ok(tpm_auth_set(bench->tpm, prepared.loaded.reference, &prepared.pin, &error), &error);
    assert_int_equal(Esys_Certify(bench->tpm->esys, prepared.loaded.reference, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD,
                                  ESYS_TR_PASSWORD, ESYS_TR_NONE, &nothing, &scheme, &info, &signature),
                     TPM2_RC_AUTH_TYPE);
    assert_int_equal(bench_state(bench).lockout_counter, 0);
}

static void test_threat_28_pin_cannot_be_tried_without_policy(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    TPM2B_SENSITIVE_DATA *data = NULL;
    struct error error;

    bench_ok(tpm_auth_set(bench->tpm, prepared.loaded.reference, &prepared.pin, &error), &error);
    assert_int_equal(
        Esys_Unseal(bench->tpm->esys, prepared.loaded.reference, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &data),
        TPM2_RC_AUTH_UNAVAILABLE);
}

static void test_answer_that_was_changed(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct error error;

    bus_tap(bench->tpm);
    bus_tap_spoil(TPM2_CC_Unseal, 100); /* in the secret, before nonce and HMAC */
    assert_int_equal(unseal(&prepared, &prepared.pin, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, 0);
    assert_non_null(strstr(error.text, "not authentic"));
}

static void test_pin_is_retried_while_the_tpm_is_busy(void **state)
{
    struct bench *bench = *state;
    cleanup(prepared_free) struct prepared prepared = prepare(bench);
    struct error error;

    bus_tap(bench->tpm);
    bus_tap_refuse(TPM2_CC_Unseal, TPM2_RC_RETRY, 7);
    bench_ok(unseal(&prepared, &prepared.pin, &error), &error);
    assert_int_equal(bus_tap_repeats(), 8); /* and one from the TPM itself */
    assert_int_equal(bus_tap_count(), 1);
    assert_int_equal(bench_state(bench).lockout_counter, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_without_auth),
        bench_test(test_with_auth_and_as_much_as_fits),
        bench_test(test_auth_with_trailing_zeros),
        bench_test(test_refuses_what_cannot_be_sealed),
        bench_test(test_attributes_as_designed),
        bench_test(test_unlock_takes_eleven_commands),
        bench_test(test_sealing_shows_nothing_on_the_bus),
        bench_test(test_wrong_pin_then_right_in_one_session),
        bench_test(test_wrong_pin_then_freed),
        bench_test(test_session_lives_through_a_shutdown),
        bench_test(test_lockout),
        bench_test(test_object_without_auth_is_not_locked_out),
        bench_test(test_power_cut_after_right_pin_and_shutdown),
        bench_test(test_power_cut_after_right_pin_alone),
        bench_test(test_power_cut_after_wrong_pin_and_shutdown),
        bench_test(test_power_cut_after_wrong_pin_alone),
        bench_test(test_stale_list),
        bench_test(test_boot_state_that_is_not_approved),
        bench_test(test_pcr_that_moves_in_between),
        bench_test(test_object_that_is_not_approved),
        bench_test(test_blob_of_another_tpm),
        bench_test(test_blob_that_was_edited),
        bench_test(test_threat_28_pin_cannot_be_tried_by_object_change_auth),
        bench_test(test_threat_28_pin_cannot_be_tried_by_certify),
        bench_test(test_threat_28_pin_cannot_be_tried_without_policy),
        bench_test(test_answer_that_was_changed),
        bench_test(test_pin_is_retried_while_the_tpm_is_busy),
    };

    return cmocka_run_group_tests_name("sealed", tests, NULL, NULL);
}
