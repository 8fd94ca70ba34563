#include "tpm/approval-index.h"

#include "base/cleanup.h"
#include "tpm/internal.h"

#include <string.h>

#define INDEX_ATTRIBUTES (TPMA_NV_AUTHREAD | TPMA_NV_POLICYWRITE | TPMA_NV_WRITEALL | TPMA_NV_NO_DA)

static void free_nv_public(TPM2B_NV_PUBLIC **public)
{
    Esys_Free(*public);
}

static int to_entity(const TPMS_NV_PUBLIC *public, struct entity *ret, struct error *error)
{
    *ret = (struct entity){ .handle = public->nvIndex };
    if (Tss2_MU_TPMS_NV_PUBLIC_Marshal(public, ret->public, sizeof(ret->public), &ret->public_size))
        return error_set(error, ERROR_TPM, "the public area of the TPM index is too large");
    return object_name_compute(&ret->name, ret->public, ret->public_size, error);
}

int tpm_index_describe(uint32_t handle, const struct digest *auth_policy, struct entity *ret, struct error *error)
{
    TPMS_NV_PUBLIC public = {
        .nvIndex = handle,
        .nameAlg = TPM2_ALG_SHA256,
        .attributes = INDEX_ATTRIBUTES | TPMA_NV_WRITTEN,
        .authPolicy.size = sizeof(auth_policy->bytes),
        .dataSize = TPM_INDEX_BYTES,
    };

    memcpy(public.authPolicy.buffer, auth_policy->bytes, sizeof(auth_policy->bytes));
    return to_entity(&public, ret, error);
}

/* The pinned bytes as tpm2-tss has them. What they say must be what tpm_index_describe() makes of them, nothing else:
 * another attribute would give someone else a way to write. */
int tpm_index_parse(const struct entity *index, TPMS_NV_PUBLIC *ret, struct error *error)
{
    struct entity expected;
    struct digest auth_policy;
    size_t offset = 0;
    int r;

    if (index->public_size > sizeof(index->public) ||
        Tss2_MU_TPMS_NV_PUBLIC_Unmarshal(index->public, index->public_size, &offset, ret) ||
        offset != index->public_size || ret->authPolicy.size != sizeof(auth_policy.bytes))
        return error_set(error, ERROR_METADATA, "the public area of the pinned approval index is malformed");
    memcpy(auth_policy.bytes, ret->authPolicy.buffer, sizeof(auth_policy.bytes));
    r = tpm_index_describe(index->handle, &auth_policy, &expected, error);
    if (r)
        return r;
    if (!object_name_equal(&expected.name, &index->name) || expected.public_size != index->public_size ||
        memcmp(expected.public, index->public, expected.public_size) != 0)
        return error_set(error, ERROR_METADATA, "the pinned approval index is not one that bootseal defines");
    return 0;
}

int tpm_index_unwritten(const struct entity *index, struct entity *ret, struct error *error)
{
    TPMS_NV_PUBLIC public;
    int r = tpm_index_parse(index, &public, error);

    if (r)
        return r;
    public.attributes &= ~TPMA_NV_WRITTEN;
    return to_entity(&public, ret, error);
}

int tpm_index_find_free(struct tpm *tpm, uint32_t *ret_handle, struct error *error)
{
    enum { COUNT = TPM_INDEX_LAST - TPM_INDEX_FIRST + 1 };
    TPM2_HANDLE taken[COUNT];
    size_t count, i = 0;
    int r = tpm_handles_read(tpm, TPM_INDEX_FIRST, taken, COUNT, &count, error);

    if (r)
        return r;
    for (uint32_t handle = TPM_INDEX_FIRST; handle <= TPM_INDEX_LAST; handle++, i++)
        if (i >= count || taken[i] != handle) { /* the TPM lists them in ascending order */
            *ret_handle = handle;
            return 0;
        }
    error_set(error, ERROR_TPM, "all TPM indices from 0x%08x to 0x%08x are taken", TPM_INDEX_FIRST, TPM_INDEX_LAST);
    return error_remedy(error, "delete the ones that nobody needs (tpm2_nvundefine)");
}

