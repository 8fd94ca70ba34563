/*
 * The tokens of recovery keys, one for each key, which opens the one keyslot that its token names. The key itself is
 * nowhere on the disk.
 *
 *   { "type": "bootseal-recovery", "keyslots": ["2"], "version": 1, "id": "1f3a90c4",
 *     "created": "2026-11-21T20:00:00Z", "used": "2026-12-01T06:12:00Z", "escrow": null }
 *
 * "used" is there once the key has opened the volume. "escrow" is kept as it stands.
 */
#pragma once

#include "luks/token.h"

#define TOKEN_TYPE_RECOVERY "bootseal-recovery"
#define RECOVERY_TOKEN_BYTES 400 /* of its JSON, at most, without what others put into it */
#define RECOVERY_ID_TEXT 9 /* eight lower-case hexadecimal digits and a NUL */

struct recovery {
    int token;   /* its number in the header, -1 before it is written */
    int keyslot; /* -1: somebody removed it */
    char id[RECOVERY_ID_TEXT];
    char created[TOKEN_TIME_TEXT];
    char used[TOKEN_TIME_TEXT]; /* empty: never */
};

/* From a token's view; `number` becomes recovery.token. Total: every field is checked for type, range and form. */
int recovery_from_json(const struct json_view *view, int number, struct recovery *ret, struct error *error);

/* `base`, if not NULL, is the token it replaces: unknown keys of it are kept. */
int recovery_to_json(const struct recovery *recovery, struct json_object *base, struct json_object **ret,
                     struct error *error);

/* The recovery keys of a volume. Damaged tokens are left out and counted: they must not take the way in from the other
 * keys. */
struct recovery_list {
    struct recovery items[VOLUME_MAX_TOKENS];
    size_t count;
    size_t damaged;
};
int recovery_list_read(struct volume *volume, struct recovery_list *ret, struct error *error);

/* The key with this ID (of either case), or NULL. */
const struct recovery *recovery_list_find(const struct recovery_list *list, const char *id);

/* A mask of the keyslots that tokens of recovery keys name, damaged ones included. */
int recovery_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error);

/* Sets "used" to now in the token of that number. */
int recovery_mark_used(struct volume *volume, int token, struct error *error);
