/*
 * The record of boot files: the SHA-256 of each file that this system wrote or verified itself, at the moment when it
 * did. A boot partition is anybody's to write while the machine is off, so a prediction may rest on a file only if it
 * still is the one on record; what changed from outside is never approved.
 *
 * In the state folder, which lies on the encrypted root, as boot-files.json:
 *
 *   { "version": 1, "files": [ { "path": "/boot/initrd.img-6.1.0-50-amd64", "sha256": "hex",
 *     "source": "written by update-initramfs", "date": "2026-11-22T08:00:00Z" } ] }
 *
 * How a file comes to be known is told by file-rules.h, or by a caller who has verified it in another way: an update
 * whose signature was checked, a person.
 */
#pragma once

#include "luks/token.h"
#include "measure/predict/extend-list.h"
#include "protect/state.h"

#define KNOWN_FILES_MAX 1024
#define KNOWN_FILE_PATH_MAX 511 /* with KNOWN_FILES_MAX, below what json_read() takes */
#define KNOWN_FILE_SOURCE_MAX 127

struct known_file {
    char path[KNOWN_FILE_PATH_MAX + 1];
    struct digest sha256;
    char source[KNOWN_FILE_SOURCE_MAX + 1]; /* who says so, for people: "package linux-image-6.1.0-50-amd64" */
    char date[TOKEN_TIME_TEXT];
};

/* All zero is an empty record. */
struct known_files {
    struct known_file *items;
    size_t count;
};

/* A missing record is an empty one; a damaged one is ERROR_METADATA. */
int known_files_read(const struct state *state, struct known_files *ret, struct error *error);
void known_files_free(struct known_files *files);

/* `state` is open for changing. */
int known_files_write(const struct state *state, const struct known_files *files, struct error *error);

/* NULL when the path is not on record. */
const struct known_file *known_files_find(const struct known_files *files, const char *path);

/* True when the path is on record with this very hash. */
bool known_files_has(const struct known_files *files, const char *path, const struct digest *sha256);

/* Adds or replaces. The date is now. ERROR_REFUSED for a path that is too long or not absolute, or one too many. */
int known_files_set(struct known_files *files, const char *path, const struct digest *sha256, const char *source,
                    struct error *error);

/* Forgets what is no longer there; returns how many. `root` goes before each path, "" outside of tests. */
size_t known_files_forget_missing(struct known_files *files, const char *root);

/* ERROR_REFUSED unless every file that the list rests on is on record with the hash of the bytes that were read for it.
 * The error names the file, both hashes and what to do. */
int known_files_check(const struct known_files *files, const struct extend_list *list, struct error *error);
