/*
 * The machine of the recorded boots with grub-mkconfig's configuration, with all its files as they were: those of which
 * the recording has the hash alone are known by that.
 */
#pragma once

#include "measure/predict/grub/grub.h"
#include "scratch-machine.h"

#define GRUB_RECORDED "debian12-grub-mkconfig/"
#define GRUB_KNOWN_FILES 16

struct grub_machine {
    struct scratch_machine scratch;
    char boot[128];
    struct boot_place places[2][3]; /* the disk is hd0, or hd1 */
    struct boot_places orders[2];
    struct grub_known_file files[GRUB_KNOWN_FILES];
    struct digest digests[GRUB_KNOWN_FILES];
    char *paths[GRUB_KNOWN_FILES];
    size_t file_count;
    struct pcr_values recorded;
};

/* "a", "next" or "usbhigh". */
void grub_machine_start(struct grub_machine *machine, const char *name);
void grub_machine_end(struct grub_machine *machine);

/* Sets next_entry, as grub-reboot does. */
void grub_machine_reboot_into(struct grub_machine *machine, const char *entry);

/* From now on the file is read from disk; "boot/…". */
void grub_machine_forget_file(struct grub_machine *machine, const char *path);

/* The first boot of that order and step whose id has this in it. */
const struct predicted_boot *find_boot(const struct prediction *prediction, size_t order, bool chosen, size_t step,
                                       const char *id);

/* Fails unless all PCRs are known, but those that never are, and are what was recorded. */
void assert_recorded(const struct pcr_values *recorded, const struct predicted_boot *boot);

/* The values of a recorded boot. */
void read_recorded(const char *name, struct pcr_values *ret);
