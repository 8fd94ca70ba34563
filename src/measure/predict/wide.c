#include "measure/predict/wide.h"

#include "base/cleanup.h"
#include "base/cursor.h"

#include <stdlib.h>
#include <string.h>

void wide_free(struct wide *wide)
{
    free(wide->bytes);
    *wide = (struct wide){ 0 };
}

static void put_unit(struct wide *wide, uint32_t unit)
{
    wide->bytes[wide->size++] = (uint8_t)unit;
    wide->bytes[wide->size++] = (uint8_t)(unit >> 8);
}

/* How many bytes a first byte announces, in the six forms of old UTF-8; 0: it cannot be one. */
static size_t announced(uint8_t first)
{
    if (first < 0x80)
        return 1;
    for (size_t length = 2; length <= 6; length++)
        if ((first & (0xff00u >> (length + 1) & 0xff)) == (0xff00u >> length & 0xff))
            return length;
    return 0;
}

/* The character at the start of `size` bytes, and how many bytes systemd's programs pass over for it; UINT32_MAX for
 * what is none. Longer forms than needed are taken. */
static uint32_t decode(const uint8_t *bytes, size_t size, size_t *ret_length)
{
    size_t length = announced(bytes[0]);
    uint32_t character;

    *ret_length = length ? length : 1;
    if (length == 0 || length > size)
        return UINT32_MAX;
    character = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return UINT32_MAX;
        character = character << 6 | (bytes[i] & 0x3fu);
    }
    return character;
}

int wide_from_utf8(const char *text, size_t size, struct wide *ret, struct error *error)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t length = strnlen(text, size);

    *ret = (struct wide){ .bytes = malloc(2 * length + 2) };
    if (!ret->bytes)
        return error_no_memory(error);
    for (size_t i = 0, step; i < length; i += step) {
        uint32_t character = decode(bytes + i, length - i, &step);

        if (character == 0)
            break;
        if (character <= 0xffff && (character & 0xf800) != 0xd800)
            put_unit(ret, character);
    }
    put_unit(ret, 0);
    return 0;
}

int wide_from_units(struct span units, struct wide *ret, struct error *error)
{
    struct cursor cursor = cursor_over(units);
    uint16_t unit;

    *ret = (struct wide){ .bytes = malloc(units.size + 2) };
    if (!ret->bytes)
        return error_no_memory(error);
    while (cursor_u16(&cursor, &unit) && unit != 0)
        put_unit(ret, unit);
    put_unit(ret, 0);
    return 0;
}

static size_t put_utf8(char *to, uint32_t c)
{
    static const uint8_t marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = length; i > 1; i--, c >>= 6)
        to[i - 1] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)(marks[length] | c);
    return length;
}

/* The next character but the zero at the end. */
static bool next_character(struct cursor *cursor, uint32_t *ret)
{
    struct cursor ahead;
    uint16_t unit, second;

    if (!cursor_u16(cursor, &unit) || unit == 0)
        return false;
    *ret = (unit & 0xf800) == 0xd800 ? 0xfffd : unit;
    ahead = *cursor;
    if ((unit & 0xfc00) != 0xd800 || !cursor_u16(&ahead, &second) || (second & 0xfc00) != 0xdc00)
        return true;
    *ret = 0x10000 + ((unit & 0x3ffu) << 10 | (second & 0x3ffu));
    *cursor = ahead;
    return true;
}

int wide_to_utf8(const struct wide *wide, char **ret, struct error *error)
{
    struct cursor cursor = cursor_new(wide->bytes, wide->size);
    char *text = malloc(wide->size / 2 * 3 + 1);
    size_t length = 0;
    uint32_t character;

    *ret = text;
    if (!text)
        return error_no_memory(error);
    while (next_character(&cursor, &character))
        length += put_utf8(text + length, character);
    text[length] = '\0';
    return 0;
}

void wide_clean_command_line(struct wide *wide)
{
    size_t size = wide->size - 2;

    for (size_t i = 0; i < size; i += 2)
        if (wide->bytes[i + 1] == 0 && wide->bytes[i] < 0x20)
            wide->bytes[i] = ' ';
    while (size > 0 && wide->bytes[size - 2] == ' ' && wide->bytes[size - 1] == 0)
        size -= 2;
    wide->size = size;
    put_unit(wide, 0);
}

int wide_normalize(const char *text, size_t size, char **ret, struct error *error)
{
    cleanup(wide_free) struct wide wide = { 0 };

    *ret = NULL;
    return wide_from_utf8(text, size, &wide, error) ?: wide_to_utf8(&wide, ret, error);
}
