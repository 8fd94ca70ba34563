#include "bench.h"

#include "base/cleanup.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <string.h>

/* ---- the authority ---- */

static int sign(void *context, const struct authority_request *request, struct authority_signature *ret,
                struct error *error)
{
    struct span ref = authority_policy_ref(request->use);
    const struct span parts[] = { { request->nonce_tpm, sizeof(request->nonce_tpm) },
                                  { "\0\0\0", 4 },
                                  { request->cp_hash.bytes, sizeof(request->cp_hash.bytes) },
                                  ref };
    EVP_PKEY_CTX *signing = EVP_PKEY_CTX_new(context, NULL);
    uint8_t der[128];
    const uint8_t *p = der;
    size_t size = sizeof(der);
    struct digest digest;
    ECDSA_SIG *signature;

    assert_int_equal(digest_compute(&digest, parts, array_size(parts), error), 0);
    assert_int_equal(EVP_PKEY_sign_init(signing), 1);
    assert_int_equal(EVP_PKEY_sign(signing, der, &size, digest.bytes, sizeof(digest.bytes)), 1);
    EVP_PKEY_CTX_free(signing);
    signature = d2i_ECDSA_SIG(NULL, &p, (long)size);
    assert_non_null(signature);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret->r, sizeof(ret->r)), sizeof(ret->r));
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret->s, sizeof(ret->s)), sizeof(ret->s));
    ECDSA_SIG_free(signature);
    return 0;
}

struct authority_signer bench_authority_new(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct authority_signer authority = { .sign = sign, .context = key };
    uint8_t point[65];
    size_t size;

    assert_non_null(key);
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof(point), &size), 1);
    assert_int_equal(size, sizeof(point));
    memcpy(authority.public.x, point + 1, sizeof(authority.public.x));
    memcpy(authority.public.y, point + 33, sizeof(authority.public.y));
    return authority;
}

void bench_authority_free(struct authority_signer *authority)
{
    EVP_PKEY_free(authority->context);
    authority->context = NULL;
}

/* ---- the machine ---- */

void bench_disconnect(struct bench *bench)
{
    tpm_close(&bench->tpm);
}

void bench_connect(struct bench *bench)
{
    struct error error;

    bench_ok(tpm_open(&bench->tpm, swtpm_tcti(&bench->swtpm), &error), &error);
    bench_ok(tpm_srk_use(bench->tpm, &bench->srk, &error), &error);
    bench_ok(tpm_index_use(bench->tpm, &bench->index, &error), &error);
}

void bench_power_cut(struct bench *bench)
{
    bench_disconnect(bench);
    assert_int_equal(swtpm_power_cut(&bench->swtpm), 0);
    bench_connect(bench);
}

struct digest bench_index_policy(struct bench *bench, const struct authority_signer *authority)
{
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    const struct digest any = { { 0 } };
    struct digest policy;
    struct error error;

    bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_TRIAL, &session, &error), &error);
    bench_ok(tpm_policy_signed(&session, authority, AUTHORITY_APPROVE, &any, &error), &error);
    bench_ok(tpm_policy_digest(&session, &policy, &error), &error);
    return policy;
}

struct digest bench_object_policy(struct bench *bench, bool has_auth)
{
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    struct digest policy, nothing = { { 0 } };
    struct error error;
    enum tpm_index_condition condition;

    bench_ok(tpm_index_probe(bench->tpm, &bench->index, &condition, &error), &error);
    if (condition == TPM_INDEX_UNWRITTEN)
        bench_ok(tpm_index_write(bench->tpm, &bench->index, &nothing, &bench->authority, &error), &error);
    bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_TRIAL, &session, &error), &error);
    bench_ok(tpm_policy_authorize_nv(&session, &error), &error);
    if (has_auth)
        bench_ok(tpm_policy_auth_value(&session, &error), &error);
    bench_ok(tpm_policy_digest(&session, &policy, &error), &error);
    return policy;
}

int bench_setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct digest policy;
    struct error error;

    assert_non_null(bench);
    *state = bench;
    if (swtpm_start(&bench->swtpm))
        return -1;
    bench->authority = bench_authority_new();
    bench_ok(tpm_open(&bench->tpm, swtpm_tcti(&bench->swtpm), &error), &error);
    bench_ok(tpm_srk_make(bench->tpm, &bench->srk, &error), &error);
    policy = bench_index_policy(bench, &bench->authority);
    bench_ok(tpm_index_describe(TPM_INDEX_FIRST, &policy, &bench->index, &error), &error);
    bench_ok(tpm_index_define(bench->tpm, &bench->index, &error), &error);
    bench_ok(tpm_index_use(bench->tpm, &bench->index, &error), &error);
    return 0;
}

