#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"

#include <string.h>

static const struct digest first = { { 1, 2, 3 } }, second = { { 4, 5, 6 } };

static enum tpm_index_condition probe(struct bench *bench)
{
    enum tpm_index_condition condition;
    struct error error;

    bench_ok(tpm_index_probe(bench->tpm, &bench->index, &condition, &error), &error);
    return condition;
}

static int write_approved(struct bench *bench, const struct digest *approved, struct error *error)
{
    return tpm_index_write(bench->tpm, &bench->index, approved, &bench->authority, error);
}

/* An index at the pinned handle, as someone else would define it. */
static void define(struct bench *bench, TPMA_NV attributes, const TPM2B_AUTH *auth)
{
    TPM2B_NV_PUBLIC public = { 0 };
    struct error error;
    ESYS_TR reference;

    bench_ok(tpm_index_parse(&bench->index, &public.nvPublic, &error), &error);
    public.nvPublic.attributes = attributes;
    assert_int_equal(Esys_NV_DefineSpace(bench->tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                         ESYS_TR_NONE, auth, &public, &reference),
                     0);
    assert_int_equal(Esys_TR_Close(bench->tpm->esys, &reference), 0);
}

#define OURS (TPMA_NV_AUTHREAD | TPMA_NV_POLICYWRITE | TPMA_NV_WRITEALL | TPMA_NV_NO_DA)

static void test_public_area_as_designed(void **state)
{
    struct bench *bench = *state;
    struct digest policy = bench_index_policy(bench, &bench->authority);
    TPM2B_NV_PUBLIC *public;
    TPM2B_NAME *name;
    struct error error;

    bench_ok(write_approved(bench, &first, &error), &error);
    assert_int_equal(Esys_NV_ReadPublic(bench->tpm->esys, bench->tpm->index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                        &public, &name),
                     0);
    assert_int_equal(public->nvPublic.nvIndex, TPM_INDEX_FIRST);
    assert_int_equal(public->nvPublic.nameAlg, TPM2_ALG_SHA256);
    assert_int_equal(public->nvPublic.attributes, OURS | TPMA_NV_WRITTEN);
    assert_int_equal(public->nvPublic.dataSize, 34);
    assert_int_equal(public->nvPublic.authPolicy.size, sizeof(policy.bytes));
    assert_memory_equal(public->nvPublic.authPolicy.buffer, policy.bytes, sizeof(policy.bytes));
    assert_int_equal(name->size, NAME_BYTES);
    assert_memory_equal(name->name, bench->index.name.bytes, NAME_BYTES);
    Esys_Free(public);
    Esys_Free(name);
}

static void test_writes_and_reads(void **state)
{
    struct bench *bench = *state;
    struct digest got;
    struct error error;

    assert_int_equal(probe(bench), TPM_INDEX_UNWRITTEN);
    assert_int_equal(tpm_index_read(bench->tpm, &bench->index, &got, &error), ERROR_TPM);
    bench_ok(write_approved(bench, &first, &error), &error);
    assert_int_equal(probe(bench), TPM_INDEX_WRITTEN);
    bench_ok(tpm_index_read(bench->tpm, &bench->index, &got, &error), &error);
    assert_true(digest_equal(&got, &first));
    bench_ok(write_approved(bench, &second, &error), &error);
    bench_ok(tpm_index_read(bench->tpm, &bench->index, &got, &error), &error);
    assert_true(digest_equal(&got, &second));
    assert_int_equal(bench->tpm->live_count, 0);
}

static void test_keeps_it_through_a_power_cut(void **state)
{
    struct bench *bench = *state;
    struct digest got;
    struct error error;

    bench_ok(write_approved(bench, &first, &error), &error);
    bench_power_cut(bench);
    bench_ok(tpm_index_read(bench->tpm, &bench->index, &got, &error), &error);
    assert_true(digest_equal(&got, &first));
}

static void test_use_is_what_tpm2_tss_would_read(void **state)
{
    struct bench *bench = *state;
    uint8_t *ours, *theirs;
    size_t our_size, their_size;
    ESYS_TR reference;
    struct error error;

    bench_ok(write_approved(bench, &first, &error), &error);
    assert_int_equal(
        Esys_TR_FromTPMPublic(bench->tpm->esys, TPM_INDEX_FIRST, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &reference),
        0);
    assert_int_equal(Esys_TR_Serialize(bench->tpm->esys, reference, &theirs, &their_size), 0);
    bus_tap(bench->tpm);
    bench_ok(tpm_index_use(bench->tpm, &bench->index, &error), &error);
    assert_int_equal(bus_tap_count(), 0);
    assert_int_equal(Esys_TR_Serialize(bench->tpm->esys, bench->tpm->index, &ours, &our_size), 0);
    assert_int_equal(our_size, their_size);
    assert_memory_equal(ours, theirs, our_size);
    free(ours);
    free(theirs);
}

