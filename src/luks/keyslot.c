#include "luks/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <libcryptsetup.h>
#include <string.h>

#define KEYSLOT_JSON_BYTES 512 /* more than the record of a new keyslot takes in the header's JSON: some 300 */

/*
 * A keyslot that is asked for by its number is one of bootseal's own, which cost next to nothing. Whoever has the disk
 * may write another cost into the header; up to these, some ten seconds, it is taken, since cryptsetup's luksConvertKey
 * raises it too.
 */
#define KEYSLOT_MAX_ITERATIONS 10000000u /* of PBKDF2 */
#define KEYSLOT_MAX_MEMORY_KIB 1048576u  /* of Argon2: what cryptsetup takes at most unless told otherwise */
#define KEYSLOT_MAX_PASSES_KIB 8388608u  /* memory times iterations */

/* SHA-256 and 1000 iterations: the least that libcryptsetup takes, and enough for passphrases of full entropy. */
static const struct crypt_pbkdf_type minimal_kdf = {
    .type = CRYPT_KDF_PBKDF2,
    .hash = "sha256",
    .iterations = 1000,
    .flags = CRYPT_PBKDF_NO_BENCHMARK,
};

static int check_passphrase(const struct secret *passphrase, struct error *error)
{
    if (passphrase->size == 0)
        return error_set(error, ERROR_USAGE, "an empty passphrase");
    if (passphrase->size > VOLUME_MAX_PASSPHRASE_BYTES)
        return error_set(error, ERROR_USAGE, "a passphrase of more than %d bytes", VOLUME_MAX_PASSPHRASE_BYTES);
    return 0;
}

static int keyslots_of(const struct json_view *metadata, uint32_t *ret_mask, struct error *error)
{
    struct json_view keyslots;
    int r = json_get_object(metadata, "keyslots", &keyslots, error);

    return r ?: metadata_numbers(&keyslots, "keyslots", ret_mask, error);
}

int volume_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view metadata;
    int r = metadata_read(volume, &document, &metadata, error);

    r = r ?: keyslots_of(&metadata, ret_mask, error);
    return r ? error_prefix(error, "\"%s\"", volume->path) : 0;
}

/* libcryptsetup says EINVAL for an unused keyslot, as for much else. */
static int check_in_use(struct volume *volume, int keyslot, struct error *error)
{
    uint32_t mask;
    int r = volume_keyslots(volume, &mask, error);

    if (r)
        return r;
    if (keyslot < 0 || keyslot >= VOLUME_MAX_KEYSLOTS || !(mask & (1u << keyslot)))
        return error_set(error, ERROR_METADATA, "\"%s\": keyslot %d is not in use", volume->path, keyslot);
    return 0;
}

static bool is_affordable(const struct crypt_pbkdf_type *kdf)
{
    if (strcmp(kdf->type, CRYPT_KDF_PBKDF2) == 0)
        return kdf->iterations <= KEYSLOT_MAX_ITERATIONS;
    return kdf->max_memory_kb <= KEYSLOT_MAX_MEMORY_KIB &&
           (uint64_t)kdf->max_memory_kb * kdf->iterations <= KEYSLOT_MAX_PASSES_KIB;
}

int keyslot_check_cost(struct volume *volume, int keyslot, struct error *error)
{
    struct crypt_pbkdf_type kdf;
    int code, r = keyslot == CRYPT_ANY_SLOT ? 0 : check_in_use(volume, keyslot, error);

    if (r || keyslot == CRYPT_ANY_SLOT)
        return r;
    code = crypt_keyslot_get_pbkdf(volume_device(volume), keyslot, &kdf);
    if (code < 0)
        return volume_fail(volume, code, error, "cannot look at keyslot %d", keyslot);
    if (is_affordable(&kdf))
        return 0;
    return error_set(error, ERROR_METADATA,
                     "\"%s\": the key derivation of keyslot %d (%s, %u iterations, %u KiB) costs more than any that "
                     "bootseal opens: the header was changed",
                     volume->path, keyslot, kdf.type, kdf.iterations, kdf.max_memory_kb);
}

