/*
 * Inside the folder: the connection, and how a command is sent.
 *
 * TPM_COMMAND(tpm, error, Unseal, …) is Esys_Unseal() with what every command needs around it: waiting while the TPM is
 * busy, making room when it is full, and an error in words. It returns 0 or the error's kind.
 */
#pragma once

#include "tpm/session.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tcti.h>

/* Ours that may be in the TPM at once: a sealed object, the authority's key, two sessions; the rest is for tests. */
#define TPM_LIVE_MAX 8

/* First handles of their kind (TPM 2.0 Part 2, 7.4); tpm2-tss's own macros shift into the sign bit. */
#define TPM_TRANSIENT_FIRST 0x80000000u
#define TPM_LOADED_SESSION_FIRST 0x02000000u
#define TPM_PERSISTENT_FIRST 0x81000000u

/* What commands and answers go through: link.c. */
struct tpm_link {
    TSS2_TCTI_CONTEXT_COMMON_V1 common; /* a TCTI to tpm2-tss */
    TSS2_TCTI_CONTEXT *driver;          /* NULL: not open */
    bool silent;                        /* a command was not answered in time: nothing is sent any more */
};

struct tpm {
    struct tpm_link link;
    TSS2_TCTI_CONTEXT *tcti; /* the link */
    ESYS_CONTEXT *esys;
    ESYS_TR srk;                     /* 0: not known yet */
    ESYS_TR index;                   /* 0: not known yet */
    const struct secret *owner_auth; /* NULL: empty */
    TPM2_HANDLE live[TPM_LIVE_MAX];  /* sessions and transient objects of this connection that are in the TPM */
    size_t live_count;
    bool is_making_room; /* in tpm_live_flush_others() */
    bool is_broken;      /* tpm2-tss takes no more commands */
    bool is_stuck;       /* the last command was not taken within TPM_PATIENCE_MS: the next ones are not waited for */
};

/* ---- connection.c ---- */

/* The errno of opening a TPM's device, in words. */
int tpm_device_failed(const char *path, int number, struct error *error);

/* ---- link.c ---- */

/* Among tpm2-tss's codes of the layer that a link is; the base codes from 0xf800 on are anyone's. */
#define TPM_RC_SILENT (TSS2_TCTI_RC_LAYER + TSS2_LAYER_IMPLEMENTATION_SPECIFIC_OFFSET + 1)
#define TPM_RC_MALFORMED (TSS2_TCTI_RC_LAYER + TSS2_LAYER_IMPLEMENTATION_SPECIFIC_OFFSET + 2)

TSS2_RC tpm_link_open(struct tpm_link *link, const char *tcti);
void tpm_link_close(struct tpm_link *link);

/* ---- command.c ---- */

/* One command's tries. */
struct tpm_attempt {
    struct tpm *tpm;
    uint64_t started_ms; /* of waiting; 0: not waited yet */
    bool flushed;        /* leftovers were flushed once */
};

/* After a try: true when the same command should be sent again, once this function has waited or made room. */
bool tpm_try_again(struct tpm_attempt *attempt, TSS2_RC rc);

