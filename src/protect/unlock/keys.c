#include "protect/unlock/keys.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/registers.h"

#include <argon2.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define KEY_BYTES 32
#define UUID_BYTES 16

static void free_kdf(EVP_KDF **kdf)
{
    EVP_KDF_free(*kdf);
}

static void free_kdf_context(EVP_KDF_CTX **context)
{
    EVP_KDF_CTX_free(*context);
}

static int derive(const void *password, size_t size, const struct kdf_parameters *kdf, struct secret *ret,
                  struct error *error)
{
    int code = argon2id_hash_raw(kdf->iterations, kdf->memory_kib, kdf->lanes, password, size, kdf->salt,
                                 sizeof(kdf->salt), ret->bytes, ret->capacity);

    if (code == ARGON2_MEMORY_ALLOCATION_ERROR)
        return error_set(error, ERROR_FAILED, "stretching the PIN needs %u KiB of memory, more than there is",
                         kdf->memory_kib);
    if (code != ARGON2_OK)
        return error_set(error, ERROR_FAILED, "cannot stretch the PIN: %s", argon2_error_message(code));
    ret->size = ret->capacity;
    return 0;
}

clears_registers int keys_stretch(const struct secret *pin, const struct kdf_parameters *kdf, struct secret *ret_auth,
                                  struct secret *ret_mix, struct error *error)
{
    cleanup(secret_free) struct secret stretched = { 0 };
    cleanup(secret_free) struct secret auth = { 0 };
    int r = secret_new(&stretched, KEYS_AUTH_BYTES + KEYS_MIX_BYTES, error);

    if (!r)
        r = derive(pin->bytes, pin->size, kdf, &stretched, error);
    if (!r)
        r = secret_copy(&auth, stretched.bytes, KEYS_AUTH_BYTES, error);
    if (!r)
        r = secret_copy(ret_mix, stretched.bytes + KEYS_AUTH_BYTES, KEYS_MIX_BYTES, error);
    if (!r)
        *ret_auth = secret_take(&auth);
    return r;
}

/* "1b4e28ba-2fa1-11d2-883f-0016d3cca427" into its 16 bytes. */
static bool uuid_bytes(const char *text, uint8_t ret[UUID_BYTES])
{
    char digits[HEX_TEXT(UUID_BYTES)];
    size_t n = 0;

    for (; *text; text++)
        if (*text != '-' && n < sizeof(digits) - 1)
            digits[n++] = *text;
    digits[n] = '\0';
    return hex_decode(digits, ret, UUID_BYTES);
}

static int expand(const struct secret *ikm, const uint8_t salt[UUID_BYTES], const char *info, struct secret *ret,
                  struct error *error)
{
    cleanup(free_kdf) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    cleanup(free_kdf_context) EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, ikm->bytes, ikm->size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, UUID_BYTES),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, strlen(info)),
        OSSL_PARAM_construct_end(),
    };

    if (!context || EVP_KDF_derive(context, ret->bytes, ret->capacity, parameters) <= 0)
        return error_set(error, ERROR_FAILED, "libcrypto cannot compute HKDF-SHA256");
    ret->size = ret->capacity;
    return 0;
}

clears_registers int keys_passphrase(const struct secret *sealed, const struct secret *mix, const char *id,
                                     struct secret *ret, struct error *error)
{
    cleanup(secret_free) struct secret ikm = { 0 };
    cleanup(secret_free) struct secret key = { 0 };
    cleanup(secret_free) struct secret text = { 0 };
    size_t mix_size = mix ? mix->size : 0;
    uint8_t salt[UUID_BYTES];
    int r;

    if (!uuid_bytes(id, salt))
        return error_set(error, ERROR_METADATA, "the protector's ID \"%s\" is not a UUID", id);
    if (sealed->size != KEYS_SEALED_BYTES)
        return error_set(error, ERROR_METADATA, "the sealed secret has %zu bytes, not %d", sealed->size,
                         KEYS_SEALED_BYTES);
    r = secret_new(&ikm, sealed->size + mix_size, error);
    if (r)
        return r;
    memcpy(ikm.bytes, sealed->bytes, sealed->size);
    if (mix_size)
        memcpy(ikm.bytes + sealed->size, mix->bytes, mix_size);
    ikm.size = ikm.capacity;
    r = secret_new(&key, KEY_BYTES, error);
    if (!r)
        r = expand(&ikm, salt, "bootseal v1 keyslot", &key, error);
    if (!r)
        r = secret_new(&text, BASE64_TEXT(KEY_BYTES), error);
    if (r)
        return r;
    base64_encode(key.bytes, key.size, (char *)text.bytes);
    text.size = BASE64_TEXT(KEY_BYTES) - 1;
    *ret = secret_take(&text);
    return 0;
}

/* ---- the payload volume-key ---- */

static void free_cipher_context(EVP_CIPHER_CTX **context)
{
    EVP_CIPHER_CTX_free(*context);
}

/* AES-256-GCM's key. Without a PIN it is no secret, and the cipher only a frame around what the TPM keeps. */
static int wrapping_key(const struct secret *mix, const char *id, struct secret *ret, struct error *error)
{
    cleanup(secret_free) struct secret ikm = { 0 };
    uint8_t salt[UUID_BYTES];
    int r;

    if (!uuid_bytes(id, salt))
        return error_set(error, ERROR_METADATA, "the protector's ID \"%s\" is not a UUID", id);
    r = mix && mix->size ? secret_copy(&ikm, mix->bytes, mix->size, error) : secret_new(&ikm, 1, error);
    if (!r)
        r = secret_new(ret, KEY_BYTES, error);
    return r ? r : expand(&ikm, salt, "bootseal v1 volume key", ret, error);
}

