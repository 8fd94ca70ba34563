/*
 * All memory of one prediction: pieces are never given back one by one, all of them at the end. What a hostile
 * configuration can make of it is limited by the pool's size alone.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

#define POOL_MAX_BYTES ((size_t)128 * 1024 * 1024) /* grub-mkconfig's longest menus need some two */

struct pool {
    struct pool_piece *pieces;
    size_t used;
};

/* Zeroed; NULL when memory is short or the pool's limit is reached: pool_error() says which. */
void *pool_new(struct pool *pool, size_t size);

/* `size` bytes and a NUL. */
char *pool_copy(struct pool *pool, const char *text, size_t size);

char *pool_print(struct pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));

int pool_error(const struct pool *pool, struct error *error);

/* For clang's analyzer, as in error.h. */
#if defined(__clang_analyzer__) && !defined(POOL_IMPLEMENTATION)
#define pool_error(pool, error) (pool_error(pool, error), (int)ERROR_FAILED)
#endif

void pool_free(struct pool *pool);

/* Text that grows, in the pool; always with a NUL behind it once something was put. */
struct pool_text {
    char *bytes;
    size_t size;
    size_t capacity;
};

int pool_text_put(struct pool *pool, struct pool_text *text, const char *bytes, size_t size, struct error *error);
