/*
 * bootseal's own LUKS2 tokens as C values. Keys that this version does not know are kept when a token is written back
 * (the caller passes the object it was read from); an unknown "version" is refused with ERROR_METADATA.
 *
 *   { "type": "bootseal", "keyslots": ["1"], "version": 1, "id": "UUID", "kind": "tpm2-pin" | "tpm2", "label": "…",
 *     "operator": 2,
 *     "payload": "keyslot" | "volume-key", "created": "2026-11-21T20:00:00Z",
 *     "tpm": { "srk": "Name in hex", "approval": "Name in hex", "private": "base64", "public": "base64" },
 *     "kdf": { "type": "argon2id", "memory_kib": 65536, "iterations": 4, "lanes": 2, "salt": "base64" } }
 *
 * "kdf" is there with a PIN only. So is "operator", the number of the person whose PIN it is, 1 to
 * PROTECTOR_OPERATOR_MAX, which a volume has once; without the key it is 1, and 1 is not written. "bootseal-pending"
 * has the same fields with "type": "bootseal-pending"; its keyslots list is empty until the keyslot exists.
 * "bootseal-approval" is src/policy's, with "type", "keyslots": [] and "version".
 */
#pragma once

#include "base/json.h"
#include "base/sealed.h"
#include "luks/volume.h"

#define TOKEN_TYPE_PROTECTOR "bootseal"
#define TOKEN_TYPE_PENDING "bootseal-pending"
#define TOKEN_TYPE_APPROVAL "bootseal-approval"
#define TOKEN_VERSION 1
#define TOKEN_TIME_TEXT 21 /* RFC 3339, UTC: "2026-11-21T20:00:00Z" */

#define PROTECTOR_LABEL_MAX 63
#define PROTECTOR_OPERATOR_MAX 99
#define KDF_SALT_BYTES 32
#define KDF_MAX_MEMORY_KIB (4u * 1024 * 1024) /* LUKS2's own limit for Argon2 */
#define KDF_MAX_ITERATIONS 1000u
#define KDF_MAX_LANES 4u

enum protector_kind { PROTECTOR_TPM2_PIN, PROTECTOR_TPM2 };

enum protector_payload {
    PAYLOAD_KEYSLOT,    /* what is sealed leads to the passphrase of a keyslot */
    PAYLOAD_VOLUME_KEY, /* to the volume key itself; there is no keyslot */
};

struct kdf_parameters {
    uint32_t memory_kib;
    uint32_t iterations;
    uint32_t lanes;
    uint8_t salt[KDF_SALT_BYTES];
};

struct protector {
    int token;   /* its number in the header, -1 before it is written */
    int keyslot; /* -1: none yet */
    enum protector_kind kind;
    enum protector_payload payload;
    unsigned operator_number; /* whose PIN; 0 without a PIN */
    char id[VOLUME_UUID_TEXT];
    char label[PROTECTOR_LABEL_MAX + 1];
    char created[TOKEN_TIME_TEXT];
    struct object_name srk;
    struct object_name approval;
    struct sealed_blob sealed;
    struct kdf_parameters kdf; /* PROTECTOR_TPM2_PIN */
};

/* From a token's view; `number` becomes protector.token. Total: every field is checked for type, range and form. */
int protector_from_json(const struct json_view *view, int number, struct protector *ret, struct error *error);

/* A token of the given type. `base`, if not NULL, is the token it replaces: unknown keys of it are kept. */
int protector_to_json(const struct protector *protector, const char *type, struct json_object *base,
                      struct json_object **ret, struct error *error);

/* All tokens of a protector type, at most VOLUME_MAX_TOKENS. One damaged token fails the whole with its number. */
struct protector_list {
    struct protector *items; /* protector_list_free() */
    size_t count;
};
int protector_list_read(struct volume *volume, const char *type, struct protector_list *ret, struct error *error);
void protector_list_free(struct protector_list *list);

/* Starts a token: type, keyslots (none when keyslot is -1) and version. */
int token_new(const char *type, int keyslot, struct json_object **ret, struct error *error);

/* ERROR_METADATA for a version that is not TOKEN_VERSION. */
int token_get_version(const struct json_view *view, struct error *error);

/* Before a token is written over, whatever is wrong with it: ERROR_METADATA if a later version has written it. */
int token_refuse_newer(const struct json_view *view, struct error *error);

/* The time of now, as tokens have it. */
int token_time_now(char ret[TOKEN_TIME_TEXT], struct error *error);

/* Whether a PIN gives the same keys by both: the same salt and cost. */
bool kdf_parameters_equal(const struct kdf_parameters *a, const struct kdf_parameters *b);

/* The words of a kind: "tpm2-pin", "tpm2"; and of a payload: "keyslot", "volume-key". */
const char *protector_kind_name(enum protector_kind kind);
const char *protector_payload_name(enum protector_payload payload);

/* The payload of that name; false when there is none. */
bool protector_payload_from_name(const char *name, enum protector_payload *ret);
