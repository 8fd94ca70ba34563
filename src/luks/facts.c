/* LUKS2 On-Disk Format Specification 1.1, 3: the JSON area. */
#include "luks/internal.h"

#include "base/cleanup.h"

#include <string.h>

#define FIELDS_MAX 12
#define SALT_MAX 64
#define SEGMENT "0" /* the only one, and so the default one */

struct segment {
    const char *encryption;
    uint64_t offset_bytes;
    uint64_t iv_offset;
    int64_t sector_size_bytes;
};

struct digest_record {
    const char *hash;
    int64_t iterations;
    uint8_t salt[SALT_MAX];
    size_t salt_size;
    uint8_t digest[HASH_MAX_BYTES];
    size_t digest_size;
    struct json_view keyslots;
};

/* An edited header with "cipher_null" passes libcryptsetup's own checks: only what encrypts is on the list. */
static bool cipher_is_allowed(const char *cipher)
{
    static const char *const allowed[] = {
        "aes-xts-plain64",
        "aes-cbc-essiv:sha256",
        "serpent-xts-plain64",
        "twofish-xts-plain64",
        "camellia-xts-plain64",
        "xchacha12,aes-adiantum-plain64",
        "xchacha20,aes-adiantum-plain64",
    };

    for (size_t i = 0; i < array_size(allowed); i++)
        if (strcmp(allowed[i], cipher) == 0)
            return true;
    return false;
}

static int read_word(const struct json_view *view, const char *key, const char *wanted, struct error *error)
{
    const char *text;
    int r = json_get_string(view, key, 64, &text, error);

    if (!r && strcmp(text, wanted) != 0)
        return json_fault(view, key, error, "is \"%s\", and bootseal opens only \"%s\"", text, wanted);
    return r;
}

static int find_segment(const struct json_view *metadata, struct json_view *ret, struct error *error)
{
    struct json_view segments;
    int r = json_get_object(metadata, "segments", &segments, error);

    if (r)
        return r;
    if (json_object_object_length(segments.object) != 1)
        return json_fault(metadata, "segments", error, "must be exactly one, but there are %d",
                          json_object_object_length(segments.object));
    return json_get_object(&segments, SEGMENT, ret, error);
}

/* Any key that is not known here ("integrity", "flags" of a re-encryption) changes what the segment is. */
static int read_segment(const struct json_view *metadata, struct segment *ret, struct error *error)
{
    static const char *const keys[] = { "type", "offset", "size", "iv_tweak", "encryption", "sector_size", NULL };
    struct json_view view;
    int r = find_segment(metadata, &view, error);

    r = r ?: json_check_keys(&view, keys, error);
    r = r ?: read_word(&view, "type", "crypt", error);
    r = r ?: read_word(&view, "size", "dynamic", error);
    r = r ?: metadata_decimal(&view, "offset", &ret->offset_bytes, error);
    r = r ?: metadata_decimal(&view, "iv_tweak", &ret->iv_offset, error);
    r = r ?: json_get_string(&view, "encryption", VOLUME_CIPHER_TEXT - 1, &ret->encryption, error);
    r = r ?: json_get_integer(&view, "sector_size", 512, 4096, &ret->sector_size_bytes, error);
    if (r)
        return r;
    if (!cipher_is_allowed(ret->encryption))
        return json_fault(&view, "encryption", error, "\"%s\" is not a cipher that bootseal opens", ret->encryption);
    if (ret->sector_size_bytes & (ret->sector_size_bytes - 1))
        return json_fault(&view, "sector_size", error, "is not a power of two");
    return 0;
}

/* Unbound keys have digest records of their own, which list no segment; ours is the one that lists the segment. */
static int find_digest(const struct json_view *metadata, struct json_view *ret, struct error *error)
{
    struct json_view digests;
    size_t found = 0;
    int r = json_get_object(metadata, "digests", &digests, error);

    if (r)
        return r;
    json_object_object_foreach(digests.object, key, value)
    {
        struct json_view record, segments;

        (void)value;
        r = json_get_object(&digests, key, &record, error);
        r = r ?: json_get_array(&record, "segments", VOLUME_MAX_KEYSLOTS, &segments, error);
        if (r)
            return r;
        if (metadata_lists(&segments, SEGMENT)) {
            *ret = record;
            found++;
        }
    }
    if (found != 1)
        return json_fault(metadata, "digests", error, "must be exactly one for the segment, but there are %zu", found);
    return 0;
}

static int read_digest(const struct json_view *metadata, struct digest_record *ret, struct error *error)
{
    static const char *const keys[] = { "type", "keyslots", "segments", "salt", "hash", "iterations", "digest", NULL };
    struct json_view view;
    int r = find_digest(metadata, &view, error);

    r = r ?: json_check_keys(&view, keys, error);
    r = r ?: read_word(&view, "type", "pbkdf2", error);
    r = r ?: json_get_string(&view, "hash", 32, &ret->hash, error);
    r = r ?: json_get_integer(&view, "iterations", 1, UINT32_MAX, &ret->iterations, error);
    r = r ?: json_get_base64(&view, "salt", ret->salt, sizeof(ret->salt), &ret->salt_size, error);
    r = r ?: json_get_base64(&view, "digest", ret->digest, sizeof(ret->digest), &ret->digest_size, error);
    r = r ?: json_get_array(&view, "keyslots", VOLUME_MAX_KEYSLOTS, &ret->keyslots, error);
    return r;
}

