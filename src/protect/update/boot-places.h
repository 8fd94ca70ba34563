/*
 * The file systems that a boot loader reads, as they are mounted now: every one that lies straight on a partition of
 * the boot disk. That is the disk of the EFI system partition, else of /boot. What lies elsewhere (inside LUKS or LVM,
 * on a second disk, on a btrfs) is left out: a boot loader's way there is not followed, and the prediction says so.
 */
#pragma once

#include "base/error.h"
#include "measure/predict/boot-place.h"

/* Automounts of /boot, /efi and /boot/efi are woken first. The boot disk has number 0. `ret_esp`: the folder of the EFI
 * system partition, borrowed from *ret; NULL when none is mounted. No place at all is no error. */
int boot_places_read(struct boot_places *ret, const char **ret_esp, struct error *error);

void boot_places_free(struct boot_places *places);
