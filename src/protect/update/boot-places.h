/*
 * The file systems that a boot loader reads, as they are mounted now: every one that lies straight on a partition of
 * the boot disk. That is the disk of the EFI system partition, else of /boot. What lies elsewhere (inside LUKS or LVM,
 * on a second disk, on a btrfs) is left out: a boot loader's way there is not followed, and the prediction says so.
 */
#pragma once

#include "base/error.h"
#include "measure/predict/boot-place.h"

/* Automounts of /boot, /efi and /boot/efi are woken first. The boot disk gets number `disk`. None at all is no error. */
int boot_places_read(unsigned disk, struct boot_places *ret, struct error *error);

/* The same file systems, if the firmware counts the boot disk as this number: the order with a disk more or less. */
void boot_places_renumber(struct boot_places *places, unsigned disk);

void boot_places_free(struct boot_places *places);
