#include "tpm/sealed.h"

#include "base/cleanup.h"
#include "tpm/internal.h"

#include <string.h>

static void free_private(TPM2B_PRIVATE **private)
{
    Esys_Free(*private);
}

static void free_public(TPM2B_PUBLIC **public)
{
    Esys_Free(*public);
}

static void wipe_sensitive(TPM2B_SENSITIVE_CREATE *sensitive)
{
    explicit_bzero(sensitive, sizeof(*sensitive));
}

static void wipe_and_free_data(TPM2B_SENSITIVE_DATA **data)
{
    if (*data)
        explicit_bzero(*data, sizeof(**data));
    Esys_Free(*data);
}

static TPM2B_PUBLIC sealed_template(const struct digest *auth_policy, bool has_auth)
{
    TPM2B_PUBLIC template = {
        .publicArea = {
            .type = TPM2_ALG_KEYEDHASH,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_ADMINWITHPOLICY |
                                (has_auth ? 0 : TPMA_OBJECT_NODA),
            .authPolicy.size = sizeof(auth_policy->bytes),
            .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL,
        },
    };

    memcpy(template.publicArea.authPolicy.buffer, auth_policy->bytes, sizeof(auth_policy->bytes));
    return template;
}

static int take_blob(const TPM2B_PRIVATE *private, const TPM2B_PUBLIC *public, struct sealed_blob *ret,
                     struct error *error)
{
    *ret = (struct sealed_blob){ .private_size = private->size };
    if (private->size > sizeof(ret->private) ||
        Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, ret->public, sizeof(ret->public), &ret->public_size))
        return error_set(error, ERROR_TPM, "the TPM's sealed object is larger than one can be");
    memcpy(ret->private, private->buffer, private->size);
    return 0;
}

int tpm_seal(struct tpm *tpm, const struct digest *auth_policy, const struct secret *auth, const struct secret *data,
             struct sealed_blob *ret, struct error *error)
{
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    cleanup(wipe_sensitive) TPM2B_SENSITIVE_CREATE sensitive = { 0 };
    cleanup(free_private) TPM2B_PRIVATE *private = NULL;
    cleanup(free_public) TPM2B_PUBLIC *public = NULL;
    const TPM2B_PUBLIC template = sealed_template(auth_policy, auth != NULL);
    const TPML_PCR_SELECTION creation_pcrs = { 0 };
    const TPM2B_DATA outside = { 0 };
    int r;

    if ((auth && auth->size != DIGEST_BYTES) || data->size == 0 || data->size > SEALED_DATA_MAX)
        return error_set(error, ERROR_FAILED, "a sealed object takes 32 bytes of authorisation and 1 to %d of data",
                         SEALED_DATA_MAX);
    if (auth) {
        sensitive.sensitive.userAuth.size = (UINT16)auth->size;
        memcpy(sensitive.sensitive.userAuth.buffer, auth->bytes, auth->size);
    }
    sensitive.sensitive.data.size = (UINT16)data->size;
    memcpy(sensitive.sensitive.data.buffer, data->bytes, data->size);
    r = tpm_session_start_hmac(tpm, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT, &session, error);
    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, Create, tpm->srk, session.reference, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &template,
                    &outside, &creation_pcrs, &private, &public, NULL, NULL, NULL);
    tpm_wipe(tpm, tpm->srk, session.reference);
    if (r)
        return r;
    tpm_live_forget(&session);
    return take_blob(private, public, ret, error);
}

int tpm_load(struct tpm *tpm, const struct sealed_blob *blob, struct tpm_handle *ret, struct error *error)
{
    TPM2B_PRIVATE private = { .size = (UINT16)blob->private_size };
    TPM2B_PUBLIC public = { 0 };
    size_t offset = 0;
    ESYS_TR reference;
    int r = tpm_live_reserve(tpm, error);

    if (r)
        return r;
    if (!tpm->srk)
        return error_set(error, ERROR_FAILED, "loading a sealed object needs a storage root key");
    if (blob->private_size > sizeof(blob->private) || blob->public_size > sizeof(blob->public) ||
        Tss2_MU_TPMT_PUBLIC_Unmarshal(blob->public, blob->public_size, &offset, &public.publicArea) ||
        offset != blob->public_size)
        return error_set(error, ERROR_METADATA, "the sealed object is malformed");
    memcpy(private.buffer, blob->private, blob->private_size);
    r = TPM_COMMAND(tpm, error, Load, tpm->srk, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &private, &public,
                    &reference);
    if (r)
        return r;
    tpm_live_adopt(tpm, reference, ret);
    return 0;
}

int tpm_unseal(const struct tpm_handle *object, struct tpm_handle *session, const struct secret *auth,
               struct secret *ret, struct error *error)
{
    cleanup(wipe_and_free_data) TPM2B_SENSITIVE_DATA *data = NULL;
    struct tpm *tpm = object->tpm;
    int r = tpm_session_set_attributes(session, TPMA_SESSION_ENCRYPT, error)
                ?: tpm_auth_set(tpm, object->reference, auth, error);

    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, Unseal, object->reference, session->reference, ESYS_TR_NONE, ESYS_TR_NONE, &data);
    tpm_wipe(tpm, object->reference, session->reference);
    if (r)
        return r;
    tpm_live_forget(session);
    return secret_copy(ret, data->buffer, data->size, error);
}
