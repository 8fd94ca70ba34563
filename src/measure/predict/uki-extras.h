/*
 * What systemd's stub picks up beside a unified kernel image: credentials ("<image>.extra.d/<name>.cred" and
 * "/loader/credentials/<name>.cred") and system extensions ("<image>.extra.d/<name>.raw"). Of each kind it makes a
 * small initrd, measures that whole, and puts it behind the image's own.
 */
#pragma once

#include "measure/predict/boot-image.h"

/* What the kernel gets: the image's initrd, and behind it the archives, the first of which starts at a multiple of four
 * bytes. */
struct combined_initrd {
    struct hash_state *state;
    uint64_t size; /* of the image's own */
    size_t archives;
};

/* Appends the events, and the archives to `initrd`. */
int uki_extras_predict(const struct image_start *start, struct combined_initrd *initrd,
                       struct boot_prediction *prediction, struct error *error);

/* An archive with one section of the image, "/.extra/<name>", which is not measured by itself. */
int uki_section_archive(const char *name, const uint8_t *bytes, size_t size, struct combined_initrd *initrd,
                        struct error *error);
