#include "protect/boot/boot-state.h"

#include "base/file.h"
#include "protect/unlock/cap.h"

#include <string.h>

#define KNOWN_PCRS 0xffffu
#define PCR_BOOT_PHASES 11

/* systemd-pcrphase(8), in the order of a boot. */
static const char *const phases[] = {
    "enter-initrd", "leave-initrd", "sysinit", "ready", "shutdown", "final",
};

/* True when `now` follows from `recorded` by some of systemd's phases, in their order. */
static bool phases_explain(const struct pcr_values *recorded, const struct pcr_values *now, size_t next_phase)
{
    struct error error;

    if (!pcr_values_differ(recorded, now, 1u << PCR_BOOT_PHASES))
        return true;
    for (size_t i = next_phase; i < sizeof(phases) / sizeof(phases[0]); i++) {
        struct pcr_values extended = *recorded;

        if (pcr_extend(&extended, PCR_BOOT_PHASES, phases[i], strlen(phases[i]), &error))
            return false;
        if (phases_explain(&extended, now, i + 1))
            return true;
    }
    return false;
}

bool boot_state_phases_follow(const struct pcr_values *before, const struct pcr_values *after)
{
    return phases_explain(before, after, 0);
}

static bool agrees(const struct pcr_values *recorded, const struct pcr_values *now, unsigned pcr, unsigned cap)
{
    if (!pcr_values_differ(recorded, now, 1u << pcr))
        return true;
    if (pcr == cap)
        return cap_is_on(recorded, now, cap);
    return pcr == PCR_BOOT_PHASES && boot_state_phases_follow(recorded, now);
}

static int take_recorded(const struct boot_state_request *request, const struct pcr_values *now, struct pcr_values *ret,
                         struct error *error)
{
    struct report report;
    int r = report_read_values(request->report_path, &report, error);

    if (r)
        return r;
    if (report.values.bank != request->bank || (report.values.mask & request->pcrs) != request->pcrs)
        return error_set(error, ERROR_REFUSED, "\"%s\" does not have the PCRs of this policy", request->report_path);
    for (unsigned i = 0; i < PCR_COUNT; i++)
        if (request->pcrs & (1u << i) && !agrees(&report.values, now, i, request->cap)) {
            error_set(error, ERROR_MISMATCH,
                      "PCR %u is not what the initramfs recorded in this boot: something "
                      "extended it since",
                      i);
            return error_remedy(error, "reboot, and leave that PCR out of the policy if it happens again");
        }
    *ret = report.values;
    return 0;
}

static int take_current(const struct boot_state_request *request, const struct pcr_values *now, struct pcr_values *ret,
                        struct error *error)
{
    struct pcr_values reset = { .bank = request->bank, .mask = now->mask };

    if (!request->current_values) {
        error_set(error, ERROR_REFUSED, "the initramfs of this boot recorded no PCR values in \"%s\"",
                  request->report_path);
        return error_remedy(error, "reboot with bootseal in the initramfs (update-initramfs -u), or use "
                                   "--current-values if nothing extends these PCRs after the initramfs");
    }
    if (cap_is_on(&reset, now, request->cap)) {
        error_set(error, ERROR_REFUSED, "PCR %u is capped: its value now is never an initramfs's", request->cap);
        return error_remedy(error, "reboot with bootseal in the initramfs");
    }
    *ret = *now;
    return 0;
}

int boot_state_read(struct tpm *tpm, const struct boot_state_request *request, struct pcr_values *ret,
                    struct error *error)
{
    struct pcr_values now;
    int r = tpm_pcr_read(tpm, request->bank, request->pcrs | KNOWN_PCRS, &now, error);

    if (r)
        return r;
    if ((now.mask & request->pcrs) != request->pcrs) {
        error_set(error, ERROR_REFUSED, "the TPM's PCR bank %s is not active", hash_name(request->bank));
        return error_remedy(error, "choose an active bank with --bank, or switch it on in the firmware's setup");
    }
    return file_exists(request->report_path) ? take_recorded(request, &now, ret, error)
                                             : take_current(request, &now, ret, error);
}
