/*
 * The one type for PINs, keys and unsealed data: its own pages, locked into memory, left out of core dumps and of
 * forked children, wiped when freed. It is never grown: say at the start how much it may hold. A struct secret that is
 * all zero is empty and may be freed.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secret {
    uint8_t *bytes;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes that fit */
};

/* Allocates room for `capacity` bytes, size 0. Fails with ERROR_FAILED when memory is short. */
int secret_new(struct secret *ret, size_t capacity, struct error *error);

/* A new secret that holds a copy of `size` bytes. */
int secret_copy(struct secret *ret, const void *bytes, size_t size, struct error *error);

/* A new secret of `size` random bytes from the kernel. */
int secret_random(struct secret *ret, size_t size, struct error *error);

/* Reads `fd` with read(2) until its end, at most `max` bytes; more is ERROR_USAGE. `what` names it in the error. */
int secret_read(struct secret *ret, int fd, size_t max, const char *what, struct error *error);

/* Cuts one trailing newline, as files and FIFOs have it. */
void secret_chomp(struct secret *secret);

/* Constant time in the contents; secrets of different size differ. */
bool secret_equal(const struct secret *a, const struct secret *b);

/* Wipes and frees; the struct is empty afterwards. */
void secret_free(struct secret *secret);

/* Hands over: returns the secret and leaves an empty one behind. */
struct secret secret_take(struct secret *secret);

/*
 * From now on libcrypto wipes all memory that it frees: by itself it leaves there what it has read a key from. For a
 * program, before anything has used libcrypto; false after that, with nothing changed.
 */
bool secret_wipe_libcrypto(void);

/* True once a secret could not be locked into memory (RLIMIT_MEMLOCK): survived, and worth a word with --verbose. */
bool secret_lock_failed(void);
