/*
 * A boot partition made up by a test, in a folder of its own, and PE images for it. A failure is a failed assertion.
 */
#pragma once

#include "measure/predict/boot-prediction.h"

/* Makes the folder; scratch_free() removes it with all that is in it. */
char *scratch_new(void);
void scratch_free(char **folder);

/* Writes FOLDER/PATH and the folders on the way. */
void scratch_write(const char *folder, const char *path, const void *bytes, size_t size);
void scratch_write_text(const char *folder, const char *path, const char *text);

/* A PE image of a kind that firmware starts, section after section. */
#define MADE_MAX (64 * 1024)
struct made_image {
    uint8_t bytes[MADE_MAX];
    size_t size;
    unsigned sections;
    uint32_t next_address;
};

void made_start(struct made_image *ret);
void made_put(struct made_image *made, size_t place, uint64_t number, size_t size);

/* The place of the section's header: VirtualSize at + 8, VirtualAddress at + 12, size and place in the file behind. */
size_t made_add(struct made_image *made, const char *name, const void *bytes, size_t size);

/* A kernel of that version, "6.1.0-50-amd64 …". */
void made_kernel(struct made_image *ret, const char *version);

/* A unified kernel image of it, without its other sections. */
#define MADE_STUB "#### LoaderInfo: systemd-stub 252.39-1~deb12u2 ####"
#define MADE_LOADER "#### LoaderInfo: systemd-boot 252.39-1~deb12u2 ####"
void made_unified(struct made_image *ret, const char *stub, const struct made_image *kernel);

/* Writes it, and gives its Authenticode hash when `ret` is not NULL. */
void made_write(const struct made_image *made, const char *folder, const char *path, uint8_t *ret);

/* The events must be these, SHA-256, those of each PCR in their order. */
struct wanted {
    unsigned pcr;
    struct digest digest;
};
void assert_events(const struct boot_prediction *prediction, const struct wanted *wanted, size_t count);

struct wanted wanted_text(unsigned pcr, const char *text); /* with its NUL */
struct wanted wanted_bytes(unsigned pcr, const void *bytes, size_t size);
struct wanted wanted_wide(unsigned pcr, const char *text); /* ASCII, as UTF-16 with its zero */
