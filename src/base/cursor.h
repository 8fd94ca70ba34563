/*
 * Reading bytes that nobody vouches for: a cursor over a span that never goes past its end. Each getter either takes
 * what it says and moves on, or returns false and leaves the cursor where it was; the caller names the fault, with
 * `offset` for the place. Numbers are little-endian, as in UEFI and TCG logs.
 *
 * A cursor borrows its bytes and owns nothing. What it hands out points into them.
 */
#pragma once

#include "base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
    const uint8_t *bytes;
    size_t size;
    size_t offset; /* never more than size */
};

static inline struct cursor cursor_new(const void *bytes, size_t size)
{
    return (struct cursor){ .bytes = bytes, .size = size };
}

static inline struct cursor cursor_over(struct span span)
{
    return cursor_new(span.bytes, span.size);
}

static inline size_t cursor_left(const struct cursor *cursor)
{
    return cursor->size - cursor->offset;
}

bool cursor_u8(struct cursor *cursor, uint8_t *ret);
bool cursor_u16(struct cursor *cursor, uint16_t *ret);
bool cursor_u32(struct cursor *cursor, uint32_t *ret);
bool cursor_u64(struct cursor *cursor, uint64_t *ret);

/* The next `size` bytes, borrowed. The size may come from the bytes themselves: any value is safe. */
bool cursor_span(struct cursor *cursor, uint64_t size, struct span *ret);

/* A cursor of its own over the next `size` bytes. */
bool cursor_cut(struct cursor *cursor, uint64_t size, struct cursor *ret);

bool cursor_skip(struct cursor *cursor, uint64_t size);

/* All that is left, which may be nothing. */
struct span cursor_rest(struct cursor *cursor);
