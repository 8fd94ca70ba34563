#include "protect/unlock/cap.h"

#define CAP_EVENT "bootseal cap v1"
#define CAP_EVENT_BYTES (sizeof(CAP_EVENT) - 1)
#define CAP_MOST_TIMES 8 /* the last act, and each net that may repeat it */

int cap_apply(struct tpm *tpm, enum hash_algorithm bank, unsigned pcr, struct pcr_values *ret_before,
              struct error *error)
{
    struct pcr_values before, after;
    int r = tpm_pcr_read(tpm, bank, 1u << pcr, &before, error);

    if (!r)
        r = tpm_pcr_event(tpm, pcr, CAP_EVENT, CAP_EVENT_BYTES, error);
    if (!r)
        r = tpm_pcr_read(tpm, bank, 1u << pcr, &after, error);
    if (r)
        return error_prefix(error, "the cap");
    if (ret_before)
        *ret_before = before;
    r = pcr_extend(&before, pcr, CAP_EVENT, CAP_EVENT_BYTES, error);
    if (!r && pcr_values_differ(&before, &after, 1u << pcr))
        r = error_set(error, ERROR_TPM, "the cap cannot be read back: PCR %u is not what it must be", pcr);
    return r;
}

bool cap_is_on(const struct pcr_values *before, const struct pcr_values *now, unsigned pcr)
{
    struct pcr_values capped = *before;
    struct error error;

    for (int i = 0; i < CAP_MOST_TIMES; i++) {
        if (pcr_extend(&capped, pcr, CAP_EVENT, CAP_EVENT_BYTES, &error))
            return false;
        if (!pcr_values_differ(&capped, now, 1u << pcr))
            return true;
    }
    return false;
}
