/*
 * Keyslots that are neither a protector's nor a recovery key's: passphrases left from the installation, other tools'
 * keys. As long as there is one, whoever knows what is in it needs no TPM.
 */
#pragma once

#include "luks/recovery.h"

/* A mask of them. */
int other_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error);

/*
 * Removes them all. `checked` is the recovery key that has just opened the volume: ERROR_REFUSED when its keyslot is
 * not there any more, or no protector's is, since what is left must be more than one way in. Nothing is removed then.
 */
int other_keyslots_remove(struct volume *volume, const struct recovery *checked, struct error *error);
