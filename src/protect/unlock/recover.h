/*
 * Opening a volume by what a person knows: a recovery key, for which no TPM is needed, or any passphrase. A recovery
 * key is tried on the keyslots that tokens of recovery keys name, and on no others.
 */
#pragma once

#include "luks/recovery.h"

struct recovered {
    struct recovery recovery; /* the key that it was */
    struct secret passphrase; /* its canonical text, which opens recovery.keyslot */
    struct secret key;        /* the volume key */
};

/*
 * `typed` in any of the forms that recovery_key_parse() takes. ERROR_WRONG_PIN: with the group that is wrong, or when
 * it is no key of this volume. ERROR_NO_PROTECTOR: the volume has no recovery key. recovered_free() cleans up.
 */
int recover_open(struct volume *volume, const struct secret *typed, struct recovered *ret, struct error *error);
void recovered_free(struct recovered *recovered);

/*
 * What an administrator gives as "existing passphrase": a recovery key in any form, the bytes as they stand, or the
 * same without the newline that ends a text file; tried in this order on all keyslots. ERROR_WRONG_PIN: none of them.
 */
int recover_any(struct volume *volume, const struct secret *given, struct secret *ret_key, int *ret_keyslot,
                struct error *error);
