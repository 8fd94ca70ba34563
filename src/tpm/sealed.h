/*
 * Sealed objects: KEYEDHASH children of the SRK that the TPM releases under their policy alone (adminWithPolicy set,
 * userWithAuth clear, fixedTPM, fixedParent), and counted against guessing (noDA clear) when they have an authValue.
 */
#pragma once

#include "tpm/session.h"

/*
 * TPM2_Create in a salted HMAC session with the sensitive part encrypted. `auth` is the authValue, DIGEST_BYTES long,
 * or NULL for an object without one (which then has noDA set). `data` is 1 to SEALED_DATA_MAX bytes.
 */
int tpm_seal(struct tpm *tpm, const struct digest *auth_policy, const struct secret *auth, const struct secret *data,
             struct sealed_blob *ret, struct error *error);

/* TPM2_Load under the connection's SRK. A blob that this SRK did not make: ERROR_TPM with TPM_CODE_INTEGRITY. */
int tpm_load(struct tpm *tpm, const struct sealed_blob *blob, struct tpm_handle *ret, struct error *error);

/*
 * TPM2_Unseal in the policy session, with the response encrypted and, when `auth` is not NULL, the authValue proven by
 * HMAC. On success the session is closed (its handle is empty afterwards); after a wrong PIN it is still good.
 * Wrong PIN: ERROR_WRONG_PIN with TPM_CODE_WRONG_AUTH. Lockout: ERROR_LOCKOUT. A PCR moved: ERROR_MISMATCH with
 * TPM_CODE_PCR_CHANGED. The auth value is wiped from tpm2-tss's memory before this returns.
 */
int tpm_unseal(const struct tpm_handle *object, struct tpm_handle *session, const struct secret *auth,
               struct secret *ret, struct error *error);
