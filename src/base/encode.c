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

/* Four characters into `size` bytes, 1 to 3. libcrypto forgives white space and stray bits: encoding again shows
 * whether they were canonical. */
static bool decode_group(const char *text, size_t size, uint8_t *ret)
{
    uint8_t bytes[3];
    unsigned char again[5];

    if (EVP_DecodeBlock(bytes, (const unsigned char *)text, 4) != 3)
        return false;
    EVP_EncodeBlock(again, bytes, (int)size);
    if (memcmp(again, text, 4) != 0)
        return false;
    memcpy(ret, bytes, size);
    return true;
}

bool base64_decode(const char *text, void *ret, size_t max, size_t *ret_size)
{
    size_t length = strlen(text), padding = base64_padding(text, length), size = length / 4 * 3 - padding;
    uint8_t *output = ret;

    if (length == 0 || length % 4 != 0 || size > max)
        return false;
    for (size_t done = 0; done < size; done += 3)
        if (!decode_group(text + done / 3 * 4, size - done < 3 ? size - done : 3, output + done))
            return false;
    *ret_size = size;
    return true;
}
