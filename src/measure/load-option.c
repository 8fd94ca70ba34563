#include "measure/load-option.h"

#include "base/cursor.h"

bool load_option_parse(struct span data, struct load_option *ret)
{
    struct cursor cursor = cursor_over(data), description;
    uint16_t path_size, unit;

    if (!cursor_u32(&cursor, &ret->attributes) || !cursor_u16(&cursor, &path_size))
        return false;
    description = cursor;
    do {
        if (!cursor_u16(&cursor, &unit))
            return false;
    } while (unit != 0);
    if (!cursor_span(&cursor, path_size, &ret->path))
        return false;
    ret->description = cursor_rest(&description);
    ret->options = cursor_rest(&cursor);
    return true;
}