#define TPM_COMMAND(tpm_, error_, name_, ...)                                                                          \
    ({                                                                                                                 \
        struct tpm_attempt attempt_ = { .tpm = (tpm_) };                                                               \
        TSS2_RC rc_;                                                                                                   \
                                                                                                                       \
        do                                                                                                             \
            rc_ = Esys_##name_((tpm_)->esys, __VA_ARGS__);                                                             \
        while (tpm_try_again(&attempt_, rc_));                                                                         \
        tpm_outcome(rc_, TPM2_CC_##name_, "TPM2_" #name_, (error_));                                                   \
    })

/* ---- response.c ---- */

/* The TPM's own response code, wherever a resource manager put it; 0 when the code is not the TPM's. */
unsigned tpm_response_code(TSS2_RC rc);

/* 0 for success; else the error in words. `command` 0 stands for tpm2-tss itself; `name` is what failed, for people. */
int tpm_outcome(TSS2_RC rc, TPM2_CC command, const char *name, struct error *error);

/* ---- reference.c: tpm2-tss's handles for what is in the TPM, made without asking the TPM ---- */

/* Of a persistent key, with the public area and Name that salting and authorisation need. */
int tpm_reference_key(struct tpm *tpm, const struct entity *entity, ESYS_TR *ret, struct error *error);
int tpm_reference_index(struct tpm *tpm, const struct entity *entity, ESYS_TR *ret, struct error *error);

/* Of a bare handle: enough to read its public area, flush or undefine it, not to authorise with it. */
int tpm_reference_handle(struct tpm *tpm, TPM2_HANDLE handle, ESYS_TR *ret, struct error *error);

/* Drops the reference, not what it stands for. 0 is accepted. */
void tpm_reference_close(struct tpm *tpm, ESYS_TR *reference);

/* ---- live.c: what of this connection is in the TPM ---- */

/* Room for one more handle; to be asked before the command that makes it. */
int tpm_live_reserve(const struct tpm *tpm, struct error *error);

/* Takes over what a command has made. */
void tpm_live_adopt(struct tpm *tpm, ESYS_TR reference, struct tpm_handle *ret);

/* The TPM has closed it by itself: nothing is flushed. */
void tpm_live_forget(struct tpm_handle *handle);

/* Flushes transient objects and loaded sessions that are not this connection's. */
void tpm_live_flush_others(struct tpm *tpm);

/* Flushes what is this connection's, whatever state tpm2-tss is in. */
void tpm_live_flush_own(struct tpm *tpm);

/* ---- state.c ---- */

/* TPM2_GetCapability of one page: the handles that there are from `first` on, at most `max`. */
int tpm_handles_read(struct tpm *tpm, TPM2_HANDLE first, TPM2_HANDLE *ret, size_t max, size_t *ret_count,
                     struct error *error);

/* ---- pcr.c ---- */

TPML_PCR_SELECTION tpm_selection(enum hash_algorithm bank, uint32_t mask);
uint32_t tpm_selection_mask(const TPML_PCR_SELECTION *selection, enum hash_algorithm bank);

/* ---- session.c ---- */

/*
 * A salted HMAC session for exactly one command, which encrypts what `attributes` says: TPMA_SESSION_DECRYPT the
 * command's first parameter, TPMA_SESSION_ENCRYPT the response's. The TPM closes it when the command succeeds:
 * tpm_live_forget() then.
 */
int tpm_session_start_hmac(struct tpm *tpm, TPMA_SESSION attributes, struct tpm_handle *ret, struct error *error);

/* The same, salted to a loaded key. */
int tpm_session_start_hmac_with(const struct tpm_handle *key, TPMA_SESSION attributes, struct tpm_handle *ret,
                                struct error *error);
int tpm_session_set_attributes(const struct tpm_handle *session, TPMA_SESSION attributes, struct error *error);

/* ---- srk.c ---- */

/* Makes a transient key of the SRK's template in a hierarchy that `session` authorises. `ret_srk` may be NULL. */
int tpm_srk_create(struct tpm *tpm, ESYS_TR hierarchy, ESYS_TR session, struct tpm_handle *ret, struct entity *ret_srk,
                   struct error *error);

/* ---- owner.c ---- */

/* What authorises one command of the owner. */
struct tpm_owner {
    struct tpm *tpm;
    struct tpm_handle session; /* empty while the owner authorisation is */
    ESYS_TR reference;         /* for the command */
};

/* tpm_owner_end() follows the command, with its result; tpm_owner_free() cleans up in any case. */
int tpm_owner_begin(struct tpm *tpm, struct tpm_owner *ret, struct error *error);
void tpm_owner_end(struct tpm_owner *owner, int r);
void tpm_owner_free(struct tpm_owner *owner);

/* ---- approval-index.c ---- */

#define TPM_INDEX_BYTES 34 /* TPM2_ALG_SHA256 and the digest */

/* ERROR_METADATA unless the pinned index is exactly as tpm_index_describe() makes one. */
int tpm_index_parse(const struct entity *index, TPMS_NV_PUBLIC *ret, struct error *error);

/* The same index as it is before the first write: its Name differs. */
int tpm_index_unwritten(const struct entity *index, struct entity *ret, struct error *error);

/* ---- wipe.c: authValues in tpm2-tss's memory ---- */

/* Tells tpm2-tss the authValue of what the reference stands for; NULL: an empty one. */
int tpm_auth_set(struct tpm *tpm, ESYS_TR reference, const struct secret *auth, struct error *error);

/*
 * Overwrites tpm2-tss's copies of the authValue of `reference`, of what `session` proved last, and of the last command
 * and answer; where it carries out nothing any more, all that is freed until tpm_context_free() is overwritten. To be
 * called right after every command that a secret went through. Nothing is sent.
 */
void tpm_wipe(struct tpm *tpm, ESYS_TR reference, ESYS_TR session);

/* Ends tpm2-tss's context, which is NULL afterwards, and overwrites what it held. */
void tpm_context_free(struct tpm *tpm);
