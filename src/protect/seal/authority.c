#include "protect/seal/authority.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#define PEM_MAX_BYTES 4096

struct authority {
    EVP_PKEY *key;
    struct authority_public public;
};

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void free_context(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

static void free_signature(ECDSA_SIG **signature)
{
    ECDSA_SIG_free(*signature);
}

static void free_number(BIGNUM **number)
{
    BN_free(*number);
}

void authority_close(struct authority **authority)
{
    if (*authority)
        EVP_PKEY_free((*authority)->key);
    free(*authority);
    *authority = NULL;
}

static int make_key(const char *path, struct error *error)
{
    cleanup(free_key) EVP_PKEY *key = EVP_EC_gen("P-256");
    cleanup(free_bio) BIO *memory = BIO_new(BIO_s_secmem());
    char *pem;
    long size;

    if (!key || !memory || !PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL))
        return error_set(error, ERROR_FAILED, "libcrypto cannot make the authority's key");
    size = BIO_get_mem_data(memory, &pem);
    return file_write(path, pem, (size_t)size, 0600, error);
}

/* libcrypto would ask for an encrypted file's password on the terminal. */
static int no_password(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static int read_key(const char *path, EVP_PKEY **ret, struct error *error)
{
    cleanup(secret_free) struct secret pem = { 0 };
    cleanup(free_bio) BIO *memory = NULL;
    int r = file_check_private(path, error);

    if (!r)
        r = file_read_secret(path, PEM_MAX_BYTES, &pem, error);
    if (r)
        return r;
    memory = BIO_new_mem_buf(pem.bytes, (int)pem.size);
    *ret = memory ? PEM_read_bio_PrivateKey(memory, NULL, no_password, NULL) : NULL;
    if (!*ret)
        return error_set(error, ERROR_FAILED, "\"%s\" does not hold a private key", path);
    return 0;
}

/* Also refuses a key of another kind: the coordinates of P-256 alone fit. */
static int read_public(EVP_PKEY *key, struct authority_public *ret, struct error *error)
{
    cleanup(free_number) BIGNUM *x = NULL;
    cleanup(free_number) BIGNUM *y = NULL;
    char group[32] = "";

    if (!EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) ||
        strcmp(group, "prime256v1") != 0 || !EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) ||
        !EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) || BN_bn2binpad(x, ret->x, sizeof(ret->x)) < 0 ||
        BN_bn2binpad(y, ret->y, sizeof(ret->y)) < 0)
        return error_set(error, ERROR_FAILED, "the authority's key is not a P-256 key");
    return 0;
}

int authority_open(const char *folder, bool create, struct authority **ret, struct error *error)
{
    cleanup(free_ptr) char *path = file_path(folder, "authority.pem");
    cleanup(authority_close) struct authority *authority = calloc(1, sizeof(*authority));
    int r = 0;

    if (!path || !authority)
        return error_no_memory(error);
    if (create && !file_exists(path))
        r = make_key(path, error);
    if (!r)
        r = read_key(path, &authority->key, error);
    if (!r)
        r = read_public(authority->key, &authority->public, error);
    if (r)
        return error_prefix(error, "the authority");
    *ret = take_ptr(authority);
    return 0;
}

static int sign_digest(EVP_PKEY *key, const struct digest *digest, struct authority_signature *ret, struct error *error)
{
    cleanup(free_context) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    cleanup(free_signature) ECDSA_SIG *signature = NULL;
    uint8_t der[128];
    const uint8_t *cursor = der;
    size_t size = sizeof(der);

    if (!context || EVP_PKEY_sign_init(context) <= 0 ||
        EVP_PKEY_sign(context, der, &size, digest->bytes, sizeof(digest->bytes)) <= 0)
        return error_set(error, ERROR_FAILED, "libcrypto cannot sign with the authority");
    signature = d2i_ECDSA_SIG(NULL, &cursor, (long)size);
    if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret->r, sizeof(ret->r)) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret->s, sizeof(ret->s)) < 0)
        return error_set(error, ERROR_FAILED, "libcrypto gave a signature that is not P-256's");
    return 0;
}

static int sign_request(void *context, const struct authority_request *request, struct authority_signature *ret,
                        struct error *error)
{
    static const uint8_t expiration[4], zero[DIGEST_BYTES];
    const struct authority *authority = context;
    struct span ref = authority_policy_ref(request->use);
    const struct span parts[] = {
        { request->nonce_tpm, sizeof(request->nonce_tpm) },
        { expiration, sizeof(expiration) },
        { request->cp_hash.bytes, DIGEST_BYTES },
        ref,
    };
    struct digest digest;
    int r;

    if (memcmp(request->cp_hash.bytes, zero, sizeof(zero)) == 0)
        return error_set(error, ERROR_FAILED, "the authority signs for one command only: no cpHash was given");
    r = digest_compute(&digest, parts, array_size(parts), error);
    return r ? r : sign_digest(authority->key, &digest, ret, error);
}

struct authority_signer authority_signer(struct authority *authority)
{
    return (struct authority_signer){ .public = authority->public, .sign = sign_request, .context = authority };
}
