/* Checks of what will boot next. */
#include "protect/doctor/doctor.h"
#include "protect/update/machine-chain.h"

#include <stdio.h>

static void chain_not_covered(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    const struct approval *approval = &facts->status.state.approval;
    uint32_t missing = machine_chain_pcrs(facts->chain) & ~approval->pcrs;
    char pcrs[PCR_LIST_TEXT], remedy[160];

    if (!facts->status.state.has_approval || approval->object_count == 0 || !missing)
        return;
    pcr_mask_format(missing, pcrs);
    snprintf(remedy, sizeof(remedy),
             "remove the protectors and enroll with the preset for this way of booting: --policy %s",
             machine_chain_preset(facts->chain));
    doctor_find(findings, check, boot_chain_name(facts->chain), remedy,
                "this machine boots by %s, and the policy does not bind PCR %s: kernel, initrd or command line may be "
                "others without anybody noticing",
                boot_chain_words(facts->chain), pcrs);
}

static void boot_file_changed(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    for (size_t i = 0; i < facts->changed_count; i++) {
        const struct doctor_boot_file *file = &facts->changed[i];

        doctor_find(findings, check, file->path,
                    file->error.remedy[0] ? file->error.remedy
                                          : "restore it from its package and find out who changed it",
                    "%s", file->error.text);
    }
}

static void next_boot_not_approved(const struct doctor_facts *facts, const struct doctor_check *check,
                                   struct doctor_findings *findings)
{
    const struct error *error = &facts->next.error;

    if (facts->next.predicted && error->kind != ERROR_NONE && !status_is_suspended(&facts->status))
        doctor_find(findings, check, "",
                    error->remedy[0] ? error->remedy : "have the recovery key at hand for the next boot", "%s",
                    error->text);
}

static void suspended(const struct doctor_facts *facts, const struct doctor_check *check,
                      struct doctor_findings *findings)
{
    const struct status *status = &facts->status;
    unsigned left = suspension_reboots_left(&status->suspension, &status->now);

    if (status_is_suspended(status))
        doctor_find(findings, check, suspend_purpose_name(status->suspension.purpose),
                    "when the work is done, run: bootseal resume",
                    "bootseal is suspended: %u more %s open the volumes whatever %s measured", left,
                    left == 1 ? "boot may" : "boots may", left == 1 ? "it has" : "they have");
}

static void pcr_unpredictable(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    for (unsigned i = 0; facts->next.predicted && i < PCR_COUNT; i++) {
        char subject[8];

        if (!(facts->next.unpredictable & (1u << i)))
            continue;
        snprintf(subject, sizeof(subject), "PCR %u", i);
        doctor_find(findings, check, subject,
                    "bootseal predict --verify says more; have the recovery key at hand after an update, and run then: "
                    "bootseal reseal --current",
                    "what PCR %u will be after an update cannot be predicted on this machine: %s", i,
                    facts->next.why[i]);
    }
}

const struct doctor_check doctor_checks_next_boot[] = {
    { "chain-not-covered", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, chain_not_covered },
    { "boot-file-changed", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, boot_file_changed },
    { "next-boot-not-approved", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, next_boot_not_approved },
    { "bootseal-suspended", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, suspended },
    { "pcr-unpredictable", DOCTOR_NOTE, DOCTOR_REPAIR_NONE, pcr_unpredictable },
    { 0 },
};
