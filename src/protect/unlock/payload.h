/*
 * What a protector's sealed secret leads to, the opener: the passphrase of its keyslot, or the volume key itself.
 * Whoever opens a volume passes it on without knowing which.
 */
#pragma once

#include "base/secret.h"
#include "luks/token.h"

/* From what the TPM released, and B (NULL or empty without a PIN). */
int payload_unwrap(const struct protector *protector, const struct secret *sealed, const struct secret *mix,
                   struct secret *ret_opener, struct error *error);

/* Whether the opener opens the volume; `ret_key`, if not NULL, becomes the volume key. When it does not:
 * ERROR_METADATA, since the TPM has released it. */
int payload_check(struct volume *volume, const struct protector *protector, const struct secret *opener,
                  struct secret *ret_key, struct error *error);

/* Makes /dev/mapper/NAME. Errors as payload_check(). */
int payload_activate(struct volume *volume, const struct protector *protector, const char *name,
                     const struct secret *opener, const struct volume_options *options, struct error *error);
