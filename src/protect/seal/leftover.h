/*
 * The bootseal-pending token: what a power cut may leave behind, when a protector or a recovery key is added, or a
 * protector is replaced. It is written before the volume is changed and names the keyslot that will be used, or is to
 * go, so that the keyslot can be found and wiped later. As long as a protector's token has the same object or keyslot,
 * it means nothing. A recovery key's has "kind": "recovery", and no object in the TPM.
 */
#pragma once

#include "luks/recovery.h"
#include "policy/approval.h"

/* Writes the pending token of a protector that is about to be added, with the first free keyslot as "planned_keyslot"
 * if it will have one. */
int leftover_announce(struct volume *volume, const struct protector *protector, struct error *error);

/* The same for a protector whose token is about to be replaced, with its own keyslot: what will be left of it. */
int leftover_announce_end(struct volume *volume, const struct protector *protector, struct error *error);

/* leftover_announce() for a recovery key. */
int leftover_announce_recovery(struct volume *volume, const struct recovery *recovery, struct error *error);

/*
 * Removes all pending tokens of the volume, and each one's planned keyslot if it is in use with the minimal PBKDF2, no
 * protector and no recovery key names it, and it is not `keep`: the keyslot that the caller's passphrase has just
 * opened. A forged token can thus never take away the way in that the administrator is using. Tokens of recovery keys
 * whose keyslot is gone go too.
 */
int leftover_clear(struct volume *volume, int keep, struct error *error);

/* The same, but a pending token whose object is still in the approval, and is no protector's, stays: nothing else tells
 * that the object is to be withdrawn. */
int leftover_clear_dead(struct volume *volume, int keep, const struct approval *approval, struct error *error);

/* Only what recovery keys have left: who adds one knows nothing of objects, and leaves theirs to be found. */
int leftover_clear_recovery(struct volume *volume, int keep, struct error *error);

/* The keyslots that leftover_clear() would remove, as a mask: no way in. */
int leftover_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error);

/* The Names of the objects that pending tokens hold and no protector's token does: dead weight in an approval. */
int leftover_objects(struct volume *volume, struct object_name ret[VOLUME_MAX_TOKENS], size_t *ret_count,
                     struct error *error);
