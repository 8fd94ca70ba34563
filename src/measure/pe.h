/*
 * The Authenticode hash of a PE image: what firmware, shim and systemd-boot measure into PCR 4 when they start a
 * program, be it boot loader, kernel or unified kernel image. It leaves out the checksum and the signatures, so that
 * signing an image does not change it ("Windows Authenticode Portable Executable Signature Format", 2008, "Calculating
 * the PE image hash"; TCG PC Client Platform Firmware Profile 1.06, 10.4.2.3).
 *
 * An image is read in pieces: memory does not grow with it.
 */
#pragma once

#include "base/hash.h"

/*
 * Writes hash_size(algorithm) bytes to `ret`.
 *
 * ERROR_METADATA for what is no PE image, and for images of which firmware might hash something else than this:
 * sections that overlap, or reach past the file's end; signatures that are not the file's end. A file that cannot be
 * read, or becomes shorter meanwhile: ERROR_FAILED.
 */
int pe_hash(const char *path, enum hash_algorithm algorithm, uint8_t *ret, struct error *error);
