/*
 * The structure of a PE image: its headers, read once and checked, and where its sections lie. The image may be a whole
 * file or lie within one, as the kernel does in a unified kernel image.
 *
 * ERROR_METADATA for what is no PE image, and for images of which firmware might load or hash something else than what
 * is seen here: sections that overlap, or reach past the end; signatures that are not the end.
 */
#pragma once

#include "base/hash.h"

#define PE_MAX_HEADER_BYTES 65536 /* Debian's kernel has 16 KiB */
#define PE_MAX_SECTIONS 256       /* the format's own loader takes 96 */
#define PE_MAX_RANGES (PE_MAX_SECTIONS + 4)
#define PE_SECTION_NAME 8

#define PE_MACHINE_IA32 0x14c
#define PE_MACHINE_X64 0x8664

struct pe_range {
    uint64_t start, size; /* in the file */
};

struct pe_section {
    char name[PE_SECTION_NAME + 1]; /* up to its first NUL */
    uint32_t address, memory_size;  /* VirtualAddress and VirtualSize */
    struct pe_range content;        /* in the file; where memory_size is larger, zeros follow */
};

struct pe_image {
    const char *path;    /* borrowed, for errors */
    int fd;              /* borrowed */
    uint64_t base, size; /* where the image lies in the file */
    uint8_t *headers;    /* its first bytes, at most PE_MAX_HEADER_BYTES; owned */
    size_t headers_read;
    uint16_t machine, major_image_version;
    struct pe_section sections[PE_MAX_SECTIONS]; /* as the headers have them */
    uint16_t section_count;

    /* For the Authenticode hash; offsets in the image. */
    uint64_t checksum, certificate_directory /* 0: none */, certificates_size, headers_size;
    struct pe_range used[PE_MAX_SECTIONS]; /* sections that have bytes in the file, by their place */
    size_t used_count;
};

/* Reads the headers of the image of `size` bytes at `base`. A failed call leaves an image that can be freed. */
int pe_image_parse(int fd, const char *path, uint64_t base, uint64_t size, struct pe_image *ret, struct error *error);

void pe_image_free(struct pe_image *image);

/* What the Authenticode hash covers, in order, as places in the file; the number of them. They ascend unless the
 * sections leave gaps between them: pe_image_has_gaps(). */
size_t pe_image_ranges(const struct pe_image *image, struct pe_range ret[PE_MAX_RANGES]);
bool pe_image_has_gaps(const struct pe_image *image);