int bench_teardown(void **state)
{
    struct bench *bench = *state;

    tpm_close(&bench->tpm);
    swtpm_stop(&bench->swtpm);
    bench_authority_free(&bench->authority);
    free(bench);
    return 0;
}

struct tpm_state bench_state(struct bench *bench)
{
    struct tpm_state state;
    struct error error;

    bench_ok(tpm_state_read(bench->tpm, &state, &error), &error);
    return state;
}

/* ---- approvals ---- */

void bench_branches(struct bench *bench, struct digest ret[2])
{
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    struct error error;

    bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_TRIAL, &session, &error), &error);
    bench_ok(tpm_policy_pcr(&session, HASH_SHA256, BENCH_PCRS, &error), &error);
    bench_ok(tpm_policy_digest(&session, &ret[0], &error), &error);
    memset(ret[1].bytes, 0x5a, sizeof(ret[1].bytes));
}

struct digest bench_unseal_cp_hash(const struct object_name *object)
{
    const struct span parts[] = { { "\x00\x00\x01\x5e", 4 }, { object->bytes, sizeof(object->bytes) } };
    struct digest digest;
    struct error error;

    bench_ok(digest_compute(&digest, parts, array_size(parts), &error), &error);
    return digest;
}

void bench_approve(struct bench *bench, const struct digest branches[2], const struct object_name *object)
{
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    struct digest cp_hash = bench_unseal_cp_hash(object), approved;
    struct error error;

    bench_ok(tpm_session_start(bench->tpm, TPM_SESSION_TRIAL, &session, &error), &error);
    bench_ok(tpm_policy_or(&session, branches, 2, &error), &error);
    bench_ok(tpm_policy_cp_hash(&session, &cp_hash, &error), &error);
    bench_ok(tpm_policy_digest(&session, &approved, &error), &error);
    bench_ok(tpm_index_write(bench->tpm, &bench->index, &approved, &bench->authority, &error), &error);
}

int bench_session(struct bench *bench, const struct digest branches[2], const struct object_name *object, bool has_auth,
                  struct tpm_handle *ret, struct error *error)
{
    struct digest cp_hash = bench_unseal_cp_hash(object);
    int r = tpm_session_start(bench->tpm, TPM_SESSION_POLICY, ret, error) ?:
            tpm_policy_pcr(ret, HASH_SHA256, BENCH_PCRS, error) ?:
            tpm_policy_or(ret, branches, 2, error) ?:
            tpm_policy_cp_hash(ret, &cp_hash, error) ?:
            tpm_policy_authorize_nv(ret, error);

    if (!r && has_auth)
        r = tpm_policy_auth_value(ret, error);
    return r;
}

/* ---- sealed objects ---- */

struct secret bench_secret(uint8_t byte, size_t size)
{
    struct secret secret;
    struct error error;

    bench_ok(secret_new(&secret, size, &error), &error);
    memset(secret.bytes, byte, size);
    secret.size = size;
    return secret;
}

struct sealed_blob bench_seal(struct bench *bench, const struct secret *auth, const struct secret *data)
{
    struct digest policy = bench_object_policy(bench, auth != NULL);
    struct sealed_blob blob;
    struct error error;

    bench_ok(tpm_seal(bench->tpm, &policy, auth, data, &blob, &error), &error);
    return blob;
}

struct bench_object bench_protect(struct bench *bench, const struct secret *auth, const struct secret *data)
{
    struct bench_object object = { .blob = bench_seal(bench, auth, data) };
    struct error error;

    bench_ok(sealed_name(&object.blob, &object.name, &error), &error);
    bench_branches(bench, object.branches);
    bench_approve(bench, object.branches, &object.name);
    return object;
}

int bench_unlock(struct bench *bench, const struct bench_object *object, const struct secret *auth, struct secret *ret,
                 struct error *error)
{
    cleanup(tpm_handle_free) struct tpm_handle loaded = { 0 };
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };

    return tpm_load(bench->tpm, &object->blob, &loaded, error) ?:
           bench_session(bench, object->branches, &object->name, auth != NULL, &session, error) ?:
           tpm_unseal(&loaded, &session, auth, ret, error);
}
