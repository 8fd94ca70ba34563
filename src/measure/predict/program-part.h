/*
 * Parts of a PE image that are read as they stand: its signatures, sections by name. Sizes are capped.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define PROGRAM_SIGNATURES_MAX_BYTES (256 * 1024) /* Microsoft's and a vendor's take some 15 KiB */
#define PROGRAM_SECTION_MAX_BYTES (1024 * 1024)   /* a vendor's dbx in shim has some 10 KiB */

/* Opens a regular file, not through a link, for reading. */
int program_open(const char *path, int *ret, struct error *error);

/* The attribute certificate table ("PE Format"), which the caller frees; NULL when there is none. What is no PE image:
 * ERROR_METADATA. */
int program_certificates(const char *path, uint8_t **ret, size_t *ret_size, struct error *error);

/* A section's contents, which the caller frees; NULL when the image has none of that name. */
int program_section(const char *path, const char *name, uint8_t **ret, size_t *ret_size, struct error *error);
