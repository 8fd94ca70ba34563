/*
 * The sections of a unified kernel image, as systemd's stub finds and measures them.
 */
#pragma once

#include "measure/pe-image.h"

#define UKI_STUB_MAX 128 /* "#### LoaderInfo: systemd-stub 252.39-1~deb12u2 ####" */
#define UKI_STUB_VERSION 252
#define UKI_SMALL_SECTION (1024 * 1024) /* of those that are kept in memory */
#define UKI_MAX_ZEROS (64 * 1024)       /* behind a section's bytes in the file */

enum uki_section { /* in the order in which they are measured */
                   UKI_LINUX,
                   UKI_OS_RELEASE,
                   UKI_COMMAND_LINE,
                   UKI_INITRD,
                   UKI_SPLASH,
                   UKI_DEVICE_TREE,
                   UKI_SIGNATURE, /* never measured: it signs the values */
                   UKI_PUBLIC_KEY,
                   UKI_SECTION_COUNT,
};

const char *uki_section_name(enum uki_section section);

struct uki_layout {
    const struct pe_section *sections[UKI_SECTION_COUNT]; /* NULL: there is none */
    const struct pe_section *magic;
    char stub[UKI_STUB_MAX]; /* the text of .sdmagic, as read */
};

/* The bytes that a section has in memory and in the file. */
uint64_t uki_section_bytes(const struct pe_section *section);

/* Finds them. Where the stub is of another version, or might find or see something else than this function, that is
 * said in *ret_reason (owned), which is NULL else. */
int uki_layout_read(const struct pe_image *image, struct uki_layout *ret, char **ret_reason, struct error *error);

/* The text between "systemd-NAME " and " ####" of a .sdmagic section; false when it is not that. */
bool systemd_magic_version(const char *magic, const char *name, char *ret, size_t size);
