#include "base/encode.h"

#include <openssl/evp.h>
#include <string.h>

void hex_encode(const void *bytes, size_t size, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *input = bytes;

    for (size_t i = 0; i < size; i++) {
        ret[2 * i] = digits[input[i] >> 4];
        ret[2 * i + 1] = digits[input[i] & 15];
    }
    ret[2 * size] = '\0';
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

bool hex_decode(const char *text, void *ret, size_t size)
{
    uint8_t *output = ret;

    if (strlen(text) != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        output[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void base64_encode(const void *bytes, size_t size, char *ret)
{
    EVP_EncodeBlock((unsigned char *)ret, bytes, (int)size);
}

static size_t base64_padding(const char *text, size_t length)
{
    if (length < 4 || text[length - 1] != '=')
        return 0;
    return text[length - 2] == '=' ? 2 : 1;
}

static int base64_value(char c)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *place = c ? strchr(alphabet, c) : NULL;

    return place ? (int)(place - alphabet) : -1;
}

/* Four characters, of which the last `padding` are '=', into three bytes. */
static bool decode_group(const char *text, size_t padding, uint8_t ret[3])
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - padding ? base64_value(text[i]) : 0;

        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
    }
    for (size_t i = 0; i < 3; i++)
        ret[i] = (uint8_t)(bits >> (16 - 8 * i));
    return true;
}

bool base64_decode(const char *text, void *ret, size_t max, size_t *ret_size)
{
    size_t length = strlen(text), padding = base64_padding(text, length), size = length / 4 * 3 - padding;
    uint8_t *output = ret;

    if (length == 0 || length % 4 != 0 || size > max)
        return false;
    for (size_t i = 0; i < length / 4; i++) {
        size_t room = size - 3 * i < 3 ? size - 3 * i : 3;
        uint8_t bytes[3];

        if (!decode_group(text + 4 * i, 3 - room, bytes))
            return false;
        memcpy(output + 3 * i, bytes, room);
        for (size_t k = room; k < 3; k++)
            if (bytes[k]) /* stray bits: another text for the same bytes */
                return false;
    }
    *ret_size = size;
    return true;
}
