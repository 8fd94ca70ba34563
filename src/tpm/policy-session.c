#include "base/cleanup.h"
#include "tpm/internal.h"

#include <string.h>

#define NO_SESSIONS ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE

static TPM2B_DIGEST sized(const struct digest *digest)
{
    TPM2B_DIGEST sized = { .size = sizeof(digest->bytes) };

    memcpy(sized.buffer, digest->bytes, sizeof(digest->bytes));
    return sized;
}

static void free_digest(TPM2B_DIGEST **digest)
{
    Esys_Free(*digest);
}

int tpm_policy_pcr(const struct tpm_handle *session, enum hash_algorithm bank, uint32_t mask, struct error *error)
{
    const TPM2B_DIGEST as_they_are = { 0 };
    TPML_PCR_SELECTION selection = tpm_selection(bank, mask);

    return TPM_COMMAND(session->tpm, error, PolicyPCR, session->reference, NO_SESSIONS, &as_they_are, &selection);
}

int tpm_policy_or(const struct tpm_handle *session, const struct digest *list, size_t count, struct error *error)
{
    TPML_DIGEST digests = { .count = (UINT32)count };

    if (count < 2 || count > array_size(digests.digests))
        return error_set(error, ERROR_USAGE, "PolicyOR takes two to eight digests, not %zu", count);
    for (size_t i = 0; i < count; i++)
        digests.digests[i] = sized(&list[i]);
    return TPM_COMMAND(session->tpm, error, PolicyOR, session->reference, NO_SESSIONS, &digests);
}

int tpm_policy_cp_hash(const struct tpm_handle *session, const struct digest *cp_hash, struct error *error)
{
    TPM2B_DIGEST digest = sized(cp_hash);

    return TPM_COMMAND(session->tpm, error, PolicyCpHash, session->reference, NO_SESSIONS, &digest);
}

/* The index is read by its own, empty authValue: nothing that a password session could give away. */
int tpm_policy_authorize_nv(const struct tpm_handle *session, struct error *error)
{
    struct tpm *tpm = session->tpm;

    if (!tpm->index)
        return error_set(error, ERROR_FAILED, "PolicyAuthorizeNV needs an approval index");
    return TPM_COMMAND(tpm, error, PolicyAuthorizeNV, tpm->index, tpm->index, session->reference, ESYS_TR_PASSWORD,
                       ESYS_TR_NONE, ESYS_TR_NONE);
}

int tpm_policy_auth_value(const struct tpm_handle *session, struct error *error)
{
    return TPM_COMMAND(session->tpm, error, PolicyAuthValue, session->reference, NO_SESSIONS);
}

int tpm_policy_counter_timer(const struct tpm_handle *session, uint64_t operand, size_t size, uint16_t offset,
                             enum tpm_compare compare, struct error *error)
{
    static const TPM2_EO operations[] = {
        [TPM_COMPARE_EQUAL] = TPM2_EO_EQ,
        [TPM_COMPARE_GREATER] = TPM2_EO_UNSIGNED_GT,
        [TPM_COMPARE_LESS_OR_EQUAL] = TPM2_EO_UNSIGNED_LE,
    };
    TPM2B_OPERAND bytes = { .size = (UINT16)size };

    if ((size != 4 && size != 8) || (unsigned)compare >= array_size(operations))
        return error_set(error, ERROR_USAGE, "PolicyCounterTimer compares 4 or 8 bytes, not %zu", size);
    for (size_t i = 0; i < size; i++)
        bytes.buffer[i] = (BYTE)(operand >> 8 * (size - 1 - i));
    return TPM_COMMAND(session->tpm, error, PolicyCounterTimer, session->reference, NO_SESSIONS, &bytes, offset,
                       operations[compare]);
}

int tpm_policy_digest(const struct tpm_handle *session, struct digest *ret, struct error *error)
{
    cleanup(free_digest) TPM2B_DIGEST *digest = NULL;
    int r = TPM_COMMAND(session->tpm, error, PolicyGetDigest, session->reference, NO_SESSIONS, &digest);

    if (r)
        return r;
    if (digest->size != sizeof(ret->bytes))
        return error_set(error, ERROR_TPM, "the TPM's policy digest has %u bytes", digest->size);
    memcpy(ret->bytes, digest->buffer, sizeof(ret->bytes));
    return 0;
}
