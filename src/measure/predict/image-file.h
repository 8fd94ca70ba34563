/*
 * Inner header of boot-image.h: an image that is being predicted, opened, its headers read.
 */
#pragma once

#include "measure/pe-image.h"
#include "measure/predict/boot-file.h"
#include "measure/predict/boot-image.h"
#include "measure/predict/one-pass.h"

enum {
    PCR_BOOT_PROGRAM = 4,
    PCR_KERNEL_STUB = 9,
    PCR_IMAGE = 11,
    PCR_COMMAND_LINE = 12,
    PCR_EXTENSIONS = 13,
};

/* A unified kernel image: uki.c. */
bool image_is_unified(const struct pe_image *image);
int uki_predict(const struct image_start *start, const struct boot_file_handle *file, const struct pe_image *image,
                struct boot_prediction *prediction, struct error *error);

/* Stretches for one_pass_read(), growing. */
struct stretches {
    struct stretch *items;
    size_t count;
};

void stretches_free(struct stretches *stretches);
int stretches_add(struct stretches *stretches, struct stretch stretch, struct error *error);

/* What the Authenticode hash covers, and the headers once more, to be compared. */
int stretches_add_image(struct stretches *stretches, const struct pe_image *image, struct hash_state *state,
                        struct error *error);

/* Ends the hash and adds it as an event. */
int add_hash(struct boot_prediction *prediction, unsigned pcr, struct hash_state *state, struct error *error,
             const char *format, ...) __attribute__((format(printf, 5, 6)));
