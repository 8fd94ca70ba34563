/*
 * The approval index: 34 bytes of NV, TPM2_ALG_SHA256 and a policy digest, that PolicyAuthorizeNV compares a session
 * with. Attributes AUTHREAD, POLICYWRITE, WRITEALL, NO_DA and nothing else, empty authValue; written only by the
 * authority (authPolicy: PolicySigned, "bootseal approve"). Its Name is always the one that it has once written.
 */
#pragma once

#include "tpm/session.h"

#define TPM_INDEX_FIRST 0x018b5ea0u
#define TPM_INDEX_LAST 0x018b5eafu

enum tpm_index_condition {
    TPM_INDEX_ABSENT,    /* nothing at the handle */
    TPM_INDEX_UNWRITTEN, /* ours by its public area, never written */
    TPM_INDEX_WRITTEN,   /* ours by its Name */
    TPM_INDEX_FOREIGN,   /* something else is at the handle */
};

/* Fills the public area and Name of an index at `handle` with this authPolicy. Sends nothing. */
int tpm_index_describe(uint32_t handle, const struct digest *auth_policy, struct entity *ret, struct error *error);

/* The first handle of the range at which nothing is; ERROR_TPM when all are taken. */
int tpm_index_find_free(struct tpm *tpm, uint32_t *ret_handle, struct error *error);

/* What is at the pinned index's handle now (NV_ReadPublic). */
int tpm_index_probe(struct tpm *tpm, const struct entity *index, enum tpm_index_condition *ret, struct error *error);

/* Defines it, exactly as described, with owner authorisation. */
int tpm_index_define(struct tpm *tpm, const struct entity *index, struct error *error);

/* Deletes whatever is at its handle, with owner authorisation. Nothing there is success. */
int tpm_index_undefine(struct tpm *tpm, const struct entity *index, struct error *error);

/* The connection uses this index from now on, without asking the TPM about it. Sends nothing. */
int tpm_index_use(struct tpm *tpm, const struct entity *index, struct error *error);

/* Writes the digest, signed for exactly this write by the authority: the commit point of every change of approval. The
 * index must be defined; whether it was written before is found out (NV_ReadPublic), since its Name depends on it. */
int tpm_index_write(struct tpm *tpm, const struct entity *index, const struct digest *approved,
                    const struct authority_signer *authority, struct error *error);

/* Reads the digest in a salted HMAC session, so that nobody on the bus can choose the answer. */
int tpm_index_read(struct tpm *tpm, const struct entity *index, struct digest *ret, struct error *error);
