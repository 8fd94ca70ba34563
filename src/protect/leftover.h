/*
 * The bootseal-pending token: what a power cut may leave behind while a protector or a recovery key is added. It is
 * written before the volume is changed and names the keyslot that will be used, so that the keyslot can be found and
 * wiped later. A recovery key's has "kind": "recovery", and no object in the TPM.
 */
#pragma once

#include "luks/recovery.h"

/* Writes the pending token of a protector that is about to be added, with the first free keyslot as "planned_keyslot".
 */
int leftover_announce(struct volume *volume, const struct protector *protector, struct error *error);

/* The same for a recovery key. */
int leftover_announce_recovery(struct volume *volume, const struct recovery *recovery, struct error *error);

/*
 * Removes all pending tokens of the volume, and each one's planned keyslot if it is in use with the minimal PBKDF2, no
 * protector and no recovery key names it, and it is not `keep`: the keyslot that the caller's passphrase has just
 * opened. A forged token can thus never take away the way in that the administrator is using. Tokens of recovery keys
 * whose keyslot is gone go too.
 */
int leftover_clear(struct volume *volume, int keep, struct error *error);

/* A mask of the keyslots that it would wipe with nothing to keep: nobody has what opens them, so they are no way in. */
int leftover_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error);

/* The Names of the objects that pending tokens hold and no protector's token does: dead weight in an approval. */
int leftover_objects(struct volume *volume, struct object_name ret[VOLUME_MAX_TOKENS], size_t *ret_count,
                     struct error *error);
