#include "base/cleanup.h"
#include "tpm/internal.h"

#include <string.h>

/* So often a selection of more than eight PCRs is read anew because one moved in between. */
#define SNAPSHOT_TRIES 5

static void free_selection(TPML_PCR_SELECTION **selection)
{
    Esys_Free(*selection);
}

static void free_digests(TPML_DIGEST **digests)
{
    Esys_Free(*digests);
}

static void free_digest_values(TPML_DIGEST_VALUES **values)
{
    Esys_Free(*values);
}

TPML_PCR_SELECTION tpm_selection(enum hash_algorithm bank, uint32_t mask)
{
    return (TPML_PCR_SELECTION){
        .count = 1,
        .pcrSelections[0] = {
            .hash = (TPMI_ALG_HASH)bank,
            .sizeofSelect = PCR_COUNT / 8,
            .pcrSelect = { (BYTE)mask, (BYTE)(mask >> 8), (BYTE)(mask >> 16) },
        },
    };
}

uint32_t tpm_selection_mask(const TPML_PCR_SELECTION *selection, enum hash_algorithm bank)
{
    uint32_t mask = 0;

    for (UINT32 i = 0; i < selection->count; i++) {
        const TPMS_PCR_SELECTION *one = &selection->pcrSelections[i];

        if (one->hash == bank)
            for (unsigned j = 0; j < one->sizeofSelect && j < PCR_COUNT / 8; j++)
                mask |= (uint32_t)one->pcrSelect[j] << 8 * j;
    }
    return mask;
}

/* The digests are in ascending order of the PCRs that `got` names. */
static int take_values(struct pcr_values *values, uint32_t got, const TPML_DIGEST *digests, struct error *error)
{
    size_t size = hash_size(values->bank);
    UINT32 i = 0;

    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if (!(got & 1u << pcr))
            continue;
        if (i == digests->count || digests->digests[i].size != size)
            return error_set(error, ERROR_TPM, "the TPM's answer to TPM2_PCR_Read does not fit the question");
        memcpy(values->value[pcr], digests->digests[i++].buffer, size);
        values->mask |= 1u << pcr;
    }
    return 0;
}

/* One command. *ret_got: the PCRs that it brought, at least one unless the bank has none of the mask. */
static int read_some(struct tpm *tpm, uint32_t mask, struct pcr_values *values, uint32_t *ret_got,
                     uint32_t *ret_updates, struct error *error)
{
    cleanup(free_selection) TPML_PCR_SELECTION *out = NULL;
    cleanup(free_digests) TPML_DIGEST *digests = NULL;
    TPML_PCR_SELECTION in = tpm_selection(values->bank, mask);
    int r =
        TPM_COMMAND(tpm, error, PCR_Read, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &in, ret_updates, &out, &digests);

    if (r)
        return r;
    *ret_got = tpm_selection_mask(out, values->bank) & mask;
    return take_values(values, *ret_got, digests, error);
}

/* All of the mask from one moment, else *ret_torn. */
static int read_snapshot(struct tpm *tpm, uint32_t mask, struct pcr_values *values, bool *ret_torn, struct error *error)
{
    uint32_t updates, first_updates = 0, got = mask;

    *ret_torn = false;
    for (uint32_t left = mask; left && got; left &= ~got) {
        int r = read_some(tpm, left, values, &got, &updates, error);

        if (r)
            return r;
        if (left == mask)
            first_updates = updates;
        else if (updates != first_updates)
            *ret_torn = true;
    }
    return 0;
}

int tpm_pcr_read(struct tpm *tpm, enum hash_algorithm bank, uint32_t mask, struct pcr_values *ret, struct error *error)
{
    bool torn = true;

    if (!hash_size(bank) || mask >> PCR_COUNT)
        return error_set(error, ERROR_USAGE, "there is no such PCR bank, or no such PCR");
    for (int i = 0; torn && i < SNAPSHOT_TRIES; i++) {
        int r;

        *ret = (struct pcr_values){ .bank = bank };
        r = read_snapshot(tpm, mask, ret, &torn, error);
        if (r)
            return r;
    }
    if (torn)
        return error_set(error, ERROR_FAILED, "the PCRs keep changing while they are read");
    return 0;
}

int tpm_pcr_event(struct tpm *tpm, unsigned pcr, const void *data, size_t size, struct error *error)
{
    cleanup(free_digest_values) TPML_DIGEST_VALUES *digests = NULL;
    TPM2B_EVENT event = { .size = (UINT16)size };

    if (pcr >= PCR_COUNT || size > sizeof(event.buffer))
        return error_set(error, ERROR_USAGE, "there is no PCR %u, or the event is too long", pcr);
    memcpy(event.buffer, data, size);
    return TPM_COMMAND(tpm, error, PCR_Event, ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &event,
                       &digests);
}
