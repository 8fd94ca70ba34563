/* Checks of the initramfs images that may be booted. */
#include "protect/doctor/doctor.h"

#define REBUILD "run: bootseal doctor --fix, or update-initramfs -u -k all; then reboot and bootseal reseal --current"

#define for_each_image(image_, facts_)                                                                                 \
    for (const struct doctor_image *image_ = (facts_)->images; image_ < (facts_)->images + (facts_)->image_count;      \
         image_++)

static void unreadable(const struct doctor_facts *facts, const struct doctor_check *check,
                       struct doctor_findings *findings)
{
    for_each_image(image, facts) if (doctor_is_enrolled(facts) && image->error.kind != ERROR_NONE)
        doctor_find(findings, check, image->path, REBUILD, "the initramfs cannot be looked at: %s", image->error.text);
}

static void without_program(const struct doctor_facts *facts, const struct doctor_check *check,
                            struct doctor_findings *findings)
{
    for_each_image(image,
                   facts) if (doctor_is_enrolled(facts) && image->error.kind == ERROR_NONE && !image->has_program)
        doctor_find(findings, check, image->path, REBUILD,
                    "the initramfs does not have bootseal: the TPM opens nothing, and stays open to whatever comes "
                    "after");
}

static void old(const struct doctor_facts *facts, const struct doctor_check *check, struct doctor_findings *findings)
{
    for_each_image(image, facts) if (doctor_is_enrolled(facts) && image->error.kind == ERROR_NONE &&
                                     image->has_program && !image->program_is_installed)
        doctor_find(findings, check, image->path, REBUILD,
                    "the initramfs has another bootseal-unlock than the one that is installed");
}

static void pins_differ(const struct doctor_facts *facts, const struct doctor_check *check,
                        struct doctor_findings *findings)
{
    for_each_image(image, facts) if (doctor_is_enrolled(facts) && image->error.kind == ERROR_NONE &&
                                     image->has_program && !image->pins_are_current)
        doctor_find(findings, check, image->path, REBUILD,
                    "the initramfs has other pins than the state folder: it opens other volumes, or none");
}

const struct doctor_check doctor_checks_initramfs[] = {
    { "initramfs-unreadable", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, unreadable },
    { "initramfs-without-bootseal", DOCTOR_FAULT, DOCTOR_REPAIR_INITRAMFS, without_program },
    { "initramfs-old", DOCTOR_WARNING, DOCTOR_REPAIR_INITRAMFS, old },
    { "initramfs-pins-differ", DOCTOR_FAULT, DOCTOR_REPAIR_INITRAMFS, pins_differ },
    { 0 },
};
