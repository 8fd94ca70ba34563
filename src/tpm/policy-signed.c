#include "base/cleanup.h"
#include "tpm/internal.h"

#include <string.h>

static void free_nonce(TPM2B_NONCE **nonce)
{
    Esys_Free(*nonce);
}

static int load_authority(struct tpm *tpm, const struct authority_public *public, struct tpm_handle *ret,
                          struct error *error)
{
    uint8_t area[AUTHORITY_AREA_BYTES];
    TPM2B_PUBLIC loadable = { 0 };
    size_t offset = 0;
    ESYS_TR reference;
    int r = tpm_live_reserve(tpm, error);

    if (r)
        return r;
    authority_public_area(public, area);
    if (Tss2_MU_TPMT_PUBLIC_Unmarshal(area, sizeof(area), &offset, &loadable.publicArea))
        return error_set(error, ERROR_METADATA, "the authority's public key is malformed");
    r = TPM_COMMAND(tpm, error, LoadExternal, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, &loadable,
                    ESYS_TR_RH_NULL, &reference);
    if (r)
        return r;
    tpm_live_adopt(tpm, reference, ret);
    return 0;
}

/* The policy digest depends on this Name: one that differs would make a policy that nobody expects. */
static int check_name(const struct tpm_handle *loaded, const struct authority_public *public, struct error *error)
{
    struct object_name expected;
    TPM2B_NAME *name = NULL;
    bool same;
    int r =
        authority_name(public, &expected, error)
            ?: tpm_outcome(Esys_TR_GetName(loaded->tpm->esys, loaded->reference, &name), 0, "Esys_TR_GetName", error);

    if (r)
        return r;
    same = name->size == sizeof(expected.bytes) && memcmp(name->name, expected.bytes, sizeof(expected.bytes)) == 0;
    Esys_Free(name);
    return same ? 0 : error_set(error, ERROR_TPM, "the TPM loads the authority's key under another Name");
}

/* A nonce of another length would let the signed bytes be read as something else (see base/authority.h). */
static int take_nonce(const struct tpm_handle *session, uint8_t ret[32], struct error *error)
{
    cleanup(free_nonce) TPM2B_NONCE *nonce = NULL;
    int r = tpm_outcome(Esys_TRSess_GetNonceTPM(session->tpm->esys, session->reference, &nonce), 0,
                        "Esys_TRSess_GetNonceTPM", error);

    if (r)
        return r;
    if (nonce->size != 32)
        return error_set(error, ERROR_TPM, "the TPM's nonce has %u bytes, not 32", nonce->size);
    memcpy(ret, nonce->buffer, 32);
    return 0;
}

static TPMT_SIGNATURE to_tpm_signature(const struct authority_signature *signature)
{
    TPMT_SIGNATURE ret = { .sigAlg = TPM2_ALG_ECDSA };
    TPMS_SIGNATURE_ECC *ecc = &ret.signature.ecdsa;

    ecc->hash = TPM2_ALG_SHA256;
    ecc->signatureR.size = sizeof(signature->r);
    memcpy(ecc->signatureR.buffer, signature->r, sizeof(signature->r));
    ecc->signatureS.size = sizeof(signature->s);
    memcpy(ecc->signatureS.buffer, signature->s, sizeof(signature->s));
    return ret;
}

static int send_signature(const struct tpm_handle *session, const struct tpm_handle *key,
                          const struct authority_request *request, const struct authority_signature *signature,
                          struct error *error)
{
    struct span policy_ref = authority_policy_ref(request->use);
    TPMT_SIGNATURE tpm_signature = to_tpm_signature(signature);
    TPM2B_NONCE nonce = { .size = sizeof(request->nonce_tpm) }, ref = { .size = (UINT16)policy_ref.size };
    TPM2B_DIGEST cp_hash = { .size = sizeof(request->cp_hash.bytes) };

    memcpy(nonce.buffer, request->nonce_tpm, sizeof(request->nonce_tpm));
    memcpy(cp_hash.buffer, request->cp_hash.bytes, sizeof(request->cp_hash.bytes));
    memcpy(ref.buffer, policy_ref.bytes, policy_ref.size);
    return TPM_COMMAND(session->tpm, error, PolicySigned, key->reference, session->reference, ESYS_TR_NONE,
                       ESYS_TR_NONE, ESYS_TR_NONE, &nonce, &cp_hash, &ref, 0, &tpm_signature, NULL, NULL);
}

int tpm_policy_signed(const struct tpm_handle *session, const struct authority_signer *authority,
                      enum authority_use use, const struct digest *cp_hash, struct error *error)
{
    cleanup(tpm_handle_free) struct tpm_handle key = { 0 };
    struct authority_request request = { .use = use, .cp_hash = *cp_hash };
    struct authority_signature signature;
    int r = load_authority(session->tpm, &authority->public, &key, error) ?:
            check_name(&key, &authority->public, error) ?:
            take_nonce(session, request.nonce_tpm, error) ?:
            authority->sign(authority->context, &request, &signature, error);

    return r ?: send_signature(session, &key, &request, &signature, error);
}
