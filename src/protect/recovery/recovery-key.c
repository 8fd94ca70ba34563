#include "protect/recovery/recovery-key.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/recovery-key-text.h"
#include "protect/seal/leftover.h"

#include <string.h>
#include <sys/random.h>

#define ID_TRIES 16

/* ---- adding ---- */

/* An ID that no other key of the volume has. */
static int new_id(const struct recovery_list *list, char ret[RECOVERY_ID_TEXT], struct error *error)
{
    uint8_t bytes[(RECOVERY_ID_TEXT - 1) / 2];

    for (int i = 0; i < ID_TRIES; i++) {
        if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
            break;
        hex_encode(bytes, sizeof(bytes), ret);
        if (!recovery_list_find(list, ret))
            return 0;
    }
    return error_set(error, ERROR_FAILED, "cannot get random bytes for an ID");
}

static int describe(struct volume *volume, struct recovery *ret, struct error *error)
{
    struct recovery_list list;
    int r = recovery_list_read(volume, &list, error);

    *ret = (struct recovery){ .token = -1, .keyslot = -1 };
    if (!r)
        r = new_id(&list, ret->id, error);
    return r ? r : token_time_now(ret->created, error);
}

/* The new keyslot is believed only when it has given the very volume key. */
static int make_keyslot(struct volume *volume, const struct secret *key, const struct secret *text,
                        struct recovery *recovery, struct error *error)
{
    cleanup(secret_free) struct secret again = { 0 };
    int r = volume_keyslot_add(volume, key, text, &recovery->keyslot, error);

    if (!r)
        r = volume_keyslot_open(volume, recovery->keyslot, text, &again, NULL, error);
    if (!r && !secret_equal(&again, key))
        r = error_set(error, ERROR_FAILED, "the recovery key's keyslot gives another volume key");
    return r;
}

static int write_token(struct volume *volume, struct recovery *recovery, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    int r = recovery_to_json(recovery, NULL, &token, error);

    return r ? r : volume_token_write(volume, &recovery->token, token, error);
}

static int change(struct volume *volume, const struct secret *key, const struct recovery_hand_over *hand_over,
                  struct recovery *recovery, struct error *error)
{
    cleanup(secret_free) struct secret text = { 0 };
    int r = recovery_key_new(&text, error);

    if (!r)
        r = leftover_announce_recovery(volume, recovery, error);
    if (!r)
        r = make_keyslot(volume, key, &text, recovery, error);
    if (!r)
        r = hand_over->take(hand_over->context, recovery, &text, error);
    return r ? r : write_token(volume, recovery, error);
}

int recovery_key_add(struct volume *volume, const struct secret *key, int keep,
                     const struct recovery_hand_over *hand_over, struct recovery *ret, struct error *error)
{
    /* the pending token is still there when the other is written */
    const struct volume_room room = {
        .keyslots = 1, .tokens = 2, .key_size_bytes = key->size, .token_bytes = 2 * RECOVERY_TOKEN_BYTES
    };
    struct error later;
    int r = leftover_clear_recovery(volume, keep, error);

    if (!r)
        r = volume_check_room(volume, &room, error);
    if (!r)
        r = describe(volume, ret, error);
    if (r)
        return r;
    r = change(volume, key, hand_over, ret, error);
    /* with the token written this drops the pending one; without, the keyslot too. Either can be done later. */
    (void)leftover_clear_recovery(volume, keep, &later);
    return r;
}

/* By its ID: what its token's number or its keyslot is now, if they are there at all, the header says. */
static int drop_key(struct volume *volume, const char *id, struct error *error)
{
    const struct recovery *old;
    struct recovery_list list;
    int r = recovery_list_read(volume, &list, error);

    old = r ? NULL : recovery_list_find(&list, id);
    /* a token without its keyslot says so, and is cleared away later; a keyslot without its token says nothing */
    if (old && old->keyslot >= 0)
        r = volume_keyslot_remove(volume, old->keyslot, error);
    return r || !old ? r : volume_token_remove(volume, old->token, error);
}

int recovery_key_rotate(struct volume *volume, const struct secret *key, int keep, const struct recovery *old,
                        const struct recovery_hand_over *hand_over, struct recovery *ret, struct error *error)
{
    int r = recovery_key_add(volume, key, keep, hand_over, ret, error);

    if (r)
        return r;
    r = drop_key(volume, old->id, error);
    return r ? error_prefix(error, "the new recovery key %s is good, but the old one %s is still there", ret->id,
                            old->id)
             : 0;
}

int recovery_key_mark_used(struct volume *volume, const char *id, struct error *error)
{
    const struct recovery *recovery;
    struct recovery_list list;
    int r = recovery_list_read(volume, &list, error);

    if (r)
        return r;
    recovery = recovery_list_find(&list, id);
    if (!recovery)
        return error_set(error, ERROR_NO_PROTECTOR, "\"%s\" has no recovery key \"%s\"", volume_path(volume), id);
    return recovery_mark_used(volume, recovery->token, error);
}
