#include "base/cleanup.h"
#include "tpm/internal.h"

#define SRK_ATTRIBUTES                                                                                                 \
    (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |     \
     TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)

/* TCG EK Credential Profile, template L-2, with the attributes that the Provisioning Guidance, 7.5.1, gives an SRK. */
static const TPM2B_PUBLIC srk_template = {
    .publicArea = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = SRK_ATTRIBUTES,
        .parameters.eccDetail = {
            .symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
            .scheme.scheme = TPM2_ALG_NULL,
            .curveID = TPM2_ECC_NIST_P256,
            .kdf.scheme = TPM2_ALG_NULL,
        },
        .unique.ecc = { .x.size = 32, .y.size = 32 },
    },
};

static void free_public(TPM2B_PUBLIC **public)
{
    Esys_Free(*public);
}

/* What the TPM said, in our form; the Name is computed here. */
static int take_public(const TPM2B_PUBLIC *public, uint32_t handle, struct entity *ret, struct error *error)
{
    *ret = (struct entity){ .handle = handle };
    if (Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, ret->public, sizeof(ret->public), &ret->public_size))
        return error_set(error, ERROR_TPM, "the storage root key's public area is too large");
    return object_name_compute(&ret->name, ret->public, ret->public_size, error);
}

static int unusable(const struct entity *srk, enum error_kind kind, struct error *error)
{
    error_set(error, kind, "the key at 0x%08x is not a storage key that never left its TPM", srk->handle);
    return error_remedy(error,
                        "delete the key (tpm2_evictcontrol -c 0x%08x) if nothing else uses it: "
                        "bootseal enroll makes one",
                        srk->handle);
}

/* `kind` is for a key that is not what it should be: it comes from the TPM, or from pins. */
static int check_storage_key(const struct entity *srk, enum error_kind kind, struct error *error)
{
    TPMT_PUBLIC public = { 0 };
    size_t offset = 0;

    if (srk->public_size > sizeof(srk->public) ||
        Tss2_MU_TPMT_PUBLIC_Unmarshal(srk->public, srk->public_size, &offset, &public) || offset != srk->public_size)
        return error_set(error, kind, "the public area of the key at 0x%08x is malformed", srk->handle);
    if (public.nameAlg != TPM2_ALG_SHA256 || (public.type != TPM2_ALG_ECC && public.type != TPM2_ALG_RSA) ||
        (public.objectAttributes & SRK_ATTRIBUTES) != SRK_ATTRIBUTES ||
        public.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT)
        return unusable(srk, kind, error);
    return 0;
}

int tpm_srk_create(struct tpm *tpm, ESYS_TR hierarchy, ESYS_TR session, struct tpm_handle *ret, struct entity *ret_srk,
                   struct error *error)
{
    cleanup(free_public) TPM2B_PUBLIC *public = NULL;
    const TPM2B_SENSITIVE_CREATE sensitive = { 0 };
    const TPML_PCR_SELECTION creation_pcrs = { 0 };
    const TPM2B_DATA outside = { 0 };
    ESYS_TR reference;
    int r = tpm_live_reserve(tpm, error);

    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, CreatePrimary, hierarchy, session, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                    &srk_template, &outside, &creation_pcrs, &reference, &public, NULL, NULL, NULL);
    if (r)
        return r;
    tpm_live_adopt(tpm, reference, ret);
    return ret_srk ? take_public(public, TPM_SRK_HANDLE, ret_srk, error) : 0;
}

static int srk_create_owned(struct tpm *tpm, struct tpm_handle *ret, struct entity *ret_srk, struct error *error)
{
    cleanup(tpm_owner_free) struct tpm_owner owner = { 0 };
    int r = tpm_owner_begin(tpm, &owner, error);

    if (r)
        return r;
    r = tpm_srk_create(tpm, ESYS_TR_RH_OWNER, owner.reference, ret, ret_srk, error);
    tpm_owner_end(&owner, r);
    return r;
}

static int srk_persist(struct tpm *tpm, struct entity *ret, struct error *error)
{
    cleanup(tpm_handle_free) struct tpm_handle transient = { 0 };
    cleanup(tpm_owner_free) struct tpm_owner owner = { 0 };
    ESYS_TR persistent = 0;
    int r = srk_create_owned(tpm, &transient, ret, error) ?: tpm_owner_begin(tpm, &owner, error);

    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, EvictControl, ESYS_TR_RH_OWNER, transient.reference, owner.reference, ESYS_TR_NONE,
                    ESYS_TR_NONE, TPM_SRK_HANDLE, &persistent);
    tpm_owner_end(&owner, r);
    tpm_reference_close(tpm, &persistent);
    return r;
}

int tpm_srk_read(struct tpm *tpm, struct entity *ret, struct error *error)
{
    cleanup(free_public) TPM2B_PUBLIC *public = NULL;
    ESYS_TR reference = 0;
    int r = tpm_reference_handle(tpm, TPM_SRK_HANDLE, &reference, error);

    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, ReadPublic, reference, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL, NULL);
    tpm_reference_close(tpm, &reference);
    if (r)
        return r;
    return take_public(public, TPM_SRK_HANDLE, ret, error);
}

static int srk_adopt(struct tpm *tpm, const struct entity *srk, enum error_kind kind, struct error *error)
{
    ESYS_TR reference = 0;
    int r = check_storage_key(srk, kind, error) ?: tpm_reference_key(tpm, srk, &reference, error);

    if (r)
        return r;
    tpm_reference_close(tpm, &tpm->srk);
    tpm->srk = reference;
    return 0;
}

int tpm_srk_make(struct tpm *tpm, struct entity *ret, struct error *error)
{
    struct entity srk;
    int r = tpm_srk_read(tpm, &srk, error);

    if (r && error->tpm_code == TPM_CODE_NO_HANDLE)
        r = srk_persist(tpm, &srk, error);
    r = r ?: srk_adopt(tpm, &srk, ERROR_TPM, error);
    if (r)
        return r;
    *ret = srk;
    return 0;
}

int tpm_srk_use(struct tpm *tpm, const struct entity *srk, struct error *error)
{
    if (srk->handle >> TPM2_HR_SHIFT != TPM2_HT_PERSISTENT)
        return error_set(error, ERROR_METADATA, "the pinned storage root key is not a persistent one");
    return srk_adopt(tpm, srk, ERROR_METADATA, error);
}