static void test_find_free(void **state)
{
    struct bench *bench = *state;
    struct digest policy = { { 0 } };
    struct entity index;
    struct error error;
    uint32_t handle;

    for (uint32_t expected = TPM_INDEX_FIRST + 1; expected <= TPM_INDEX_LAST; expected++) {
        bench_ok(tpm_index_find_free(bench->tpm, &handle, &error), &error);
        assert_int_equal(handle, expected);
        bench_ok(tpm_index_describe(handle, &policy, &index, &error), &error);
        bench_ok(tpm_index_define(bench->tpm, &index, &error), &error);
    }
    assert_int_equal(tpm_index_find_free(bench->tpm, &handle, &error), ERROR_TPM);
    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    bench_ok(tpm_index_find_free(bench->tpm, &handle, &error), &error);
    assert_int_equal(handle, TPM_INDEX_FIRST);
}

static void test_define_and_undefine(void **state)
{
    struct bench *bench = *state;
    struct error error;

    assert_int_equal(tpm_index_define(bench->tpm, &bench->index, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM2_RC_NV_DEFINED);
    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    assert_int_equal(probe(bench), TPM_INDEX_ABSENT);
    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    assert_int_equal(write_approved(bench, &first, &error), ERROR_TPM);
    bench_ok(tpm_index_define(bench->tpm, &bench->index, &error), &error);
    assert_int_equal(probe(bench), TPM_INDEX_UNWRITTEN);
}

static void test_foreign_index(void **state)
{
    const TPM2B_AUTH empty = { 0 };
    struct bench *bench = *state;
    struct error error;

    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    define(bench, OURS | TPMA_NV_OWNERWRITE, &empty);
    assert_int_equal(probe(bench), TPM_INDEX_FOREIGN);
    assert_int_equal(write_approved(bench, &first, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "not bootseal's"));
}

/* ---- the attacker with owner authorisation: he can delete and define, never write ---- */

static TSS2_RC write_directly(struct bench *bench, ESYS_TR auth, ESYS_TR index)
{
    TPM2B_MAX_NV_BUFFER data = { .size = 34, .buffer = { 0, 11, 0x66 } };

    return Esys_NV_Write(bench->tpm->esys, auth, index, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &data, 0);
}

static void test_threat_14_attackers_redefinition(void **state)
{
    const TPM2B_AUTH empty = { 0 };
    struct bench *bench = *state;
    struct digest got;
    struct error error;
    ESYS_TR index;

    bench_ok(write_approved(bench, &first, &error), &error);
    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    define(bench, OURS, &empty);
    assert_int_equal(probe(bench), TPM_INDEX_UNWRITTEN);
    assert_int_equal(
        Esys_TR_FromTPMPublic(bench->tpm->esys, TPM_INDEX_FIRST, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &index), 0);
    assert_int_equal(write_directly(bench, index, index), TPM2_RC_AUTH_UNAVAILABLE);
    assert_int_equal(write_directly(bench, ESYS_TR_RH_OWNER, index), TPM2_RC_NV_AUTHORIZATION);
    assert_int_equal(probe(bench), TPM_INDEX_UNWRITTEN);
    bench_ok(write_approved(bench, &second, &error), &error);
    bench_ok(tpm_index_read(bench->tpm, &bench->index, &got, &error), &error);
    assert_true(digest_equal(&got, &second));
}

/* With an authValue of his own the Name is the same; unlocking then fails until it is defined again. */
static void test_threat_14_redefinition_with_auth_value(void **state)
{
    const TPM2B_AUTH his = { .size = 4, .buffer = { 1, 2, 3, 4 } };
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    struct digest got;
    struct error error;

    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    define(bench, OURS, &his);
    bench_ok(write_approved(bench, &first, &error), &error);
    assert_int_equal(probe(bench), TPM_INDEX_WRITTEN);
    assert_int_equal(tpm_index_read(bench->tpm, &bench->index, &got, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_WRONG_AUTH_NODA);
    bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &session, &error), &error);
    assert_int_equal(tpm_policy_authorize_nv(&session, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "by someone else"));
}

