#include "base/hash.h"

#include "base/cleanup.h"

#include <openssl/evp.h>
#include <string.h>

static const struct {
    enum hash_algorithm algorithm;
    size_t size;
    const char *name;
    const EVP_MD *(*implementation)(void);
} algorithms[] = {
    { HASH_SHA1, 20, "sha1", EVP_sha1 },
    { HASH_SHA256, 32, "sha256", EVP_sha256 },
    { HASH_SHA384, 48, "sha384", EVP_sha384 },
    { HASH_SHA512, 64, "sha512", EVP_sha512 },
};

size_t hash_size(enum hash_algorithm algorithm)
{
    for (size_t i = 0; i < array_size(algorithms); i++)
        if (algorithms[i].algorithm == algorithm)
            return algorithms[i].size;
    return 0;
}

const char *hash_name(enum hash_algorithm algorithm)
{
    for (size_t i = 0; i < array_size(algorithms); i++)
        if (algorithms[i].algorithm == algorithm)
            return algorithms[i].name;
    return NULL;
}

enum hash_algorithm hash_from_name(const char *name)
{
    for (size_t i = 0; i < array_size(algorithms); i++)
        if (strcmp(algorithms[i].name, name) == 0)
            return algorithms[i].algorithm;
    return 0;
}

static const EVP_MD *implementation_of(enum hash_algorithm algorithm)
{
    for (size_t i = 0; i < array_size(algorithms); i++)
        if (algorithms[i].algorithm == algorithm)
            return algorithms[i].implementation();
    return NULL;
}

struct hash_state {
    enum hash_algorithm algorithm;
    EVP_MD_CTX *context;
};

static int cannot_compute(enum hash_algorithm algorithm, struct error *error)
{
    return error_set(error, ERROR_FAILED, "libcrypto cannot compute %s", hash_name(algorithm));
}

int hash_start(enum hash_algorithm algorithm, struct hash_state **ret, struct error *error)
{
    const EVP_MD *implementation = implementation_of(algorithm);
    cleanup(hash_state_free) struct hash_state *state = NULL;

    *ret = NULL;
    if (!implementation)
        return error_set(error, ERROR_FAILED, "unknown hash algorithm 0x%x", (unsigned)algorithm);
    state = calloc(1, sizeof(*state));
    if (!state)
        return error_no_memory(error);
    state->algorithm = algorithm;
    state->context = EVP_MD_CTX_new();
    if (!state->context)
        return error_no_memory(error);
    if (!EVP_DigestInit_ex(state->context, implementation, NULL))
        return cannot_compute(algorithm, error);
    *ret = take_ptr(state);
    return 0;
}

int hash_add(struct hash_state *state, const void *bytes, size_t size, struct error *error)
{
    return EVP_DigestUpdate(state->context, bytes, size) ? 0 : cannot_compute(state->algorithm, error);
}

int hash_finish(struct hash_state *state, uint8_t *ret, struct error *error)
{
    return EVP_DigestFinal_ex(state->context, ret, NULL) ? 0 : cannot_compute(state->algorithm, error);
}

void hash_state_free(struct hash_state **state)
{
    if (*state)
        EVP_MD_CTX_free((*state)->context);
    free(*state);
    *state = NULL;
}

int hash_compute(enum hash_algorithm algorithm, const struct span *parts, size_t count, uint8_t *ret,
                 struct error *error)
{
    cleanup(hash_state_free) struct hash_state *state = NULL;
    int r = hash_start(algorithm, &state, error);

    for (size_t i = 0; !r && i < count; i++)
        r = hash_add(state, parts[i].bytes, parts[i].size, error);
    return r ?: hash_finish(state, ret, error);
}

int digest_compute(struct digest *ret, const struct span *parts, size_t count, struct error *error)
{
    return hash_compute(HASH_SHA256, parts, count, ret->bytes, error);
}

int object_name_compute(struct object_name *ret, const void *public_area, size_t size, struct error *error)
{
    ret->bytes[0] = HASH_SHA256 >> 8;
    ret->bytes[1] = HASH_SHA256 & 0xff;
    return hash_compute(HASH_SHA256, &(struct span){ public_area, size }, 1, ret->bytes + 2, error);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool object_name_equal(const struct object_name *a, const struct object_name *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}