static bool encrypt(EVP_CIPHER_CTX *context, const struct secret *key, const uint8_t *nonce, const struct secret *plain,
                    uint8_t *ret, uint8_t *ret_tag)
{
    int size, rest;

    return EVP_EncryptInit_ex2(context, EVP_aes_256_gcm(), key->bytes, nonce, NULL) == 1 &&
           EVP_EncryptUpdate(context, ret, &size, plain->bytes, (int)plain->size) == 1 && size == (int)plain->size &&
           EVP_EncryptFinal_ex(context, ret + size, &rest) == 1 && rest == 0 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, KEYS_TAG_BYTES, ret_tag) == 1;
}

static bool decrypt(EVP_CIPHER_CTX *context, const struct secret *key, const uint8_t *nonce, const uint8_t *bytes,
                    const uint8_t *tag, struct secret *ret)
{
    int size, rest;

    return EVP_DecryptInit_ex2(context, EVP_aes_256_gcm(), key->bytes, nonce, NULL) == 1 &&
           EVP_DecryptUpdate(context, ret->bytes, &size, bytes, (int)ret->capacity) == 1 &&
           size == (int)ret->capacity &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, KEYS_TAG_BYTES, (void *)tag) == 1 &&
           EVP_DecryptFinal_ex(context, ret->bytes + size, &rest) == 1 && rest == 0;
}

clears_registers int keys_wrap_volume_key(const struct secret *key, const struct secret *mix, const char *id,
                                          struct secret *ret, struct error *error)
{
    cleanup(free_cipher_context) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    cleanup(secret_free) struct secret wrapping = { 0 };
    cleanup(secret_free) struct secret sealed = { 0 };
    int r;

    if (key->size == 0 || key->size > KEYS_MAX_VOLUME_KEY_BYTES)
        return error_set(error, ERROR_REFUSED, "a volume key of %zu bytes does not fit into a TPM object", key->size);
    r = wrapping_key(mix, id, &wrapping, error);
    if (!r)
        r = secret_new(&sealed, KEYS_NONCE_BYTES + key->size + KEYS_TAG_BYTES, error);
    if (r)
        return r;
    if (getrandom(sealed.bytes, KEYS_NONCE_BYTES, 0) != KEYS_NONCE_BYTES)
        return error_set(error, ERROR_FAILED, "cannot get random bytes for a nonce");
    if (!context || !encrypt(context, &wrapping, sealed.bytes, key, sealed.bytes + KEYS_NONCE_BYTES,
                             sealed.bytes + KEYS_NONCE_BYTES + key->size))
        return error_set(error, ERROR_FAILED, "libcrypto cannot encrypt by AES-256-GCM");
    sealed.size = sealed.capacity;
    *ret = secret_take(&sealed);
    return 0;
}

clears_registers int keys_unwrap_volume_key(const struct secret *sealed, const struct secret *mix, const char *id,
                                            struct secret *ret, struct error *error)
{
    cleanup(free_cipher_context) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    cleanup(secret_free) struct secret wrapping = { 0 };
    cleanup(secret_free) struct secret key = { 0 };
    const size_t frame = KEYS_NONCE_BYTES + KEYS_TAG_BYTES;
    int r;

    if (sealed->size <= frame || sealed->size > frame + KEYS_MAX_VOLUME_KEY_BYTES)
        return error_set(error, ERROR_METADATA, "the sealed secret has %zu bytes, and is no volume key", sealed->size);
    r = wrapping_key(mix, id, &wrapping, error);
    if (!r)
        r = secret_new(&key, sealed->size - frame, error);
    if (r)
        return r;
    if (!context)
        return error_no_memory(error);
    if (!decrypt(context, &wrapping, sealed->bytes, sealed->bytes + KEYS_NONCE_BYTES,
                 sealed->bytes + sealed->size - KEYS_TAG_BYTES, &key))
        return error_set(error, ERROR_METADATA, "what the TPM released does not decrypt: the token was changed");
    key.size = key.capacity;
    *ret = secret_take(&key);
    return 0;
}

static uint32_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return (uint32_t)(value < low ? low : value > high ? high : value);
}

static uint64_t quarter_of_ram_kib(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024 / 4;
}

int keys_calibrate(const struct kdf_rules *rules, struct kdf_parameters *ret, struct error *error)
{
    cleanup(secret_free) struct secret output = { 0 };
    uint64_t most = quarter_of_ram_kib(), floor = rules->floor_memory_kib;
    uint64_t started, one_ms;
    int r;

    *ret = (struct kdf_parameters){
        .memory_kib = clamp(rules->memory_kib, rules->floor_memory_kib, most < floor ? floor : most),
        .iterations = 1,
        .lanes = clamp((uint64_t)sysconf(_SC_NPROCESSORS_ONLN), 1, KDF_MAX_LANES),
    };
    if (getrandom(ret->salt, sizeof(ret->salt), 0) != (ssize_t)sizeof(ret->salt))
        return error_set(error, ERROR_FAILED, "cannot get random bytes for a salt");
    r = secret_new(&output, KEYS_AUTH_BYTES + KEYS_MIX_BYTES, error);
    if (r)
        return r;
    started = clock_now_ms();
    r = derive("", 0, ret, &output, error);
    if (r)
        return r;
    one_ms = clock_now_ms() - started;
    ret->iterations = clamp(rules->time_ms / (one_ms ? one_ms : 1), rules->floor_iterations, KDF_MAX_ITERATIONS);
    return 0;
}
