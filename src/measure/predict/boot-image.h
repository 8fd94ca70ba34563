/*
 * What a program measures that firmware or systemd-boot starts: a Linux kernel with its EFI stub, or a unified kernel
 * image with systemd's stub. From the start of the image to the moment at which the volume is unlocked:
 *
 * - PCR 4: the image (its Authenticode hash); then, with Secure Boot off, the kernel in a unified image. With Secure
 *   Boot on the stub vouches for that kernel itself, and the firmware neither checks nor measures it.
 * - PCR 11: names and contents of a unified image's sections, then the boot phases that the caller names.
 * - PCR 12: load options that replace a unified image's command line; credentials beside it.
 * - PCR 13: system extensions beside it.
 * - PCR 9: the kernel's own stub: load options and the initrd.
 *
 * Followed are stubs of systemd 252 and kernels 6.1 for x86, Debian 12's; of others the PCRs that may differ are given
 * up.
 *
 * Every file is read once, front to back: what is hashed as the firmware does is what the SHA-256 of its boot_file is
 * about. Memory does not grow with the files.
 */
#pragma once

#include "measure/predict/boot-prediction.h"

/* All of it is borrowed. */
struct image_start {
    enum hash_algorithm bank;
    const char *folder;        /* where the image's file system is mounted, without a slash at the end */
    const char *path;          /* of the image in it, "/EFI/Linux/debian.efi", at present */
    const char *name_at_start; /* the image's file name when it is started, where boot counting changes it; else NULL */
    struct span options;       /* LoadOptions: the bytes as the firmware passes them on (EDK2 does not pass on the
                                  GUID 8108ac4e-9f11-4d59-850e-e21a522c59b2, which marks entries of its own); or none */
    bool own_options;          /* systemd-boot: a unified image's own command line is measured (PCR 12) and handed over
                                  as its LoadOptions; `options` is empty then */
    const char *const *initrds; /* that the loader hands over, paths in the folder */
    size_t initrd_count;
    bool secure_boot;
    bool through_shim;         /* a boot loader that shim has started starts it */
    const char *const *phases; /* what systemd's pcrphase has measured into PCR 11 by the time of the unlocking:
                                  "enter-initrd" where the initrd is systemd's and has it; none for initramfs-tools */
    size_t phase_count;
};

/* Appends to *prediction. An error: the machine let us down (short memory, a file that cannot be read or was changed
 * meanwhile). An image that is none, or hostile: PCRs given up. */
int boot_image_predict(const struct image_start *start, struct boot_prediction *prediction, struct error *error);
