#include "base/cursor.h"

/* The next `size` (1 to 8) bytes as a little-endian number. */
static bool number(struct cursor *cursor, size_t size, uint64_t *ret)
{
    uint64_t value = 0;

    if (cursor_left(cursor) < size)
        return false;
    for (size_t i = size; i > 0; i--)
        value = value << 8 | cursor->bytes[cursor->offset + i - 1];
    cursor->offset += size;
    *ret = value;
    return true;
}

bool cursor_u8(struct cursor *cursor, uint8_t *ret)
{
    uint64_t value;

    if (!number(cursor, sizeof(*ret), &value))
        return false;
    *ret = (uint8_t)value;
    return true;
}

bool cursor_u16(struct cursor *cursor, uint16_t *ret)
{
    uint64_t value;

    if (!number(cursor, sizeof(*ret), &value))
        return false;
    *ret = (uint16_t)value;
    return true;
}

bool cursor_u32(struct cursor *cursor, uint32_t *ret)
{
    uint64_t value;

    if (!number(cursor, sizeof(*ret), &value))
        return false;
    *ret = (uint32_t)value;
    return true;
}

bool cursor_u64(struct cursor *cursor, uint64_t *ret)
{
    return number(cursor, sizeof(*ret), ret);
}

/* A cursor over nothing may have no bytes, to which not even 0 may be added. */
static const uint8_t *place(const struct cursor *cursor)
{
    return cursor->bytes ? cursor->bytes + cursor->offset : NULL;
}

bool cursor_span(struct cursor *cursor, uint64_t size, struct span *ret)
{
    if (size > cursor_left(cursor))
        return false;
    *ret = (struct span){ place(cursor), (size_t)size };
    cursor->offset += (size_t)size;
    return true;
}

bool cursor_cut(struct cursor *cursor, uint64_t size, struct cursor *ret)
{
    struct span span;

    if (!cursor_span(cursor, size, &span))
        return false;
    *ret = cursor_over(span);
    return true;
}

bool cursor_skip(struct cursor *cursor, uint64_t size)
{
    struct span span;

    return cursor_span(cursor, size, &span);
}

struct span cursor_rest(struct cursor *cursor)
{
    struct span span = { place(cursor), cursor_left(cursor) };

    cursor->offset = cursor->size;
    return span;
}
