/*
 * GRUB's environment block, grubenv: written by GRUB itself while it boots, by grub-reboot and by grub-set-default, so
 * that no record can have its hash. It may say which menu entry is chosen, and nothing else: GRUB takes every variable
 * from it, and others than these change how grub.cfg is carried out.
 */
#pragma once

#include "base/hash.h"

/* ERROR_REFUSED unless the file is such a block, with this SHA-256, and says nothing else. */
int grub_environment_check(const char *path, const struct digest *sha256, struct error *error);
