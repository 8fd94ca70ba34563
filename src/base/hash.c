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

static void free_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

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

int hash_compute(enum hash_algorithm algorithm, const struct span *parts, size_t count, uint8_t *ret,
                 struct error *error)
{
    cleanup(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *implementation = implementation_of(algorithm);
    int good;

    if (!implementation)
        return error_set(error, ERROR_FAILED, "unknown hash algorithm 0x%x", (unsigned)algorithm);
    if (!context)
        return error_no_memory(error);
    good = EVP_DigestInit_ex(context, implementation, NULL);
    for (size_t i = 0; good && i < count; i++)
        good = EVP_DigestUpdate(context, parts[i].bytes, parts[i].size);
    if (!good || !EVP_DigestFinal_ex(context, ret, NULL))
        return error_set(error, ERROR_FAILED, "libcrypto cannot compute %s", hash_name(algorithm));
    return 0;
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