/* "requirements": { "mandatory": [] } asks for nothing; anything else is a header that wants more than we know. */
static int check_requirements(const struct json_view *metadata, struct error *error)
{
    struct json_view config, requirements;
    int r = json_get_object(metadata, "config", &config, error);

    if (r || !json_has(&config, "requirements"))
        return r;
    r = json_get_object(&config, "requirements", &requirements, error);
    if (r)
        return r;
    json_object_object_foreach(requirements.object, key, value)
    {
        if (!json_object_is_type(value, json_type_array) || json_object_array_length(value) > 0) {
            json_fault(&config, "requirements", error, "the header asks for \"%s\" features", key);
            return error_remedy(error,
                                "if a re-encryption is unfinished, finish it: cryptsetup reencrypt --resume-only");
        }
    }
    return 0;
}

/*
 * The key's size stands nowhere in the header but in the keyslots' records. It is told, so that people see it, and is
 * no part of the digest: the digest record is computed from the key itself, so a key of another size does not pass it,
 * and the facts stay what they are when the last keyslot goes. 0 when no keyslot holds the key.
 */
static int read_key_size(const struct json_view *metadata, const struct digest_record *record, uint32_t *ret,
                         struct error *error)
{
    struct json_view keyslots, keyslot;
    uint32_t mask;
    int64_t size, common = 0;
    int r = json_get_object(metadata, "keyslots", &keyslots, error);

    r = r ?: metadata_numbers(&keyslots, "keyslots", &mask, error);
    for (int i = 0; !r && i < VOLUME_MAX_KEYSLOTS; i++) {
        char name[12];

        snprintf(name, sizeof(name), "%d", i);
        if (!(mask & (1u << i)) || !metadata_lists(&record->keyslots, name))
            continue;
        r = json_get_object(&keyslots, name, &keyslot, error);
        r = r ?: json_get_integer(&keyslot, "key_size", 1, VOLUME_MAX_KEY_BYTES, &size, error);
        if (!r && common && size != common)
            r = json_fault(&keyslots, name, error, "its key has another size than the others'");
        if (!r)
            common = size;
    }
    *ret = (uint32_t)common;
    return r;
}

/* ---- the digest over the facts ---- */

struct field_list {
    struct span parts[1 + 2 * FIELDS_MAX];
    uint8_t lengths[FIELDS_MAX][4];
    uint8_t numbers[FIELDS_MAX][8];
    size_t count;
};

static void put_big_endian(uint8_t *ret, size_t size, uint64_t value)
{
    for (size_t i = 0; i < size; i++)
        ret[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static void add_bytes(struct field_list *list, const void *bytes, size_t size)
{
    size_t i = list->count++;

    put_big_endian(list->lengths[i], sizeof(list->lengths[i]), size);
    list->parts[1 + 2 * i] = (struct span){ list->lengths[i], sizeof(list->lengths[i]) };
    list->parts[2 + 2 * i] = (struct span){ bytes, size };
}

static void add_text(struct field_list *list, const char *text)
{
    add_bytes(list, text, strlen(text));
}

static void add_number(struct field_list *list, uint64_t value)
{
    uint8_t *number = list->numbers[list->count];

    put_big_endian(number, 8, value);
    add_bytes(list, number, 8);
}

/* Pinned in initramfs images: what goes in, and its order, never changes under this first word. */
static int hash_facts(const struct segment *segment, const struct digest_record *record, struct digest *ret,
                      struct error *error)
{
    static const char head[] = "bootseal v1 facts";
    struct field_list list = { 0 };

    list.parts[0] = (struct span){ head, sizeof(head) - 1 };
    add_text(&list, "crypt");
    add_text(&list, segment->encryption);
    add_number(&list, (uint64_t)segment->sector_size_bytes);
    add_number(&list, segment->offset_bytes);
    add_number(&list, segment->iv_offset);
    add_text(&list, "pbkdf2");
    add_text(&list, record->hash);
    add_number(&list, (uint64_t)record->iterations);
    add_bytes(&list, record->salt, record->salt_size);
    add_bytes(&list, record->digest, record->digest_size);
    return digest_compute(ret, list.parts, 1 + 2 * list.count, error);
}

int volume_facts_read(struct volume *volume, struct volume_facts *ret, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct volume_facts facts = { 0 };
    struct digest_record record;
    struct json_view metadata;
    struct segment segment;
    int r = metadata_read(volume, &document, &metadata, error);

    r = r ?: check_requirements(&metadata, error);
    r = r ?: read_segment(&metadata, &segment, error);
    r = r ?: read_digest(&metadata, &record, error);
    r = r ?: read_key_size(&metadata, &record, &facts.key_size_bytes, error);
    r = r ?: hash_facts(&segment, &record, &facts.digest, error);
    if (r)
        return error_prefix(error, "\"%s\"", volume->path);
    memcpy(facts.uuid, volume->uuid, sizeof(facts.uuid));
    snprintf(facts.cipher, sizeof(facts.cipher), "%s", segment.encryption);
    facts.sector_size_bytes = (uint32_t)segment.sector_size_bytes;
    facts.offset_bytes = segment.offset_bytes;
    facts.iv_offset_sectors = segment.iv_offset;
    *ret = facts;
    return 0;
}
