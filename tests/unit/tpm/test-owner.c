#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"

#include <string.h>

/* Sets the owner authorisation, and forgets it in tpm2-tss. */
static void set_owner_auth(struct bench *bench, const struct secret *auth)
{
    TPM2B_AUTH copy = { .size = (UINT16)auth->size };

    memcpy(copy.buffer, auth->bytes, auth->size);
    assert_int_equal(Esys_HierarchyChangeAuth(bench->tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                              ESYS_TR_NONE, &copy),
                     0);
    assert_int_equal(Esys_TR_SetAuth(bench->tpm->esys, ESYS_TR_RH_OWNER, NULL), 0);
}

static void evict(struct bench *bench)
{
    ESYS_TR none;

    assert_int_equal(Esys_EvictControl(bench->tpm->esys, ESYS_TR_RH_OWNER, bench->tpm->srk, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, TPM_SRK_HANDLE, &none),
                     0);
    tpm_reference_close(bench->tpm, &bench->tpm->srk);
}

static struct secret owner_auth(void)
{
    struct secret auth;
    struct error error;

    bench_ok(secret_copy(&auth, "the owner says so", 17, &error), &error);
    return auth;
}

static void test_index(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = owner_auth();
    enum tpm_index_condition condition;
    struct error error;

    set_owner_auth(bench, &auth);
    tpm_owner_auth_use(bench->tpm, &auth);
    bus_tap(bench->tpm);
    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    bench_ok(tpm_index_probe(bench->tpm, &bench->index, &condition, &error), &error);
    assert_int_equal(condition, TPM_INDEX_ABSENT);
    bench_ok(tpm_index_define(bench->tpm, &bench->index, &error), &error);
    bench_ok(tpm_index_probe(bench->tpm, &bench->index, &condition, &error), &error);
    assert_int_equal(condition, TPM_INDEX_UNWRITTEN);
    assert_false(bus_tap_saw(auth.bytes, auth.size / 2));
    assert_int_equal(bench->tpm->live_count, 0);
}

/* Whatever is at the handle goes, written or foreign, of another Name algorithm too. */
static void test_foreign_index(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = owner_auth();
    const TPM2B_AUTH empty = { 0 };
    const TPM2B_NV_PUBLIC foreign = {
        .nvPublic = { .nvIndex = TPM_INDEX_FIRST,
                      .nameAlg = TPM2_ALG_SHA384,
                      .dataSize = 8,
                      .attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE },
    };
    enum tpm_index_condition condition;
    struct error error;
    ESYS_TR index;

    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    assert_int_equal(Esys_NV_DefineSpace(bench->tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                         ESYS_TR_NONE, &empty, &foreign, &index),
                     0);
    set_owner_auth(bench, &auth);
    tpm_owner_auth_use(bench->tpm, &auth);
    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    bench_ok(tpm_index_probe(bench->tpm, &bench->index, &condition, &error), &error);
    assert_int_equal(condition, TPM_INDEX_ABSENT);
}

/* There is no SRK yet that a session could be salted to. */
static void test_first_srk(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = owner_auth();
    struct entity srk;
    struct error error;

    evict(bench);
    set_owner_auth(bench, &auth);
    tpm_owner_auth_use(bench->tpm, &auth);
    bus_tap(bench->tpm);
    bench_ok(tpm_srk_make(bench->tpm, &srk, &error), &error);
    assert_true(object_name_equal(&srk.name, &bench->srk.name));
    assert_false(bus_tap_saw(auth.bytes, auth.size / 2));
    assert_int_equal(bench->tpm->live_count, 0);
}

static void test_wrong_one(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = owner_auth();
    cleanup(secret_free) struct secret wrong = bench_secret(7, 20);
    struct entity srk;
    struct error error;

    set_owner_auth(bench, &auth);
    tpm_owner_auth_use(bench->tpm, &wrong);
    assert_int_equal(tpm_index_undefine(bench->tpm, &bench->index, &error), ERROR_TPM);
    assert_int_equal(error.tpm_code, TPM_CODE_WRONG_AUTH_NODA);
    assert_non_null(strstr(error.text, "owner authorisation is set"));
    assert_non_null(strstr(error.remedy, "--owner-auth-file"));
    /* one that is not set is none, whatever was given */
    tpm_owner_auth_use(bench->tpm, &auth);
    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    tpm_owner_auth_use(bench->tpm, NULL);
    assert_int_equal(tpm_index_define(bench->tpm, &bench->index, &error), ERROR_TPM);
    assert_int_equal(bench->tpm->live_count, 0);
    bench_ok(tpm_srk_make(bench->tpm, &srk, &error), &error); /* it is there: no owner is needed */
}

/* In the password session of a careless program it would be seen. */
static void test_the_tap_would_see_one(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = owner_auth();
    const TPM2B_AUTH empty = { 0 };

    set_owner_auth(bench, &auth);
    bench_ok(tpm_auth_set(bench->tpm, ESYS_TR_RH_OWNER, &auth, &(struct error){ 0 }), &(struct error){ 0 });
    bus_tap(bench->tpm);
    assert_int_equal(Esys_HierarchyChangeAuth(bench->tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                              ESYS_TR_NONE, &empty),
                     0);
    assert_true(bus_tap_saw(auth.bytes, auth.size / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_index),     bench_test(test_foreign_index),         bench_test(test_first_srk),
        bench_test(test_wrong_one), bench_test(test_the_tap_would_see_one),
    };

    return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}
