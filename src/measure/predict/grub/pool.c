#define POOL_IMPLEMENTATION
#include "measure/predict/grub/pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool_piece {
    struct pool_piece *next;
    max_align_t bytes[];
};

void *pool_new(struct pool *pool, size_t size)
{
    struct pool_piece *piece;
    size_t whole;

    if (__builtin_add_overflow(size, sizeof *piece, &whole) || whole > POOL_MAX_BYTES - pool->used)
        return NULL;
    piece = calloc(1, whole);
    if (!piece)
        return NULL;
    piece->next = pool->pieces;
    pool->pieces = piece;
    pool->used += whole;
    return piece->bytes;
}

char *pool_copy(struct pool *pool, const char *text, size_t size)
{
    char *copy = pool_new(pool, size + 1);

    if (copy && size > 0)
        memcpy(copy, text, size);
    return copy;
}

char *pool_print(struct pool *pool, const char *format, ...)
{
    va_list arguments, again;
    char *text;
    int size;

    va_start(arguments, format);
    va_copy(again, arguments);
    size = vsnprintf(NULL, 0, format, arguments);
    text = size < 0 ? NULL : pool_new(pool, (size_t)size + 1);
    if (text)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

int pool_error(const struct pool *pool, struct error *error)
{
    if (pool->used < POOL_MAX_BYTES / 2)
        return error_no_memory(error);
    return error_set(error, ERROR_FAILED, "GRUB's configuration cannot be followed: it takes more than %zu MiB",
                     POOL_MAX_BYTES / (1024 * 1024));
}

void pool_free(struct pool *pool)
{
    while (pool->pieces) {
        struct pool_piece *piece = pool->pieces;

        pool->pieces = piece->next;
        free(piece);
    }
    *pool = (struct pool){ 0 };
}

int pool_text_put(struct pool *pool, struct pool_text *text, const char *bytes, size_t size, struct error *error)
{
    if (size >= text->capacity - text->size || !text->bytes) {
        size_t capacity = 2 * (text->size + size) + 32;
        char *grown = pool_new(pool, capacity);

        if (!grown)
            return pool_error(pool, error);
        if (text->bytes)
            memcpy(grown, text->bytes, text->size);
        text->bytes = grown;
        text->capacity = capacity;
    }
    if (size > 0)
        memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = '\0';
    return 0;
}
