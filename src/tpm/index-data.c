/* What the approval index holds: written under the authority's signature, read so that the answer can be believed. */
#include "base/cleanup.h"
#include "tpm/approval-index.h"
#include "tpm/internal.h"

#include <string.h>

/* A reference to the index, dropped at the end of the block. */
struct index_reference {
    struct tpm *tpm;
    ESYS_TR reference;
};

static void close_reference(struct index_reference *index)
{
    if (index->tpm)
        tpm_reference_close(index->tpm, &index->reference);
}

static void free_buffer(TPM2B_MAX_NV_BUFFER **buffer)
{
    Esys_Free(*buffer);
}

static TPM2B_MAX_NV_BUFFER to_data(const struct digest *approved)
{
    TPM2B_MAX_NV_BUFFER data = { .size = TPM_INDEX_BYTES, .buffer = { TPM2_ALG_SHA256 >> 8, TPM2_ALG_SHA256 & 0xff } };

    memcpy(data.buffer + 2, approved->bytes, sizeof(approved->bytes));
    return data;
}

/* cpHash (TPM 2.0 Part 1, 16.7) of the one NV_Write: command code, Names of authHandle and nvIndex, data, offset 0. */
static int write_cp_hash(const struct object_name *index, const TPM2B_MAX_NV_BUFFER *data, struct digest *ret,
                         struct error *error)
{
    static const uint8_t command[] = { TPM2_CC_NV_Write >> 24, TPM2_CC_NV_Write >> 16 & 0xff,
                                       TPM2_CC_NV_Write >> 8 & 0xff, TPM2_CC_NV_Write & 0xff };
    const uint8_t size[] = { (uint8_t)(data->size >> 8), (uint8_t)data->size };
    static const uint8_t offset[2] = { 0 };
    const struct span parts[] = {
        { command, sizeof(command) }, { index->bytes, sizeof(index->bytes) }, { index->bytes, sizeof(index->bytes) },
        { size, sizeof(size) },       { data->buffer, data->size },           { offset, sizeof(offset) },
    };

    return digest_compute(ret, parts, array_size(parts), error);
}

/* The index with the Name that it has at this moment. */
static int find_present(struct tpm *tpm, const struct entity *index, struct entity *ret, struct error *error)
{
    enum tpm_index_condition condition;
    int r = tpm_index_probe(tpm, index, &condition, error);

    if (r)
        return r;
    switch (condition) {
    case TPM_INDEX_WRITTEN:
        *ret = *index;
        return 0;
    case TPM_INDEX_UNWRITTEN:
        return tpm_index_unwritten(index, ret, error);
    case TPM_INDEX_ABSENT:
        error_set(error, ERROR_TPM, "the TPM has no approval index");
        return error_remedy(error, "run: bootseal reseal --current, which puts it back");
    default:
        error_set(error, ERROR_TPM, "something that is not bootseal's is at the approval index's handle 0x%08x",
                  index->handle);
        return error_remedy(error, "run: bootseal reseal --current, which replaces it");
    }
}

int tpm_index_write(struct tpm *tpm, const struct entity *index, const struct digest *approved,
                    const struct authority_signer *authority, struct error *error)
{
    cleanup(close_reference) struct index_reference present = { .tpm = tpm };
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    TPM2B_MAX_NV_BUFFER data = to_data(approved);
    struct digest cp_hash;
    struct entity now;
    int r = find_present(tpm, index, &now, error) ?:
            tpm_reference_index(tpm, &now, &present.reference, error) ?:
            write_cp_hash(&now.name, &data, &cp_hash, error) ?:
            tpm_session_start(tpm, TPM_SESSION_POLICY, &session, error) ?:
            tpm_policy_signed(&session, authority, AUTHORITY_APPROVE, &cp_hash, error) ?:
            tpm_session_set_attributes(&session, 0, error);

    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, NV_Write, present.reference, present.reference, session.reference, ESYS_TR_NONE,
                    ESYS_TR_NONE, &data, 0);
    if (!r)
        tpm_live_forget(&session);
    return r;
}

/* The session key authenticates the answer, the Name in the command that it is this index which answers. */
int tpm_index_read(struct tpm *tpm, const struct entity *index, struct digest *ret, struct error *error)
{
    cleanup(close_reference) struct index_reference reference = { .tpm = tpm };
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    cleanup(free_buffer) TPM2B_MAX_NV_BUFFER *data = NULL;
    TPMS_NV_PUBLIC public;
    int r = tpm_index_parse(index, &public, error) ?:
            tpm_reference_index(tpm, index, &reference.reference, error) ?:
            tpm_session_start_hmac(tpm, TPMA_SESSION_ENCRYPT, &session, error);

    if (r)
        return r;
    r = TPM_COMMAND(tpm, error, NV_Read, reference.reference, reference.reference, session.reference, ESYS_TR_NONE,
                    ESYS_TR_NONE, TPM_INDEX_BYTES, 0, &data);
    if (r)
        return r;
    tpm_live_forget(&session);
    if (data->size != TPM_INDEX_BYTES || data->buffer[0] != TPM2_ALG_SHA256 >> 8 ||
        data->buffer[1] != (TPM2_ALG_SHA256 & 0xff))
        return error_set(error, ERROR_TPM, "the approval index holds no SHA-256 digest");
    memcpy(ret->bytes, data->buffer + 2, sizeof(ret->bytes));
    return 0;
}
