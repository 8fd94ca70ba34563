/*
 * tpm2-tss keeps copies of what passes through it: an authValue at its handle and in the session that proved it, the
 * parameters of the last command in case it must be sent again, and the last command or answer in its buffer. It wipes
 * none of them, not even when it frees them. They are overwritten here through its own interface: by commands full of
 * zeros, on a connection that leads nowhere for that moment and answers each command with "canceled".
 */
#include "tpm/internal.h"

#include <malloc.h>
#include <string.h>
#include <tss2/tss2_tcti.h>

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

static TSS2_RC swallow(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
    (void)tcti, (void)size, (void)command;
    return TSS2_RC_SUCCESS;
}

static TSS2_RC answer_canceled(TSS2_TCTI_CONTEXT *tcti, size_t *size, uint8_t *response, int32_t timeout)
{
    static const uint8_t canceled[] = { TPM2_ST_NO_SESSIONS >> 8, TPM2_ST_NO_SESSIONS & 0xff, 0, 0, 0, 10, 0, 0,
                                        TPM2_RC_CANCELED >> 8,    TPM2_RC_CANCELED & 0xff };

    (void)tcti, (void)timeout;
    if (response && *size < sizeof(canceled))
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    if (response)
        memcpy(response, canceled, sizeof(canceled));
    *size = sizeof(canceled);
    return TSS2_RC_SUCCESS;
}

/* The session proves an authValue of zeros for a PCR that nobody asks for. */
static bool overwrite_session(struct tpm *tpm, ESYS_TR session)
{
    TSS2_RC rc;

    (void)Esys_TR_SetAuth(tpm->esys, ESYS_TR_PCR16, &zero_auth);
    rc = Esys_PCR_Reset(tpm->esys, ESYS_TR_PCR16, session, ESYS_TR_NONE, ESYS_TR_NONE);
    (void)Esys_TR_SetAuth(tpm->esys, ESYS_TR_PCR16, NULL);
    return rc == TPM2_RC_CANCELED;
}

/* The largest parameters that a secret is ever in, and so the longest command. */
static bool overwrite_command(struct tpm *tpm)
{
    static const TPM2B_SENSITIVE_CREATE sensitive = {
        .sensitive = { .userAuth.size = DIGEST_BYTES, .data.size = sizeof(sensitive.sensitive.data.buffer) },
    };
    static const TPM2B_PUBLIC public = {
        .publicArea = { .type = TPM2_ALG_KEYEDHASH,
                        .nameAlg = TPM2_ALG_SHA256,
                        .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL },
    };
    static const TPML_PCR_SELECTION creation_pcrs = { 0 };
    static const TPM2B_DATA outside = { 0 };

    return Esys_Create(tpm->esys, tpm->srk, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &public, &outside,
                       &creation_pcrs, NULL, NULL, NULL, NULL, NULL) == TPM2_RC_CANCELED;
}

/* Where tpm2-tss carries out nothing any more, not even what is above, as after a broken answer or without memory: the
 * C library overwrites what is freed. */
static void wipe_what_is_freed(bool on)
{
    const int any_byte = 0xa5;

    (void)mallopt(M_PERTURB, on ? any_byte : 0);
}

void tpm_wipe(struct tpm *tpm, ESYS_TR reference, ESYS_TR session)
{
    TSS2_TCTI_TRANSMIT_FCN transmit = TSS2_TCTI_TRANSMIT(tpm->tcti);
    TSS2_TCTI_RECEIVE_FCN receive = TSS2_TCTI_RECEIVE(tpm->tcti);
    bool is_overwritten;

    TSS2_TCTI_TRANSMIT(tpm->tcti) = swallow;
    TSS2_TCTI_RECEIVE(tpm->tcti) = answer_canceled;
    (void)Esys_TR_SetAuth(tpm->esys, reference, &zero_auth);
    (void)Esys_TR_SetAuth(tpm->esys, reference, NULL);
    is_overwritten = overwrite_session(tpm, session);
    is_overwritten = overwrite_command(tpm) && is_overwritten;
    if (!is_overwritten)
        wipe_what_is_freed(true); /* by tpm_context_free() at the latest */
    TSS2_TCTI_TRANSMIT(tpm->tcti) = transmit;
    TSS2_TCTI_RECEIVE(tpm->tcti) = receive;
}

void tpm_context_free(struct tpm *tpm)
{
    wipe_what_is_freed(true);
    Esys_Finalize(&tpm->esys);
    wipe_what_is_freed(false);
}
