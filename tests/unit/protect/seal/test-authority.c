/* The key is made by src/protect and judged by libcrypto: what was signed, and over which bytes. */
#include "protect/seal/authority.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/machine.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct scratch));
    assert_non_null(*state);
    scratch_make(*state);
    return 0;
}

static int teardown(void **state)
{
    scratch_remove(*state);
    free(*state);
    return 0;
}

static EVP_PKEY *public_key(const struct authority_public *public)
{
    uint8_t point[65] = { 4 };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)"P-256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end(),
    };

    memcpy(point + 1, public->x, 32);
    memcpy(point + 33, public->y, 32);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters), 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

static bool verifies(const struct authority_public *public, const struct authority_signature *signature,
                     const void *message, size_t size)
{
    EVP_PKEY *key = public_key(public);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    ECDSA_SIG *parts = ECDSA_SIG_new();
    unsigned char *der = NULL;
    int der_size, good;

    assert_int_equal(ECDSA_SIG_set0(parts, BN_bin2bn(signature->r, 32, NULL), BN_bin2bn(signature->s, 32, NULL)), 1);
    der_size = i2d_ECDSA_SIG(parts, &der);
    assert_true(der_size > 0);
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    good = EVP_DigestVerify(context, der, (size_t)der_size, message, size);
    OPENSSL_free(der);
    ECDSA_SIG_free(parts);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good == 1;
}

static struct authority_request a_request(enum authority_use use)
{
    struct authority_request request = { .use = use };

    for (uint8_t i = 0; i < 32; i++) {
        request.nonce_tpm[i] = (uint8_t)(0x10 + i);
        request.cp_hash.bytes[i] = (uint8_t)(0x90 + i);
    }
    return request;
}

/* nonce || 0 || cpHash || ref, written out. */
static size_t message_of(const struct authority_request *request, const char *ref, uint8_t ret[128])
{
    memcpy(ret, request->nonce_tpm, 32);
    memset(ret + 32, 0, 4);
    memcpy(ret + 36, request->cp_hash.bytes, 32);
    memcpy(ret + 68, ref, strlen(ref));
    return 68 + strlen(ref);
}

