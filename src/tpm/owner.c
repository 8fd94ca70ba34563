/*
 * Commands that the owner authorises. While the owner authorisation is empty a password session says so; one that is
 * set is proven in a salted HMAC session and never sent. Before there is an SRK to salt to, a key of the NULL hierarchy
 * serves, made for the one session and flushed at once.
 */
#include "base/cleanup.h"
#include "tpm/internal.h"

void tpm_owner_auth_use(struct tpm *tpm, const struct secret *auth)
{
    tpm->owner_auth = auth && auth->size ? auth : NULL;
}

static int start_session(struct tpm *tpm, struct tpm_handle *ret, struct error *error)
{
    cleanup(tpm_handle_free) struct tpm_handle salt = { 0 };
    int r;

    if (tpm->srk)
        return tpm_session_start_hmac(tpm, 0, ret, error);
    r = tpm_srk_create(tpm, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, &salt, NULL, error);
    return r ?: tpm_session_start_hmac_with(&salt, 0, ret, error);
}

int tpm_owner_begin(struct tpm *tpm, struct tpm_owner *ret, struct error *error)
{
    int r;

    *ret = (struct tpm_owner){ .tpm = tpm, .reference = ESYS_TR_PASSWORD };
    if (!tpm->owner_auth)
        return 0;
    r = start_session(tpm, &ret->session, error);
    if (r)
        return r;
    ret->reference = ret->session.reference;
    return tpm_auth_set(tpm, ESYS_TR_RH_OWNER, tpm->owner_auth, error);
}

void tpm_owner_end(struct tpm_owner *owner, int r)
{
    if (!owner->session.reference)
        return;
    tpm_wipe(owner->tpm, ESYS_TR_RH_OWNER, owner->session.reference);
    if (!r)
        tpm_live_forget(&owner->session);
}

void tpm_owner_free(struct tpm_owner *owner)
{
    tpm_handle_free(&owner->session);
}
