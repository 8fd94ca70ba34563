/* Checks of what is measured, and of how the machine boots. */
#include "protect/doctor/doctor.h"

#include <stdio.h>

#define PCR_GRUB_COMMANDS 8
#define PCR_INITRD 9                                 /* what GRUB reads; the initrd that the kernel's EFI stub loads */
#define PCR_KERNEL_IMAGE 11                          /* the parts of a unified kernel image, initrd included */
#define MAY_BE_ZERO (1u << 12 | 1u << 13 | 1u << 14) /* zero says that nothing was added, which is worth binding */

/* This boot's values; else those of the first approved boot state; NULL: none are known. */
static const struct pcr_values *known_values(const struct doctor_facts *facts)
{
    const struct approval *approval = &facts->status.state.approval;
    int branch = approval_find_branch(approval, BRANCH_BOOT);

    if (facts->status.boot.error.kind == ERROR_NONE && facts->status.boot.values.mask)
        return &facts->status.boot.values;
    return branch < 0 ? NULL : &approval->branches[branch].values;
}

static bool is_enrolled(const struct doctor_facts *facts)
{
    return facts->status.state.has_approval && facts->status.state.approval.object_count > 0;
}

static void bank_inactive(const struct doctor_facts *facts, const struct doctor_check *check,
                          struct doctor_findings *findings)
{
    const struct approval *approval = &facts->status.state.approval;
    char pcrs[PCR_LIST_TEXT];

    if (!is_enrolled(facts) || facts->status.tpm.error.kind != ERROR_NONE ||
        (facts->active_pcrs & approval->pcrs) == approval->pcrs)
        return;
    pcr_mask_format(approval->pcrs & ~facts->active_pcrs, pcrs);
    doctor_find(findings, check, hash_name(approval->bank),
                "switch the bank on in the firmware's setup, or remove the protectors and enroll with --bank",
                "PCRs %s of the policy are not in the TPM's active bank %s: no boot state can match", pcrs,
                hash_name(approval->bank));
}

static void pcr_not_extended(const struct doctor_facts *facts, const struct doctor_check *check,
                             struct doctor_findings *findings)
{
    const struct approval *approval = &facts->status.state.approval;
    const struct pcr_values *values = known_values(facts);
    uint32_t may_be_zero = MAY_BE_ZERO | 1u << approval->cap;

    for (unsigned i = 0; is_enrolled(facts) && values && i < PCR_COUNT; i++) {
        char subject[8];

        if (!(approval->pcrs & values->mask & ~may_be_zero & (1u << i)) || !pcr_value_is_reset(values, i))
            continue;
        snprintf(subject, sizeof(subject), "PCR %u", i);
        doctor_find(
            findings, check, subject,
            "remove the protectors and enroll with a policy that fits the boot chain, or switch measuring on in "
            "the firmware's setup",
            "nothing extends PCR %u (%s): that it is bound protects nothing", i, pcr_meaning(i));
    }
}

static bool covers(const struct approval *approval, const struct pcr_values *values, unsigned pcr)
{
    return approval->pcrs & values->mask & (1u << pcr) && !pcr_value_is_reset(values, pcr);
}

static void initrd_unmeasured(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    const struct approval *approval = &facts->status.state.approval;
    const struct pcr_values *values = known_values(facts);

    if (!is_enrolled(facts) || !values || covers(approval, values, PCR_INITRD) ||
        covers(approval, values, PCR_KERNEL_IMAGE))
        return;
    doctor_find(findings, check, "",
                "remove the protectors and enroll with the policy of the boot chain: grub, systemd-boot or uki",
                "no PCR that covers the initrd (%u, or %u of a unified kernel image) is bound: whoever writes to the "
                "boot partition can put one there that keeps the PIN",
                PCR_INITRD, PCR_KERNEL_IMAGE);
}

static void secure_boot_off(const struct doctor_facts *facts, const struct doctor_check *check,
                            struct doctor_findings *findings)
{
    if (facts->secure_boot == DOCTOR_NO)
        doctor_find(findings, check, "",
                    "switch it on in the firmware's setup, then approve the new state: bootseal reseal --current",
                    "Secure Boot is off: anybody's boot loader runs, and only the PCRs tell it from yours");
}

static void panic_missing(const struct doctor_facts *facts, const struct doctor_check *check,
                          struct doctor_findings *findings)
{
    if (facts->panic == DOCTOR_NO)
        doctor_find(findings, check, "",
                    "add panic=30 to GRUB_CMDLINE_LINUX in /etc/default/grub, run update-grub, reboot and approve the "
                    "new state: bootseal reseal --current",
                    "the kernel's command line has no panic=: a boot that fails gives whoever stands there a shell of "
                    "root's in the initramfs");
}

const struct doctor_check doctor_checks_boot[] = {
    { "bank-inactive", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, bank_inactive },
    { "pcr-not-extended", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, pcr_not_extended },
    { "initrd-unmeasured", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, initrd_unmeasured },
    { "secure-boot-off", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, secure_boot_off },
    { "panic-missing", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, panic_missing },
    { 0 },
};