static int read_public(struct tpm *tpm, uint32_t handle, struct entity *ret, struct error *error)
{
    cleanup(free_nv_public) TPM2B_NV_PUBLIC *public = NULL;
    ESYS_TR reference = 0;
    int r = tpm_reference_handle(tpm, handle, &reference, error);

    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, NV_ReadPublic, reference, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL);
    tpm_reference_close(tpm, &reference);
    return r ?: to_entity(&public->nvPublic, ret, error);
}

int tpm_index_probe(struct tpm *tpm, const struct entity *index, enum tpm_index_condition *ret, struct error *error)
{
    struct entity there, unwritten;
    int r = tpm_index_unwritten(index, &unwritten, error) ?: read_public(tpm, index->handle, &there, error);

    if (r && error->tpm_code == TPM_CODE_NO_HANDLE) {
        *ret = TPM_INDEX_ABSENT;
        return 0;
    }
    if (r)
        return r;
    if (object_name_equal(&there.name, &index->name))
        *ret = TPM_INDEX_WRITTEN;
    else if (object_name_equal(&there.name, &unwritten.name))
        *ret = TPM_INDEX_UNWRITTEN;
    else
        *ret = TPM_INDEX_FOREIGN;
    return 0;
}

int tpm_index_define(struct tpm *tpm, const struct entity *index, struct error *error)
{
    const TPM2B_AUTH empty = { 0 };
    TPM2B_NV_PUBLIC public = { 0 };
    cleanup(tpm_owner_free) struct tpm_owner owner = { 0 };
    ESYS_TR reference = 0;
    int r = tpm_index_parse(index, &public.nvPublic, error) ?: tpm_owner_begin(tpm, &owner, error);

    if (r)
        return r;
    public.nvPublic.attributes &= ~TPMA_NV_WRITTEN;
    r = TPM_COMMAND(tpm, error, NV_DefineSpace, ESYS_TR_RH_OWNER, owner.reference, ESYS_TR_NONE, ESYS_TR_NONE, &empty,
                    &public, &reference);
    tpm_owner_end(&owner, r);
    if (!r)
        tpm_reference_close(tpm, &reference);
    return r;
}

/* What is at the handle. An HMAC session signs its Name, which the TPM is asked for then: whatever somebody put there
 * is to go. */
static int reference_present(struct tpm *tpm, uint32_t handle, ESYS_TR *ret, struct error *error)
{
    if (!tpm->owner_auth)
        return tpm_reference_handle(tpm, handle, ret, error);
    return tpm_outcome(Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ret),
                       TPM2_CC_NV_ReadPublic, "TPM2_NV_ReadPublic", error);
}

static int undefine(struct tpm *tpm, ESYS_TR reference, struct error *error)
{
    cleanup(tpm_owner_free) struct tpm_owner owner = { 0 };
    int r = tpm_owner_begin(tpm, &owner, error);

    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, NV_UndefineSpace, ESYS_TR_RH_OWNER, reference, owner.reference, ESYS_TR_NONE,
                    ESYS_TR_NONE);
    tpm_owner_end(&owner, r);
    return r;
}

int tpm_index_undefine(struct tpm *tpm, const struct entity *index, struct error *error)
{
    ESYS_TR reference = 0;
    int r = reference_present(tpm, index->handle, &reference, error);

    if (r)
        return error->tpm_code == TPM_CODE_NO_HANDLE ? 0 : r;
    r = undefine(tpm, reference, error);
    if (!r)
        return 0; /* tpm2-tss has dropped the reference with the index */
    tpm_reference_close(tpm, &reference);
    return error->tpm_code == TPM_CODE_NO_INDEX ? 0 : r;
}

int tpm_index_use(struct tpm *tpm, const struct entity *index, struct error *error)
{
    TPMS_NV_PUBLIC public;
    ESYS_TR reference = 0;
    int r = tpm_index_parse(index, &public, error) ?: tpm_reference_index(tpm, index, &reference, error);

    if (r)
        return r;
    tpm_reference_close(tpm, &tpm->index);
    tpm->index = reference;
    return 0;
}
