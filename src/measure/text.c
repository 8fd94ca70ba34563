#include "measure/text.h"

#include "base/cursor.h"

/* What must not reach a terminal as it is: controls, and marks that turn or hide the text around them. */
static bool is_hidden(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0xad || character == 0x61c ||
           (character >= 0x200b && character <= 0x200f) || (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2060 && character <= 0x206f) || character == 0xfeff || (character & ~0xfu) == 0xfff0 ||
           (character >= 0xd800 && character <= 0xdfff) || character >= 0xe0000;
}

static void put_utf8(FILE *stream, uint32_t c)
{
    if (c < 0x80)
        fputc((int)c, stream);
    else if (c < 0x800)
        fprintf(stream, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 0x3f)));
    else if (c < 0x10000)
        fprintf(stream, "%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
    else
        fprintf(stream, "%c%c%c%c", (int)(0xf0 | c >> 18), (int)(0x80 | (c >> 12 & 0x3f)),
                (int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
}

static void put_character(FILE *stream, uint32_t character)
{
    if (character == '\n')
        fputs("\\n", stream);
    else if (character == '\t')
        fputs("\\t", stream);
    else if (!is_hidden(character))
        put_utf8(stream, character);
    else if (character < 0x80)
        fprintf(stream, "\\x%02x", character);
    else
        fprintf(stream, "\\u%04x", character);
}

/* The bytes that a first byte promises to follow; -1 when it cannot be one. */
static int bytes_to_follow(uint8_t first)
{
    if (first < 0x80)
        return 0;
    if (first >= 0xc2 && first <= 0xdf)
        return 1;
    if (first >= 0xe0 && first <= 0xef)
        return 2;
    return first >= 0xf0 && first <= 0xf4 ? 3 : -1;
}

/* The next character of well-formed UTF-8 (RFC 3629); false when the next byte starts none. */
static bool next_utf8(struct cursor *cursor, uint32_t *ret)
{
    static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
    struct cursor ahead = *cursor;
    uint8_t byte;
    int more;

    if (!cursor_u8(&ahead, &byte) || (more = bytes_to_follow(byte)) < 0)
        return false;
    *ret = more ? byte & (0x3fu >> more) : byte;
    for (int i = 0; i < more; i++) {
        if (!cursor_u8(&ahead, &byte) || (byte & 0xc0) != 0x80)
            return false;
        *ret = *ret << 6 | (byte & 0x3f);
    }
    if (*ret < smallest[more] || *ret > 0x10ffff || (*ret >= 0xd800 && *ret <= 0xdfff))
        return false;
    *cursor = ahead;
    return true;
}

void text_put_utf8(FILE *stream, struct span text)
{
    struct cursor cursor = cursor_over(text);
    uint32_t character;
    uint8_t byte;

    for (size_t i = 0; cursor_left(&cursor) > 0; i++) {
        if (i == TEXT_MAX) {
            fputs("…", stream);
            return;
        }
        if (next_utf8(&cursor, &character)) {
            if (character == 0)
                return;
            put_character(stream, character);
        } else if (cursor_u8(&cursor, &byte)) {
            fprintf(stream, "\\x%02x", byte);
        }
    }
}

/* The next character; a surrogate that has no partner stands for itself. False at the end. */
static bool next_utf16(struct cursor *cursor, uint32_t *ret)
{
    struct cursor ahead;
    uint16_t unit, second;

    if (!cursor_u16(cursor, &unit) || unit == 0)
        return false;
    *ret = unit;
    ahead = *cursor;
    if (unit < 0xd800 || unit > 0xdbff || !cursor_u16(&ahead, &second) || second < 0xdc00 || second > 0xdfff)
        return true;
    *ret = 0x10000 + ((unit & 0x3ffu) << 10 | (second & 0x3ffu));
    *cursor = ahead;
    return true;
}

void text_put_utf16(FILE *stream, struct span text)
{
    struct cursor cursor = cursor_over(text);
    uint32_t character;

    for (size_t i = 0; next_utf16(&cursor, &character); i++) {
        if (i == TEXT_MAX) {
            fputs("…", stream);
            return;
        }
        put_character(stream, character);
    }
}

bool text_is_utf16(struct span text)
{
    const uint8_t *bytes = text.bytes;

    return text.size >= 2 && text.size % 2 == 0 && bytes[0] != 0 && bytes[1] == 0;
}

void text_put(FILE *stream, struct span text)
{
    if (text_is_utf16(text))
        text_put_utf16(stream, text);
    else
        text_put_utf8(stream, text);
}

void guid_format(const uint8_t *guid, char ret[GUID_TEXT])
{
    snprintf(ret, GUID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", guid[3], guid[2],
             guid[1], guid[0], guid[5], guid[4], guid[7], guid[6], guid[8], guid[9], guid[10], guid[11], guid[12],
             guid[13], guid[14], guid[15]);
}