static int open_failed(struct volume *volume, int code, int keyslot, struct error *error)
{
    if (code == -EPERM && keyslot == CRYPT_ANY_SLOT)
        return error_set(error, ERROR_WRONG_PIN, "\"%s\": the passphrase opens no keyslot", volume->path);
    if (code == -EPERM)
        return error_set(error, ERROR_WRONG_PIN, "\"%s\": the passphrase does not open keyslot %d", volume->path,
                         keyslot);
    if (code == -ENOENT)
        return error_set(error, ERROR_METADATA, "\"%s\": no keyslot holds the volume key", volume->path);
    return volume_fail(volume, code, error, "cannot open a keyslot");
}

int volume_keyslot_open(struct volume *volume, int keyslot, const struct secret *passphrase, struct secret *ret_key,
                        int *ret_slot, struct error *error)
{
    cleanup(secret_free) struct secret key = { 0 };
    int code, r = check_passphrase(passphrase, error);

    r = r ?: keyslot_check_cost(volume, keyslot, error);
    r = r ?: secret_new(&key, VOLUME_MAX_KEY_BYTES, error);
    if (r)
        return r;
    key.size = key.capacity;
    code = crypt_volume_key_get(volume_device(volume), keyslot, (char *)key.bytes, &key.size,
                                (const char *)passphrase->bytes, passphrase->size);
    if (code < 0)
        return open_failed(volume, code, keyslot, error);
    /* a keyslot that is asked for by its number may hold an unbound key */
    if (crypt_volume_key_verify(volume->device, (const char *)key.bytes, key.size) < 0)
        return error_set(error, ERROR_METADATA, "\"%s\": keyslot %d does not hold the volume key", volume->path, code);
    if (ret_key)
        *ret_key = secret_take(&key);
    if (ret_slot)
        *ret_slot = code;
    return 0;
}

int volume_key_check(struct volume *volume, const struct secret *key, struct error *error)
{
    if (key->size == 0 || key->size > VOLUME_MAX_KEY_BYTES)
        return error_set(error, ERROR_METADATA, "\"%s\": a volume key of %zu bytes", volume->path, key->size);
    if (crypt_volume_key_verify(volume_device(volume), (const char *)key->bytes, key->size) < 0)
        return error_set(error, ERROR_METADATA, "\"%s\": the key is not the volume's", volume->path);
    return 0;
}

static int no_free_keyslot(const struct volume *volume, struct error *error)
{
    error_set(error, ERROR_REFUSED, "\"%s\": all %d keyslots are in use", volume->path, VOLUME_MAX_KEYSLOTS);
    return error_remedy(error, "remove a keyslot that is no longer used: cryptsetup luksKillSlot");
}

static int find_free(struct volume *volume, uint32_t mask, int *ret, struct error *error)
{
    for (int i = 0; i < VOLUME_MAX_KEYSLOTS; i++)
        if (!(mask & (1u << i))) {
            *ret = i;
            return 0;
        }
    return no_free_keyslot(volume, error);
}

static int find_room(struct volume *volume, size_t key_size_bytes, int *ret_slot, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view metadata;
    uint32_t mask;
    int r = metadata_read(volume, &document, &metadata, error);

    r = r ?: keyslots_of(&metadata, &mask, error);
    r = r ?: find_free(volume, mask, ret_slot, error);
    r = r ?: room_for_json(volume, document, KEYSLOT_JSON_BYTES, error);
    return r ?: room_for_keyslots(&metadata, key_size_bytes, 1, error);
}

