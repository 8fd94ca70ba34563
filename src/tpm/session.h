/*
 * Sessions and loaded objects. Both are a struct tpm_handle, whose cleanup flushes what is still in the TPM; it must
 * not outlive its connection. Every session is salted to the SRK of the connection, uses SHA-256 and AES-128-CFB, and
 * encrypts the first parameter in both directions where the command allows it.
 *
 * The policy functions are TPM 2.0 Part 3, chapter 23, one command each; in a trial session they compute, in a policy
 * session they assert.
 */
#pragma once

#include "tpm/tpm.h"

struct tpm_handle {
    struct tpm *tpm;
    uint32_t reference; /* of tpm2-tss; 0: none */
};

enum tpm_session_kind { TPM_SESSION_POLICY, TPM_SESSION_TRIAL };

int tpm_session_start(struct tpm *tpm, enum tpm_session_kind kind, struct tpm_handle *ret, struct error *error);

/* Flushes, wherever the handle is a session or a transient object; accepts an empty one. */
void tpm_handle_free(struct tpm_handle *handle);

/* PolicyPCR with the values as they are: in a trial session and in a policy session alike. */
int tpm_policy_pcr(const struct tpm_handle *session, enum hash_algorithm bank, uint32_t mask, struct error *error);

/* PolicyOR over 2 to 8 digests. No match: ERROR_MISMATCH with TPM_CODE_OR_MISMATCH; the session stays as it was. */
int tpm_policy_or(const struct tpm_handle *session, const struct digest *list, size_t count, struct error *error);

int tpm_policy_cp_hash(const struct tpm_handle *session, const struct digest *cp_hash, struct error *error);

/* PolicyAuthorizeNV over the connection's approval index. Another digest there: ERROR_MISMATCH, TPM_CODE_STALE_LIST. An
 * index that is gone or was never written: ERROR_TPM with a remedy. */
int tpm_policy_authorize_nv(const struct tpm_handle *session, struct error *error);

int tpm_policy_auth_value(const struct tpm_handle *session, struct error *error);

/* LoadExternal, PolicySigned with this session's nonceTPM, expiration 0 and cpHashA, FlushContext. */
int tpm_policy_signed(const struct tpm_handle *session, const struct authority_signer *authority,
                      enum authority_use use, const struct digest *cp_hash, struct error *error);

enum tpm_compare { TPM_COMPARE_EQUAL, TPM_COMPARE_GREATER, TPM_COMPARE_LESS_OR_EQUAL }; /* unsigned (TPM2_EO) */

/* PolicyCounterTimer: compares `size` bytes (4 or 8) of TPMS_TIME_INFO at `offset` with the operand. */
int tpm_policy_counter_timer(const struct tpm_handle *session, uint64_t operand, size_t size, uint16_t offset,
                             enum tpm_compare compare, struct error *error);

int tpm_policy_digest(const struct tpm_handle *session, struct digest *ret, struct error *error);
