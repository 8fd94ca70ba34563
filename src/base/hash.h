/*
 * Hashes in the TPM's terms: algorithm identifiers of the TCG Algorithm Registry, SHA-256 digests, object Names.
 * Everything bootseal itself defines is SHA-256; the other algorithms exist for PCR banks only.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hash_algorithm { /* TCG Algorithm Registry, table 3 */
                      HASH_SHA1 = 0x0004,
                      HASH_SHA256 = 0x000b,
                      HASH_SHA384 = 0x000c,
                      HASH_SHA512 = 0x000d,
};

#define HASH_MAX_BYTES 64
#define DIGEST_BYTES 32 /* SHA-256 */
#define NAME_BYTES 34   /* big-endian TPM2_ALG_SHA256, then SHA-256 of the public area (TPM 2.0 Part 1, 16) */

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

struct object_name {
    uint8_t bytes[NAME_BYTES];
};

struct span {
    const void *bytes;
    size_t size;
};

/* Bytes in a digest of the algorithm; 0 for an unknown one. */
size_t hash_size(enum hash_algorithm algorithm);

/* "sha256" and so on; NULL for an unknown one. */
const char *hash_name(enum hash_algorithm algorithm);

/* The algorithm of that name; 0 when there is none. */
enum hash_algorithm hash_from_name(const char *name);

/* Hashes the parts one after the other into `ret`, hash_size() bytes. */
int hash_compute(enum hash_algorithm algorithm, const struct span *parts, size_t count, uint8_t *ret,
                 struct error *error);

/* The same piece by piece, for what is too large to be had at once: start, any number of adds, one finish. */
struct hash_state;
int hash_start(enum hash_algorithm algorithm, struct hash_state **ret, struct error *error);
int hash_add(struct hash_state *state, const void *bytes, size_t size, struct error *error);
int hash_finish(struct hash_state *state, uint8_t *ret, struct error *error);
void hash_state_free(struct hash_state **state);

/* SHA-256 over the parts. */
int digest_compute(struct digest *ret, const struct span *parts, size_t count, struct error *error);

/* The Name of a public area or NV public area as it is marshalled, without its TPM2B size. */
int object_name_compute(struct object_name *ret, const void *public_area, size_t size, struct error *error);

bool digest_equal(const struct digest *a, const struct digest *b);
bool object_name_equal(const struct object_name *a, const struct object_name *b);
