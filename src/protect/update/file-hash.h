/*
 * The hashes of a file, read once from its first byte to its last.
 */
#pragma once

#include "base/hash.h"

#define MD5_DIGITS 32

struct file_hashes {
    struct digest sha256;
    char md5[MD5_DIGITS + 1]; /* for comparing with what a package's own list has, and for nothing else */
};

/* ERROR_FAILED for what cannot be read; ERROR_REFUSED for a symbolic link, or what is no regular file. */
int file_hashes_read(const char *path, struct file_hashes *ret, struct error *error);
