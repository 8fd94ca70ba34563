/*
 * A file read once from front to back, in pieces, for several purposes at the same time: some stretches of it go into
 * hashes, some are copied, some are compared with what was read of them before. So all that is said of a file is said
 * of the same bytes, even on a disk that answers differently each time, and memory does not grow with it.
 */
#pragma once

#include "base/hash.h"

/* Exactly one of the three pointers. */
struct stretch {
    uint64_t start, size;
    struct hash_state *state; /* the stretches of one state must ascend */
    uint8_t *copy;            /* `size` bytes */
    const uint8_t *expected;  /* `size` bytes; others: the file was changed meanwhile, ERROR_FAILED */
};

/* Reads the file of `size` bytes from its start, and hashes all of it into *ret_sha256. A file of another size by now
 * was changed: ERROR_FAILED. */
int one_pass_read(int fd, const char *path, uint64_t size, const struct stretch *stretches, size_t count,
                  struct digest *ret_sha256, struct error *error);
