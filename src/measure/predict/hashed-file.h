/*
 * A whole file as a boot loader measures it: its hash in the bank, its SHA-256 for the record of boot files, and its
 * first bytes. The file is read once, in pieces, so all is said of the same bytes and memory does not grow with it.
 *
 * A menu of two kernels reads the same files in each of its entries, for each order of the disks: what was hashed is
 * kept as long as path, device, inode, size and times of the file stay. That is no promise about the file; whoever
 * approves a prediction compares the SHA-256 with the record all the same.
 */
#pragma once

#include "base/hash.h"

#define HASHED_FILE_HEAD_BYTES 16 /* enough to know a font or a picture by */
#define HASHED_FILES_MAX 256      /* more are hashed anew each time */

struct hashed_file {
    uint64_t size;
    uint8_t digest[HASH_MAX_BYTES]; /* in the bank: hash_size() bytes */
    struct digest sha256;
    uint8_t head[HASHED_FILE_HEAD_BYTES]; /* zeros behind a shorter file */
};

/* Of one bank. All zero is an empty one. */
struct hashed_files {
    struct hashed_file_entry *items;
    size_t count;
};

void hashed_files_free(struct hashed_files *files);

/* Hashes the regular file at `fd`, opened for reading; `path` is where that was opened. `known` may be NULL. `bytes`,
 * when not NULL, gets the contents, and `max` of them at most. ERROR_FAILED: it cannot be read, is larger than `max`,
 * or was changed meanwhile. */
int hashed_file_read(struct hashed_files *known, int fd, const char *path, enum hash_algorithm bank, uint64_t max,
                     char *bytes, struct hashed_file *ret, struct error *error);
