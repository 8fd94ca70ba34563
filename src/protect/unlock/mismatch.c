#include "protect/unlock/cap.h"
#include "protect/unlock/unseal.h"

#include <stdio.h>

static void name_pcrs(uint32_t mask, char *ret, size_t size)
{
    size_t length = 0;

    ret[0] = '\0';
    for (unsigned i = 0; i < PCR_COUNT && length < size; i++)
        if (mask & (1u << i)) {
            int n = snprintf(ret + length, size - length, "%sPCR %u (%s)", length ? ", " : "", i, pcr_meaning(i));

            length += n > 0 ? (size_t)n : 0;
        }
}

int unseal_explain_mismatch(struct tpm *tpm, const struct approval *approval, bool *ret_capped, struct error *error)
{
    struct pcr_values now;
    char names[768];
    uint32_t differ;
    bool capped;
    int nearest;
    int r = tpm_pcr_read(tpm, approval->bank, approval->pcrs, &now, error);

    if (ret_capped)
        *ret_capped = false;
    if (r)
        return r;
    differ = approval_mismatch(approval, &now, &nearest);
    if (nearest < 0)
        return error_set(error, ERROR_MISMATCH, "no boot state is approved yet");
    if (!differ)
        return error_set(error, ERROR_METADATA,
                         "the header's list of approved states does not have this boot's values "
                         "as the TPM sees them: the list was changed");
    capped = cap_is_on(&approval->branches[nearest].values, &now, approval->cap);
    if (ret_capped)
        *ret_capped = capped;
    if (capped && differ == 1u << approval->cap) {
        error_set(error, ERROR_MISMATCH, "this boot's time to unseal is over: PCR %u is capped", approval->cap);
        return error_remedy(error, "the boot state counts in the initramfs only; in the running system bootseal "
                                   "unseals with the authority and the PIN");
    }
    name_pcrs(differ, names, sizeof(names));
    error_set(error, ERROR_MISMATCH, "this boot is not the approved one: %s changed", names);
    return error_remedy(
        error, "if you changed it, open the volume with its recovery key or passphrase and run: bootseal reseal "
               "--current; if you did not, do not type any PIN: find out who did");
}
