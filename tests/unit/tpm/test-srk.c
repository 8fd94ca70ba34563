#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"

#include <string.h>

static void test_make_finds_the_same_again(void **state)
{
    struct bench *bench = *state;
    struct entity again, read;
    struct error error;

    bus_tap(bench->tpm);
    bench_ok(tpm_srk_make(bench->tpm, &again, &error), &error);
    assert_int_equal(bus_tap_count(), 1);
    bench_ok(tpm_srk_read(bench->tpm, &read, &error), &error);
    assert_true(object_name_equal(&again.name, &bench->srk.name));
    assert_true(object_name_equal(&read.name, &bench->srk.name));
    assert_int_equal(entity_check(&read, &error), 0);
    assert_int_equal(read.handle, TPM_SRK_HANDLE);
}

static void test_template(void **state)
{
    struct bench *bench = *state;
    TPMT_PUBLIC public;
    size_t offset = 0;

    assert_int_equal(Tss2_MU_TPMT_PUBLIC_Unmarshal(bench->srk.public, bench->srk.public_size, &offset, &public), 0);
    assert_int_equal(public.type, TPM2_ALG_ECC);
    assert_int_equal(public.nameAlg, TPM2_ALG_SHA256);
    assert_int_equal(public.objectAttributes, TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                                  TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                                  TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
    assert_int_equal(public.parameters.eccDetail.curveID, TPM2_ECC_NIST_P256);
    assert_int_equal(public.parameters.eccDetail.symmetric.algorithm, TPM2_ALG_AES);
    assert_int_equal(public.parameters.eccDetail.symmetric.keyBits.aes, 128);
    assert_int_equal(public.parameters.eccDetail.symmetric.mode.aes, TPM2_ALG_CFB);
}

/* What tpm2-tss makes of a persistent key by itself, with ReadPublic, is what it gets here without. */
static void test_use_is_what_tpm2_tss_would_read(void **state)
{
    struct bench *bench = *state;
    uint8_t *ours, *theirs;
    size_t our_size, their_size;
    ESYS_TR reference;

    assert_int_equal(
        Esys_TR_FromTPMPublic(bench->tpm->esys, TPM_SRK_HANDLE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &reference),
        0);
    assert_int_equal(Esys_TR_Serialize(bench->tpm->esys, reference, &theirs, &their_size), 0);
    assert_int_equal(Esys_TR_Serialize(bench->tpm->esys, bench->tpm->srk, &ours, &our_size), 0);
    assert_int_equal(our_size, their_size);
    assert_memory_equal(ours, theirs, our_size);
    free(ours);
    free(theirs);
}

static void test_use_sends_nothing(void **state)
{
    struct bench *bench = *state;
    struct error error;

    bus_tap(bench->tpm);
    bench_ok(tpm_srk_use(bench->tpm, &bench->srk, &error), &error);
    assert_int_equal(bus_tap_count(), 0);
}

static void test_use_refuses_bad_pins(void **state)
{
    struct bench *bench = *state;
    struct entity bad;
    struct error error;

    bad = bench->srk;
    bad.name.bytes[5] ^= 1;
    assert_int_equal(tpm_srk_use(bench->tpm, &bad, &error), ERROR_METADATA);

    bad = bench->srk;
    bad.public_size--;
    assert_int_equal(tpm_srk_use(bench->tpm, &bad, &error), ERROR_METADATA);

    bad = bench->srk;
    bad.public_size = sizeof(bad.public) + 1;
    assert_int_equal(tpm_srk_use(bench->tpm, &bad, &error), ERROR_METADATA);

    bad = bench->srk;
    bad.handle = 0x80000000;
    assert_int_equal(tpm_srk_use(bench->tpm, &bad, &error), ERROR_METADATA);

    bad = bench->srk;
    bad.public[7] &= (uint8_t)~TPMA_OBJECT_FIXEDTPM; /* the lowest byte of the attributes */
    bench_ok(object_name_compute(&bad.name, bad.public, bad.public_size, &error), &error);
    assert_int_equal(tpm_srk_use(bench->tpm, &bad, &error), ERROR_METADATA);

    bench_ok(tpm_srk_use(bench->tpm, &bench->srk, &error), &error);
}

static void evict(struct bench *bench)
{
    ESYS_TR none;

    assert_int_equal(Esys_EvictControl(bench->tpm->esys, ESYS_TR_RH_OWNER, bench->tpm->srk, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, TPM_SRK_HANDLE, &none),
                     0);
}

static void test_empty_handle(void **state)
{
    struct bench *bench = *state;
    struct entity srk;
    struct error error;

    evict(bench);
    assert_int_equal(tpm_srk_read(bench->tpm, &srk, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_NO_HANDLE);
    bench_ok(tpm_srk_make(bench->tpm, &srk, &error), &error);
    assert_true(object_name_equal(&srk.name, &bench->srk.name)); /* same seed, same template */
    assert_int_equal(bench->tpm->live_count, 0);
}

/* A TPM that was cleared: the pinned key is not there. */
static void test_unlocking_with_an_empty_handle(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret data = bench_secret(1, 16);
    struct sealed_blob blob = bench_seal(bench, NULL, &data);
    struct tpm_handle loaded = { 0 }, session = { 0 };
    struct error error;

    evict(bench);
    bench_ok(tpm_srk_use(bench->tpm, &bench->srk, &error), &error);
    assert_int_equal(tpm_load(bench->tpm, &blob, &loaded, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_NO_HANDLE);
    assert_non_null(strstr(error.text, "no storage root key"));
    assert_true(strlen(error.remedy) > 0);
    assert_int_equal(tpm_session_start(bench->tpm, TPM_SESSION_POLICY, &session, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "no storage root key"));
}

static void test_refuses_another_kind_of_key(void **state)
{
    const TPM2B_SENSITIVE_CREATE sensitive = { 0 };
    const TPML_PCR_SELECTION creation_pcrs = { 0 };
    const TPM2B_DATA outside = { 0 };
    const TPM2B_PUBLIC signing = {
        .publicArea = {
            .type = TPM2_ALG_ECC, .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT,
            .parameters.eccDetail = { .symmetric.algorithm = TPM2_ALG_NULL, .scheme.scheme = TPM2_ALG_NULL,
                                      .curveID = TPM2_ECC_NIST_P256, .kdf.scheme = TPM2_ALG_NULL },
        },
    };
    struct bench *bench = *state;
    ESYS_CONTEXT *esys = bench->tpm->esys;
    ESYS_TR transient, persistent;
    struct entity srk;
    struct error error;

    evict(bench);
    assert_int_equal(Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                        &sensitive, &signing, &outside, &creation_pcrs, &transient, NULL, NULL, NULL,
                                        NULL),
                     0);
    assert_int_equal(Esys_EvictControl(esys, ESYS_TR_RH_OWNER, transient, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                       TPM_SRK_HANDLE, &persistent),
                     0);
    assert_int_equal(Esys_FlushContext(esys, transient), 0);
    assert_int_equal(tpm_srk_make(bench->tpm, &srk, &error), ERROR_TPM);
    assert_non_null(strstr(error.text, "not a storage key"));
}

static void test_owner_authorisation_is_told(void **state)
{
    const TPM2B_AUTH owner = { .size = 1, .buffer = { 1 } };
    struct bench *bench = *state;
    struct entity srk;
    struct error error;

    evict(bench);
    assert_int_equal(Esys_HierarchyChangeAuth(bench->tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                              ESYS_TR_NONE, &owner),
                     0);
    assert_int_equal(Esys_TR_SetAuth(bench->tpm->esys, ESYS_TR_RH_OWNER, NULL), 0);
    assert_int_equal(tpm_srk_make(bench->tpm, &srk, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_WRONG_AUTH_NODA);
    assert_non_null(strstr(error.text, "owner authorisation is set"));
    assert_true(strlen(error.remedy) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_make_finds_the_same_again),
        bench_test(test_template),
        bench_test(test_use_is_what_tpm2_tss_would_read),
        bench_test(test_use_sends_nothing),
        bench_test(test_use_refuses_bad_pins),
        bench_test(test_empty_handle),
        bench_test(test_unlocking_with_an_empty_handle),
        bench_test(test_refuses_another_kind_of_key),
        bench_test(test_owner_authorisation_is_told),
    };

    return cmocka_run_group_tests_name("srk", tests, NULL, NULL);
}
