#include "tpm/internal.h"

static const TPMT_SYM_DEF aes_128_cfb = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };

static int start(struct tpm *tpm, ESYS_TR salt_key, TPM2_SE type, struct tpm_handle *ret, struct error *error)
{
    ESYS_TR reference;
    int r = tpm_live_reserve(tpm, error);

    if (r)
        return r;
    if (!salt_key)
        return error_set(error, ERROR_FAILED, "a TPM session needs a storage root key to be salted to");
    r = TPM_COMMAND(tpm, error, StartAuthSession, salt_key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                    NULL, type, &aes_128_cfb, TPM2_ALG_SHA256, &reference);
    if (r)
        return r;
    tpm_live_adopt(tpm, reference, ret);
    return 0;
}

int tpm_session_start(struct tpm *tpm, enum tpm_session_kind kind, struct tpm_handle *ret, struct error *error)
{
    return start(tpm, tpm->srk, kind == TPM_SESSION_TRIAL ? TPM2_SE_TRIAL : TPM2_SE_POLICY, ret, error);
}

int tpm_session_set_attributes(const struct tpm_handle *session, TPMA_SESSION attributes, struct error *error)
{
    const TPMA_SESSION all = 0xff;

    return tpm_outcome(Esys_TRSess_SetAttributes(session->tpm->esys, session->reference, attributes, all), 0,
                       "Esys_TRSess_SetAttributes", error);
}

static int start_hmac(struct tpm *tpm, ESYS_TR salt_key, TPMA_SESSION attributes, struct tpm_handle *ret,
                      struct error *error)
{
    struct tpm_handle session = { 0 };
    int r = start(tpm, salt_key, TPM2_SE_HMAC, &session, error);

    if (r)
        return r;
    r = tpm_session_set_attributes(&session, attributes, error);
    if (r)
        tpm_handle_free(&session);
    *ret = session;
    return r;
}

int tpm_session_start_hmac(struct tpm *tpm, TPMA_SESSION attributes, struct tpm_handle *ret, struct error *error)
{
    return start_hmac(tpm, tpm->srk, attributes, ret, error);
}

int tpm_session_start_hmac_with(const struct tpm_handle *key, TPMA_SESSION attributes, struct tpm_handle *ret,
                                struct error *error)
{
    return start_hmac(key->tpm, key->reference, attributes, ret, error);
}