static void test_made_once(void **state)
{
    struct scratch *scratch = *state;
    cleanup(authority_close) struct authority *first = NULL;
    cleanup(authority_close) struct authority *second = NULL;
    struct authority_public a, b;
    struct stat status;
    struct error error;

    assert_good(authority_open(scratch->folder, true, &first, &error), &error);
    assert_return_code(stat(scratch_path(scratch, "authority.pem"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_good(authority_open(scratch->folder, true, &second, &error), &error);
    a = authority_signer(first).public;
    b = authority_signer(second).public;
    assert_memory_equal(&a, &b, sizeof(a));
}

static void test_not_made_unasked(void **state)
{
    struct scratch *scratch = *state;
    cleanup(authority_close) struct authority *authority = NULL;
    struct error error;

    assert_error(authority_open(scratch->folder, false, &authority, &error), &error, ERROR_FAILED, "authority.pem");
    assert_null(authority);
    assert_false(file_exists(scratch_path(scratch, "authority.pem")));
}

static void test_two_folders_two_keys(void **state)
{
    struct scratch *scratch = *state;
    cleanup(authority_close) struct authority *first = NULL;
    cleanup(authority_close) struct authority *second = NULL;
    struct authority_public a, b;
    struct error error;

    assert_good(file_make_folder(scratch_path(scratch, "other"), 0700, &error), &error);
    assert_good(authority_open(scratch->folder, true, &first, &error), &error);
    assert_good(authority_open(scratch_path(scratch, "other"), true, &second, &error), &error);
    a = authority_signer(first).public;
    b = authority_signer(second).public;
    assert_memory_not_equal(&a, &b, sizeof(a));
}

static void test_threat_27_signs_exactly_that(void **state)
{
    static const char *const refs[] = {
        [AUTHORITY_APPROVE] = "bootseal approve", [AUTHORITY_ADMIN] = "bootseal admin"
    };
    struct scratch *scratch = *state;
    cleanup(authority_close) struct authority *authority = NULL;
    struct authority_signer signer;
    struct error error;

    assert_good(authority_open(scratch->folder, true, &authority, &error), &error);
    signer = authority_signer(authority);
    for (int use = 0; use < 2; use++) {
        struct authority_request request = a_request((enum authority_use)use);
        struct authority_signature signature;
        uint8_t message[128];
        size_t size;

        assert_good(signer.sign(signer.context, &request, &signature, &error), &error);
        size = message_of(&request, refs[use], message);
        assert_true(verifies(&signer.public, &signature, message, size));
        for (size_t i = 0; i < size; i++) { /* each byte counts: nonce, expiration, cpHash, ref */
            message[i] ^= 1;
            assert_false(verifies(&signer.public, &signature, message, size));
            message[i] ^= 1;
        }
        assert_false(verifies(&signer.public, &signature, message, size - 1));
        size = message_of(&request, refs[1 - use], message);
        assert_false(verifies(&signer.public, &signature, message, size));
    }
}

static void test_threat_27_refuses_without_cp_hash(void **state)
{
    struct scratch *scratch = *state;
    cleanup(authority_close) struct authority *authority = NULL;
    struct authority_request request = a_request(AUTHORITY_APPROVE);
    struct authority_signature signature = { { 0 }, { 0 } };
    static const struct authority_signature nothing;
    struct authority_signer signer;
    struct error error;

    assert_good(authority_open(scratch->folder, true, &authority, &error), &error);
    signer = authority_signer(authority);
    memset(&request.cp_hash, 0, sizeof(request.cp_hash));
    assert_error(signer.sign(signer.context, &request, &signature, &error), &error, ERROR_FAILED, "no cpHash");
    assert_memory_equal(&signature, &nothing, sizeof(nothing));
    request.cp_hash.bytes[31] = 1;
    assert_good(signer.sign(signer.context, &request, &signature, &error), &error);
}

static void write_pem(struct scratch *scratch, EVP_PKEY *key)
{
    FILE *file = fopen(scratch_write(scratch, "authority.pem", ""), "w");

    assert_non_null(file);
    assert_non_null(key);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    EVP_PKEY_free(key);
}

static void expect_refused(struct scratch *scratch, const char *part)
{
    struct authority *authority = NULL;
    struct error error;

    /* with `create` too: what is there is never overwritten */
    assert_error(authority_open(scratch->folder, true, &authority, &error), &error, ERROR_FAILED, part);
    assert_null(authority);
    assert_error(authority_open(scratch->folder, false, &authority, &error), &error, ERROR_FAILED, part);
    assert_null(authority);
}

static void test_refuses_other_keys(void **state)
{
    cleanup(authority_close) struct authority *authority = NULL;
    struct error error;

    write_pem(*state, EVP_EC_gen("P-256"));
    assert_good(authority_open(((struct scratch *)*state)->folder, false, &authority, &error), &error);
    write_pem(*state, EVP_EC_gen("P-384"));
    expect_refused(*state, "not a P-256 key");
    write_pem(*state, EVP_EC_gen("secp256k1"));
    expect_refused(*state, "not a P-256 key");
    write_pem(*state, EVP_RSA_gen(2048));
    expect_refused(*state, "not a P-256 key");
}

static void test_refuses_garbage(void **state)
{
    static const char *const texts[] = {
        "",
        "garbage\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    };

    for (size_t i = 0; i < array_size(texts); i++) {
        scratch_write(*state, "authority.pem", texts[i]);
        expect_refused(*state, "authority");
        scratch_expect(*state, "authority.pem", texts[i]);
    }
}

static void test_refuses_what_others_can_reach(void **state)
{
    static const mode_t modes[] = { 0644, 0640, 0620, 0602, 0601 };
    struct scratch *scratch = *state;
    struct authority *authority = NULL;
    struct error error;

    assert_good(authority_open(scratch->folder, true, &authority, &error), &error);
    authority_close(&authority);
    for (size_t i = 0; i < array_size(modes); i++) {
        assert_return_code(chmod(scratch_path(scratch, "authority.pem"), modes[i]), 0);
        expect_refused(scratch, "reached by others");
    }
    assert_return_code(chmod(scratch_path(scratch, "authority.pem"), 0600), 0);
    assert_good(authority_open(scratch->folder, false, &authority, &error), &error);
    authority_close(&authority);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_made_once),
        test(test_not_made_unasked),
        test(test_two_folders_two_keys),
        test(test_threat_27_signs_exactly_that),
        test(test_threat_27_refuses_without_cp_hash),
        test(test_refuses_other_keys),
        test(test_refuses_garbage),
        test(test_refuses_what_others_can_reach),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
