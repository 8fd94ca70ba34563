/*
 * An EFI program (boot loader, kernel, unified kernel image) as Secure Boot sees it: where it is, what is measured of
 * it, and what verifies it.
 */
#pragma once

#include "measure/signature-list.h"

/* The path of a file that firmware names: below `folder`, with backslashes or slashes, upper and lower case alike as in
 * FAT. The caller frees it. A name with "..", or one that leads nowhere: ERROR_FAILED. */
int program_find(const char *folder, const char *name, char **ret, struct error *error);

/* The Authenticode hash, and the SHA-256 of the file. A file that is changed meanwhile: ERROR_FAILED. */
int program_hash(const char *path, enum hash_algorithm bank, uint8_t *ret, struct digest *ret_sha256,
                 struct error *error);

/*
 * The EFI_SIGNATURE_DATA in `lists` (db, MokListRT, …) by which Secure Boot verifies the program: the first that is a
 * certificate to which a signature's chain leads, or is the program's own SHA-256; shim looks for `hash_first`.
 * Borrowed from `lists`; empty (size 0) when there is none. A program without a signature, or with one that cannot be
 * read, has only its hash.
 */
int program_authority(const char *path, struct span lists, bool hash_first, struct span *ret, struct error *error);

/*
 * Whether `lists` (dbx, MokListX) keep the program from being started: by its hash or by a certificate, as above; where
 * the firmware itself looks, by the hash of a certificate too, whatever the time from which on that is revoked: it
 * would take a signed time stamp to be from before.
 */
int program_is_revoked(const char *path, struct span lists, bool by_firmware, bool *ret, struct error *error);
