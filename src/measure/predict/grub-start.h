/*
 * Within src/measure/predict: what GRUB does before it reads its first file. That is in its own image, so an earlier
 * boot's log tells it; only the number of the disk may be another one. Without a log it is what Debian's image does.
 */
#pragma once

#include "measure/predict/boot-place.h"
#include "measure/predict/boot-prediction.h"
#include "measure/predict/predict.h"

struct grub_start {
    char *config; /* the first file: "(hd0,gpt1)/EFI/debian/grub.cfg" */
    char *prefix; /* GRUB's variables then */
    char *cmdpath;
    char *root;
    struct extend_list commands;
};

/* The log, and where in it GRUB starts: its own program, and its first file. */
struct grub_log {
    const struct event_log *log;
    const struct component_list *components;
    size_t program, body;
};

/* How it will be when the disk that GRUB starts from is that of the `place`. ERROR_FAILED: it cannot be known. */
int grub_start_read(const struct grub_log *log, enum hash_algorithm bank, const struct boot_place *place,
                    struct grub_start *ret, struct error *error);

/*
 * The same without a log, for Debian's signed image (grub2 2.06): its own configuration, in a file system inside it,
 * looks for one in the partition's folder EFI/debian. `folder` is the one of GRUB's program, "/EFI/BOOT". That the
 * image is Debian's is not looked at. ERROR_FAILED when it would search other disks.
 */
int grub_start_debian(enum hash_algorithm bank, const struct boot_place *place, const char *folder,
                      struct grub_start *ret, struct error *error);

/* The number of the disk from which GRUB read its first file. */
bool grub_start_disk(const struct grub_log *log, unsigned *ret);

void grub_start_free(struct grub_start *start);
