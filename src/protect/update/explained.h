/*
 * Whether recorded updates account for a boot that is not approved: each component that changed since the last good
 * boot is a file that this system has written or verified itself, and the running boot has measured that very file.
 *
 * Told so far of files that are measured as they are (initrds, kernels and configuration that GRUB reads: PCR 9) and of
 * EFI programs (PCR 4). What is measured as text, GRUB's commands and command lines, may have been typed by a person at
 * the boot loader's menu: no file accounts for it.
 */
#pragma once

#include "protect/update/boot-changes.h"
#include "protect/update/known-files.h"

/*
 * True when all of the policy's PCRs that differ are accounted for, the event log gives the values that the initramfs
 * recorded, and PCR 7 is as it was. Else ret_why, one line for people, says what is not.
 */
#define EXPLAINED_WHY_TEXT 256
bool boot_changes_are_explained(const struct boot_changes *changes, const struct known_files *files,
                                char ret_why[EXPLAINED_WHY_TEXT]);
