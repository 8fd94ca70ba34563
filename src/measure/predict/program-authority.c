#include "measure/predict/program.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/pe.h"
#include "measure/predict/program-part.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>
#include <string.h>

#define OWNER_BYTES 16
#define CERTIFICATE_MAX_BYTES 65536
#define SIGNATURES_MAX 8    /* two are much */
#define PKCS7_SIGNED_DATA 2 /* WIN_CERT_TYPE_PKCS_SIGNED_DATA */
#define TABLE_ALIGNMENT 8

/* What Secure Boot looks at in a program. */
struct signatures {
    uint8_t hash[DIGEST_BYTES];
    PKCS7 *items[SIGNATURES_MAX];
    size_t count;
};

static void signatures_free(struct signatures *signatures)
{
    for (size_t i = 0; i < signatures->count; i++)
        PKCS7_free(signatures->items[i]);
}

/* Reads the table's PKCS#7 signatures; what is of another kind, or damaged, verifies nothing and is left out. */
static void parse_signatures(struct span table, struct signatures *ret)
{
    struct cursor cursor = cursor_over(table), entry;
    uint32_t length;
    uint16_t type;

    while (ret->count < SIGNATURES_MAX && cursor_left(&cursor) >= TABLE_ALIGNMENT) {
        struct cursor start = cursor;
        const uint8_t *bytes;
        PKCS7 *signature;

        if (!cursor_u32(&start, &length) || length < TABLE_ALIGNMENT || !cursor_cut(&cursor, length, &entry) ||
            !cursor_skip(&entry, 6) || !cursor_u16(&entry, &type))
            return;
        bytes = entry.bytes + entry.offset;
        signature = type == PKCS7_SIGNED_DATA ? d2i_PKCS7(NULL, &bytes, (long)cursor_left(&entry)) : NULL;
        if (signature && PKCS7_type_is_signed(signature))
            ret->items[ret->count++] = signature;
        else
            PKCS7_free(signature);
        if (cursor.offset % TABLE_ALIGNMENT && !cursor_skip(&cursor, TABLE_ALIGNMENT - cursor.offset % TABLE_ALIGNMENT))
            return;
    }
}

/* True when the signer's chain leads to this certificate, whatever the date: firmware's clocks are not asked. */
static bool leads_to(X509 *signer, STACK_OF(X509) * others, X509 *trusted)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool good = store && context && X509_STORE_add_cert(store, trusted) == 1 &&
                X509_STORE_CTX_init(context, store, signer, others) == 1;

    if (good) {
        X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);

        X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
        X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_ANY);
        X509_VERIFY_PARAM_set_auth_level(parameters, 0);
        good = X509_verify_cert(context) == 1;
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return good;
}

/* True when one of the signature's signers leads there. */
static bool signature_leads_to(PKCS7 *signature, X509 *certificate)
{
    STACK_OF(X509) *signers = PKCS7_get0_signers(signature, NULL, 0);
    bool found = false;

    for (int i = 0; !found && i < sk_X509_num(signers); i++)
        found = leads_to(sk_X509_value(signers, i), signature->d.sign->cert, certificate);
    sk_X509_free(signers);
    ERR_clear_error();
    return found;
}

static bool signature_leads_to_der(PKCS7 *signature, struct span der)
{
    const uint8_t *bytes = der.bytes;
    X509 *certificate = der.size <= CERTIFICATE_MAX_BYTES ? d2i_X509(NULL, &bytes, (long)der.size) : NULL;
    bool found = certificate && signature_leads_to(signature, certificate);

    X509_free(certificate);
    ERR_clear_error();
    return found;
}

/* SHA-256 of the part of a certificate that is signed (TBSCertificate). */
static bool is_hash_of(const uint8_t *hash, X509 *certificate)
{
    uint8_t *der = NULL, digest[HASH_MAX_BYTES];
    int size = i2d_re_X509_tbs(certificate, &der);
    struct error ignored;
    bool same = size > 0 && !hash_compute(HASH_SHA256, &(struct span){ der, (size_t)size }, 1, digest, &ignored) &&
                memcmp(digest, hash, DIGEST_BYTES) == 0;

    OPENSSL_free(der);
    return same;
}

/* True when the signer's chain has a certificate of that hash among those that the signature brings. */
static bool signature_leads_to_hash(PKCS7 *signature, const uint8_t *hash)
{
    STACK_OF(X509) *others = signature->d.sign->cert;

    for (int i = 0; i < sk_X509_num(others); i++)
        if (is_hash_of(hash, sk_X509_value(others, i)) && signature_leads_to(signature, sk_X509_value(others, i)))
            return true;
    return false;
}

static struct span content_of(struct span signature)
{
    return (struct span){ (const uint8_t *)signature.bytes + OWNER_BYTES, signature.size - OWNER_BYTES };
}

/* The first certificate that verifies one of the signatures, the program's signatures in their order. */
static bool find_certificate(const struct signatures *signatures, struct span lists, struct span *ret)
{
    for (size_t i = 0; i < signatures->count; i++) {
        struct signature_walk walk = { .lists = lists };

        while (signature_next(&walk, ret))
            if (signature_walk_type(&walk) == SIGNATURE_X509 &&
                signature_leads_to_der(signatures->items[i], content_of(*ret)))
                return true;
    }
    return false;
}

static bool find_hash(const struct signatures *signatures, struct span lists, struct span *ret)
{
    struct signature_walk walk = { .lists = lists };

    while (signature_next(&walk, ret))
        if (signature_walk_type(&walk) == SIGNATURE_SHA256 &&
            memcmp(content_of(*ret).bytes, signatures->hash, DIGEST_BYTES) == 0)
            return true;
    return false;
}

static bool find_certificates_hash(const struct signatures *signatures, struct span lists)
{
    struct signature_walk walk = { .lists = lists };
    struct span entry;

    while (signature_next(&walk, &entry))
        for (size_t i = 0; signature_walk_type(&walk) == SIGNATURE_X509_SHA256 && i < signatures->count; i++)
            if (signature_leads_to_hash(signatures->items[i], content_of(entry).bytes))
                return true;
    return false;
}

static int read_signatures(const char *path, struct signatures *ret, struct error *error)
{
    cleanup(free_ptr) uint8_t *table = NULL;
    size_t size;
    int r = program_certificates(path, &table, &size, error);

    r = r ?: pe_hash(path, HASH_SHA256, ret->hash, error);
    if (!r)
        parse_signatures((struct span){ table, size }, ret);
    return r;
}

int program_authority(const char *path, struct span lists, bool hash_first, struct span *ret, struct error *error)
{
    cleanup(signatures_free) struct signatures signatures = { 0 };
    int r = read_signatures(path, &signatures, error);

    if (r)
        return r;
    if (hash_first ? find_hash(&signatures, lists, ret) || find_certificate(&signatures, lists, ret)
                   : find_certificate(&signatures, lists, ret) || find_hash(&signatures, lists, ret))
        return 0;
    *ret = (struct span){ 0 };
    return 0;
}

int program_is_revoked(const char *path, struct span lists, bool by_firmware, bool *ret, struct error *error)
{
    cleanup(signatures_free) struct signatures signatures = { 0 };
    struct span entry;
    int r = read_signatures(path, &signatures, error);

    *ret = !r && (find_hash(&signatures, lists, &entry) || find_certificate(&signatures, lists, &entry) ||
                  (by_firmware && find_certificates_hash(&signatures, lists)));
    return r;
}
