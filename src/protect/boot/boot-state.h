/*
 * The boot state that counts: the PCRs as they were when the initramfs unlocked, not as they are later. Taken from what
 * bootseal-unlock recorded in this boot; only when told so, and only if the cap is not on, from the PCRs as they are
 * now.
 */
#pragma once

#include "protect/unlock/report.h"
#include "tpm/tpm.h"

struct boot_state_request {
    const char *report_path;
    enum hash_algorithm bank;
    uint32_t pcrs;
    unsigned cap;
    bool current_values; /* told so: take the PCRs as they are now when there is no report */
};

/*
 * *ret has the PCRs of the request and, if they are known, 0 to 15. Recorded values must agree with the TPM's: equal,
 * but for the cap PCR, which must be the recorded value capped, and PCR 11, into which systemd extends its phases after
 * the initramfs. Where they do not: ERROR_MISMATCH, naming the PCR. No report and not told: ERROR_REFUSED.
 */
int boot_state_read(struct tpm *tpm, const struct boot_state_request *request, struct pcr_values *ret,
                    struct error *error);

/* True when PCR 11 of `after` follows from that of `before` by some of systemd's boot phases, in their order; or by none
 * of them. */
bool boot_state_phases_follow(const struct pcr_values *before, const struct pcr_values *after);
