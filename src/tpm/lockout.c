#include "tpm/lockout.h"

#include "base/cleanup.h"
#include "tpm/internal.h"

#include <string.h>

static void wipe_auth(TPM2B_AUTH *auth)
{
    explicit_bzero(auth, sizeof(*auth));
}

/* A salted session, and the lockout hierarchy's authorisation told to tpm2-tss. */
static int begin(struct tpm *tpm, const struct secret *auth, TPMA_SESSION attributes, struct tpm_handle *ret,
                 struct error *error)
{
    int r = tpm_session_start_hmac(tpm, attributes, ret, error);

    return r ?: tpm_auth_set(tpm, ESYS_TR_RH_LOCKOUT, auth, error);
}

static void end(struct tpm *tpm, struct tpm_handle *session, int r)
{
    tpm_wipe(tpm, ESYS_TR_RH_LOCKOUT, session->reference);
    if (!r)
        tpm_live_forget(session);
}

int tpm_lockout_set_auth(struct tpm *tpm, const struct secret *old_auth, const struct secret *new_auth,
                         struct error *error)
{
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    cleanup(wipe_auth) TPM2B_AUTH fresh = { .size = TPM_LOCKOUT_AUTH_BYTES };
    int r;

    if (new_auth->size != TPM_LOCKOUT_AUTH_BYTES || new_auth->bytes[new_auth->size - 1] == 0)
        return error_set(error, ERROR_FAILED, "a lockout authorisation is %d bytes, the last one not zero",
                         TPM_LOCKOUT_AUTH_BYTES);
    memcpy(fresh.buffer, new_auth->bytes, new_auth->size);
    r = begin(tpm, old_auth, TPMA_SESSION_DECRYPT, &session, error);
    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, HierarchyChangeAuth, ESYS_TR_RH_LOCKOUT, session.reference, ESYS_TR_NONE, ESYS_TR_NONE,
                    &fresh);
    end(tpm, &session, r);
    return r;
}

int tpm_lockout_set_limits(struct tpm *tpm, const struct secret *auth, uint32_t max_tries, uint32_t recovery_s,
                           uint32_t lockout_recovery_s, struct error *error)
{
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    int r = begin(tpm, auth, 0, &session, error);

    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, DictionaryAttackParameters, ESYS_TR_RH_LOCKOUT, session.reference, ESYS_TR_NONE,
                    ESYS_TR_NONE, max_tries, recovery_s, lockout_recovery_s);
    end(tpm, &session, r);
    return r;
}

int tpm_lockout_reset(struct tpm *tpm, const struct secret *auth, struct error *error)
{
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    int r = begin(tpm, auth, 0, &session, error);

    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, DictionaryAttackLockReset, ESYS_TR_RH_LOCKOUT, session.reference, ESYS_TR_NONE,
                    ESYS_TR_NONE);
    end(tpm, &session, r);
    return r;
}