static void test_threat_27_another_authority_cannot_write(void **state)
{
    struct bench *bench = *state;
    struct authority_signer other = bench_authority_new();
    struct error error;

    assert_int_equal(tpm_index_write(bench->tpm, &bench->index, &first, &other, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_POLICY_FAIL);
    assert_int_equal(probe(bench), TPM_INDEX_UNWRITTEN);
    assert_int_equal(bench->tpm->live_count, 0);
    bench_authority_free(&other);
}

/* What one signature allows: this content at this place. */
static void write_other_content(struct bench *bench, uint8_t byte, UINT16 size, UINT16 offset, TSS2_RC expected)
{
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    TPM2B_MAX_NV_BUFFER data = { .size = 34, .buffer = { 0, 11 } };
    struct digest cp_hash;
    struct error error;
    const struct span parts[] = { { "\x00\x00\x01\x37", 4 },
                                  { bench->index.name.bytes, NAME_BYTES },
                                  { bench->index.name.bytes, NAME_BYTES },
                                  { "\x00\x22", 2 },
                                  { data.buffer, 34 },
                                  { "\x00\x00", 2 } };

    bench_ok(digest_compute(&cp_hash, parts, array_size(parts), &error), &error);
    bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &session, &error), &error);
    bench_ok(tpm_policy_signed(&session, &bench->authority, AUTHORITY_APPROVE, &cp_hash, &error), &error);
    data.buffer[2] = byte;
    data.size = size;
    assert_int_equal(Esys_NV_Write(bench->tpm->esys, bench->tpm->index, bench->tpm->index, session.reference,
                                   ESYS_TR_NONE, ESYS_TR_NONE, &data, offset),
                     expected);
}

static void test_threat_27_signature_is_for_one_content(void **state)
{
    struct bench *bench = *state;
    struct digest got;
    struct error error;

    bench_ok(write_approved(bench, &first, &error), &error);
    write_other_content(bench, 0x66, 34, 0, TPM_CODE_POLICY_FAIL);
    bench_ok(tpm_index_read(bench->tpm, &bench->index, &got, &error), &error);
    assert_true(digest_equal(&got, &first));
    write_other_content(bench, 0, 34, 0, TPM2_RC_SUCCESS);
}

/* ---- answers and pins that lie ---- */

static void test_answer_that_was_changed(void **state)
{
    struct bench *bench = *state;
    struct digest got;
    struct error error;

    bench_ok(write_approved(bench, &first, &error), &error);
    bus_tap(bench->tpm);
    bus_tap_spoil(TPM2_CC_NV_Read, 100); /* in the digest, before nonce and HMAC */
    assert_int_equal(tpm_index_read(bench->tpm, &bench->index, &got, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "not authentic"));
}

static void test_bad_pins(void **state)
{
    struct bench *bench = *state;
    struct entity bad;
    struct error error;

    bad = bench->index;
    bad.name.bytes[7] ^= 1;
    assert_int_equal(tpm_index_use(bench->tpm, &bad, &error), ERROR_METADATA);

    bad = bench->index;
    bad.handle++;
    assert_int_equal(tpm_index_use(bench->tpm, &bad, &error), ERROR_METADATA);

    bad = bench->index;
    bad.public_size--;
    assert_int_equal(tpm_index_use(bench->tpm, &bad, &error), ERROR_METADATA);

    bad = bench->index;
    bad.public[9] |= TPMA_NV_OWNERWRITE; /* the lowest byte of the attributes */
    bench_ok(object_name_compute(&bad.name, bad.public, bad.public_size, &error), &error);
    assert_int_equal(tpm_index_use(bench->tpm, &bad, &error), ERROR_METADATA);
    assert_int_equal(tpm_index_define(bench->tpm, &bad, &error), ERROR_METADATA);

    bench_ok(tpm_index_use(bench->tpm, &bench->index, &error), &error);
}

static void test_owner_authorisation_is_told(void **state)
{
    const TPM2B_AUTH owner = { .size = 1, .buffer = { 1 } };
    struct bench *bench = *state;
    struct error error;

    assert_int_equal(Esys_HierarchyChangeAuth(bench->tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                              ESYS_TR_NONE, &owner),
                     0);
    assert_int_equal(Esys_TR_SetAuth(bench->tpm->esys, ESYS_TR_RH_OWNER, NULL), 0);
    assert_int_equal(tpm_index_undefine(bench->tpm, &bench->index, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "owner authorisation is set"));
    assert_true(strlen(error.remedy) > 0);
    assert_int_equal(tpm_index_define(bench->tpm, &bench->index, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "owner authorisation is set"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_public_area_as_designed),
        bench_test(test_writes_and_reads),
        bench_test(test_keeps_it_through_a_power_cut),
        bench_test(test_use_is_what_tpm2_tss_would_read),
        bench_test(test_find_free),
        bench_test(test_define_and_undefine),
        bench_test(test_foreign_index),
        bench_test(test_threat_14_attackers_redefinition),
        bench_test(test_threat_14_redefinition_with_auth_value),
        bench_test(test_threat_27_another_authority_cannot_write),
        bench_test(test_threat_27_signature_is_for_one_content),
        bench_test(test_answer_that_was_changed),
        bench_test(test_bad_pins),
        bench_test(test_owner_authorisation_is_told),
    };

    return cmocka_run_group_tests_name("approval-index", tests, NULL, NULL);
}
