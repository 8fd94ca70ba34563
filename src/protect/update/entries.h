/*
 * Which boot entries the machine may still choose, as far as that can be told without reading the boot loader's
 * configuration: an entry is a state of an installed kernel.
 */
#pragma once

#include "policy/approval.h"

#include <stdbool.h>

#define KERNEL_FOLDER "/boot"

/* The entry of a boot branch: its own, or, of a list from before there were any, the kernel release in its label. ""
 * when neither tells. Borrowed from the branch. */
const char *entry_of_branch(const struct branch *branch);

/* True while FOLDER/vmlinuz-ENTRY is there. `folder` NULL: KERNEL_FOLDER. */
bool entry_is_installed(const char *folder, const char *entry);
