/* Checks of what lies outside encryption. */
#include "protect/doctor/doctor.h"

static void state_unencrypted(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    if (facts->status.state.has_pins && !facts->state_encrypted)
        doctor_find(findings, check, facts->status.state.folder,
                    "move the folder to the encrypted root; then remove the protectors and enroll anew, since who had "
                    "the disk may have the keys",
                    "the state folder is not shown to lie on an encrypted volume: whoever takes the disk gets the "
                    "authority's key and the lockout authorisation");
}

static void boot_unencrypted(const struct doctor_facts *facts, const struct doctor_check *check,
                             struct doctor_findings *findings)
{
    if (!facts->boot_encrypted)
        doctor_find(findings, check, "/boot", "keep the PCRs of kernel and initrd in the policy",
                    "/boot lies outside encryption, as boot loaders want it: what tells a changed kernel or initrd is "
                    "the measured boot alone");
}

static void swap_unencrypted(const struct doctor_facts *facts, const struct doctor_check *check,
                             struct doctor_findings *findings)
{
    for (size_t i = 0; i < facts->swaps.count; i++)
        if (!facts->swaps.items[i].safe)
            doctor_find(findings, check, facts->swaps.items[i].path,
                        "put the swap on an encrypted volume, or give it a key of its own at each boot (crypttab with "
                        "/dev/urandom)",
                        "the swap is not shown to lie on an encrypted volume: what programs hold in memory gets to the "
                        "disk in clear");
}

static void resume_not_pinned(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    for (size_t i = 0; i < facts->resume.count; i++)
        if (!facts->resume.items[i].safe)
            doctor_find(
                findings, check, facts->resume.items[i].path,
                "put the swap on an enrolled volume, or say RESUME=none in "
                "/etc/initramfs-tools/conf.d/resume and run update-initramfs -u",
                "the system would be resumed from a device that is on no enrolled volume: bootseal does not let "
                "that happen, so a hibernated system is lost");
}

static void key_file_unencrypted(const struct doctor_facts *facts, const struct doctor_check *check,
                                 struct doctor_findings *findings)
{
    for (size_t i = 0; i < facts->key_files.count; i++)
        if (!facts->key_files.items[i].safe)
            doctor_find(
                findings, check, facts->key_files.items[i].path,
                "remove the keyslot that it opens, and the file; in crypttab, say none",
                "crypttab names a key file that is not shown to lie on an encrypted volume: it opens its volume "
                "without TPM and PIN");
}

static void key_file_in_initramfs(const struct doctor_facts *facts, const struct doctor_check *check,
                                  struct doctor_findings *findings)
{
    for (size_t i = 0; i < facts->copied.count; i++)
        doctor_find(findings, check, facts->copied.items[i].path,
                    "remove the keyslot that it opens; in crypttab say none, and empty KEYFILE_PATTERN in "
                    "/etc/cryptsetup-initramfs/conf-hook",
                    "the key file is copied into the initramfs, which lies on /boot: it opens its volume without TPM "
                    "and PIN");
}

const struct doctor_check doctor_checks_storage[] = {
    { "state-unencrypted", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, state_unencrypted },
    { "key-file-unencrypted", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, key_file_unencrypted },
    { "key-file-in-initramfs", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, key_file_in_initramfs },
    { "swap-unencrypted", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, swap_unencrypted },
    { "resume-not-pinned", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, resume_not_pinned },
    { "boot-unencrypted", DOCTOR_NOTE, DOCTOR_REPAIR_NONE, boot_unencrypted },
    { 0 },
};
