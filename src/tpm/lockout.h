/*
 * The lockout hierarchy: who may reset the counter of wrong PINs and change its limits. Authorisations travel only in
 * salted HMAC sessions, new ones as encrypted parameters. A wrong lockout authorisation locks the hierarchy, so callers
 * send one only once.
 */
#pragma once

#include "tpm/tpm.h"

#define TPM_LOCKOUT_AUTH_BYTES 32

/* HierarchyChangeAuth. `old_auth` NULL: the authorisation is empty so far. The last byte of `new_auth` is not zero. */
int tpm_lockout_set_auth(struct tpm *tpm, const struct secret *old_auth, const struct secret *new_auth,
                         struct error *error);

/* DictionaryAttackParameters. */
int tpm_lockout_set_limits(struct tpm *tpm, const struct secret *auth, uint32_t max_tries, uint32_t recovery_s,
                           uint32_t lockout_recovery_s, struct error *error);

/* DictionaryAttackLockReset: the counter becomes 0. */
int tpm_lockout_reset(struct tpm *tpm, const struct secret *auth, struct error *error);
