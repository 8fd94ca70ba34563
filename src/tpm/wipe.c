/*
 * tpm2-tss keeps copies of what passes through it: an authValue at its handle and in the session that proved it, the
 * parameters of the last command in case it must be sent again, and the last command or answer in its buffer. It wipes
 * none of them, not even when it frees them. They are overwritten here through its own interface, by calls that it
 * gives up before anything is sent: with a session that does not exist, or with parameter encryption where there is no
 * parameter. Should one be sent after all by some later version, the TPM refuses it and nothing is counted.
 */
#include "tpm/internal.h"

#include <string.h>

#define NO_SUCH_SESSION ((ESYS_TR)0xffffffff)

static const TPM2B_AUTH zero_auth = { .size = sizeof(zero_auth.buffer) };

int tpm_auth_set(struct tpm *tpm, ESYS_TR reference, const struct secret *auth, struct error *error)
{
    TPM2B_AUTH copy = { .size = auth ? (UINT16)auth->size : 0 };
    TSS2_RC rc;

    if (auth && auth->size > sizeof(copy.buffer))
        return error_set(error, ERROR_FAILED, "an authorisation is %zu bytes at most", sizeof(copy.buffer));
    if (auth)
        memcpy(copy.buffer, auth->bytes, auth->size);
    rc = Esys_TR_SetAuth(tpm->esys, reference, &copy);
    explicit_bzero(&copy, sizeof(copy));
    return tpm_outcome(rc, 0, "Esys_TR_SetAuth", error);
}

void tpm_wipe_auth(struct tpm *tpm, ESYS_TR reference)
{
    (void)Esys_TR_SetAuth(tpm->esys, reference, &zero_auth);
    (void)Esys_TR_SetAuth(tpm->esys, reference, NULL);
}

/* PCR_Reset has no parameters, so a session that would encrypt one fails, after the authValue was put beside its key.
 */
void tpm_wipe_session(struct tpm *tpm, ESYS_TR session)
{
    const ESYS_TR pcr = ESYS_TR_PCR16; /* the debug PCR, should it come to that */

    (void)Esys_TR_SetAuth(tpm->esys, pcr, &zero_auth);
    (void)Esys_TRSess_SetAttributes(tpm->esys, session, TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT, 0xff);
    if (!Esys_PCR_Reset_Async(tpm->esys, pcr, session, ESYS_TR_NONE, ESYS_TR_NONE))
        (void)Esys_PCR_Reset_Finish(tpm->esys);
    (void)Esys_TRSess_SetAttributes(tpm->esys, session, TPMA_SESSION_CONTINUESESSION, 0xff);
    (void)Esys_TR_SetAuth(tpm->esys, pcr, NULL);
}

void tpm_wipe_buffer(struct tpm *tpm)
{
    static const TPM2B_MAX_BUFFER zeros = { .size = sizeof(zeros.buffer) };

    (void)Esys_Hash_Async(tpm->esys, NO_SUCH_SESSION, ESYS_TR_NONE, ESYS_TR_NONE, &zeros, TPM2_ALG_SHA256,
                          ESYS_TR_RH_NULL);
}

void tpm_wipe_create(struct tpm *tpm)
{
    static const TPM2B_SENSITIVE_CREATE zeros = { 0 };
    static const TPM2B_PUBLIC public = { .publicArea = { .type = TPM2_ALG_KEYEDHASH, .nameAlg = TPM2_ALG_SHA256 } };
    static const TPML_PCR_SELECTION creation_pcrs = { 0 };
    static const TPM2B_DATA outside = { 0 };

    (void)Esys_Create_Async(tpm->esys, tpm->srk, NO_SUCH_SESSION, ESYS_TR_NONE, ESYS_TR_NONE, &zeros, &public, &outside,
                            &creation_pcrs);
}

void tpm_wipe_change_auth(struct tpm *tpm)
{
    (void)Esys_HierarchyChangeAuth_Async(tpm->esys, ESYS_TR_RH_LOCKOUT, NO_SUCH_SESSION, ESYS_TR_NONE, ESYS_TR_NONE,
                                         &zero_auth);
}