int volume_check_room(struct volume *volume, const struct volume_room *wanted, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view metadata, tokens;
    uint32_t keyslots, token_mask;
    int r = metadata_read(volume, &document, &metadata, error);

    r = r ?: keyslots_of(&metadata, &keyslots, error);
    r = r ?: json_get_object(&metadata, "tokens", &tokens, error);
    r = r ?: metadata_numbers(&tokens, "tokens", &token_mask, error);
    if (r)
        return error_prefix(error, "\"%s\"", volume->path);
    if (VOLUME_MAX_KEYSLOTS - (unsigned)__builtin_popcount(keyslots) < wanted->keyslots)
        return no_free_keyslot(volume, error);
    if (VOLUME_MAX_TOKENS - (unsigned)__builtin_popcount(token_mask) < wanted->tokens) {
        error_set(error, ERROR_REFUSED, "\"%s\": too few of the %d tokens are free", volume->path, VOLUME_MAX_TOKENS);
        return error_remedy(error, "remove tokens that are no longer used: cryptsetup token remove");
    }
    r = room_for_json(volume, document, wanted->token_bytes + (size_t)wanted->keyslots * KEYSLOT_JSON_BYTES, error);
    return r ?: room_for_keyslots(&metadata, wanted->key_size_bytes, wanted->keyslots, error);
}

int volume_keyslot_add(struct volume *volume, const struct secret *key, const struct secret *passphrase, int *ret_slot,
                       struct error *error)
{
    int slot = -1, code, r = check_passphrase(passphrase, error);

    if (!r && (key->size == 0 || key->size > VOLUME_MAX_KEY_BYTES))
        r = error_set(error, ERROR_USAGE, "a volume key of %zu bytes", key->size);
    r = r ?: find_room(volume, key->size, &slot, error);
    if (r)
        return r;
    if (crypt_volume_key_verify(volume_device(volume), (const char *)key->bytes, key->size) < 0)
        return error_set(error, ERROR_FAILED, "\"%s\": the volume key is another volume's", volume->path);
    code = crypt_set_pbkdf_type(volume->device, &minimal_kdf);
    if (code >= 0)
        code = crypt_keyslot_add_by_volume_key(volume->device, slot, (const char *)key->bytes, key->size,
                                               (const char *)passphrase->bytes, passphrase->size);
    if (code < 0) {
        r = volume_fail(volume, code, error, "cannot add a keyslot");
        volume_reload(volume);
        return r;
    }
    *ret_slot = code;
    return 0;
}

int volume_keyslot_remove(struct volume *volume, int keyslot, struct error *error)
{
    int code, r = check_in_use(volume, keyslot, error);

    if (r)
        return r;
    code = crypt_keyslot_destroy(volume_device(volume), keyslot);
    if (code < 0) {
        r = volume_fail(volume, code, error, "cannot remove keyslot %d", keyslot);
        volume_reload(volume);
        return r;
    }
    return 0;
}

int volume_keyslot_is_minimal(struct volume *volume, int keyslot, bool *ret, struct error *error)
{
    struct crypt_pbkdf_type pbkdf;
    int code, r = check_in_use(volume, keyslot, error);

    if (r)
        return r;
    code = crypt_keyslot_get_pbkdf(volume_device(volume), keyslot, &pbkdf);
    if (code < 0)
        return volume_fail(volume, code, error, "cannot look at keyslot %d", keyslot);
    *ret = strcmp(pbkdf.type, minimal_kdf.type) == 0 && pbkdf.iterations == minimal_kdf.iterations;
    return 0;
}

int volume_keyslot_copy_priority(struct volume *volume, int from, int to, struct error *error)
{
    crypt_keyslot_priority priority;
    int code, r = check_in_use(volume, from, error);

    r = r ?: check_in_use(volume, to, error);
    if (r)
        return r;
    priority = crypt_keyslot_get_priority(volume_device(volume), from);
    if (priority == crypt_keyslot_get_priority(volume->device, to))
        return 0;
    code = crypt_keyslot_set_priority(volume->device, to, priority);
    if (code < 0) {
        r = volume_fail(volume, code, error, "cannot set the priority of keyslot %d", to);
        volume_reload(volume);
        return r;
    }
    return 0;
}
