#include "base/encode.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void hex_both_ways(void **state)
{
    static const uint8_t bytes[] = { 0x00, 0x01, 0x9a, 0xbc, 0xff };
    char text[HEX_TEXT(sizeof(bytes))];
    uint8_t again[sizeof(bytes)];

    (void)state;
    hex_encode(bytes, sizeof(bytes), text);
    assert_string_equal(text, "00019abcff");
    assert_true(hex_decode("00019ABcfF", again, sizeof(again)));
    assert_memory_equal(bytes, again, sizeof(bytes));
    hex_encode(bytes, 0, text);
    assert_string_equal(text, "");
    assert_true(hex_decode("", again, 0));
}

static void hex_that_is_none(void **state)
{
    static const char *const bad[] = { "",     "0",    "00",    "000",  "00000", "000000", "0g00", " 000",
                                       "00 0", "0x00", "00\n0", "-000", "/0:0",  "@0`0",   "G000", "\xc3\xa9zz" };
    uint8_t bytes[2];

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++)
        assert_false(hex_decode(bad[i], bytes, sizeof(bytes)));
}

/* RFC 4648, 10 */
static void base64_test_vectors(void **state)
{
    static const char *const rows[][2] = { { "f", "Zg==" },        { "fo", "Zm8=" },        { "foo", "Zm9v" },
                                           { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };

    (void)state;
    for (size_t i = 0; i < array_size(rows); i++) {
        size_t length = strlen(rows[i][0]), size = 0;
        char text[BASE64_TEXT(6)];
        uint8_t bytes[6];

        base64_encode(rows[i][0], length, text);
        assert_string_equal(text, rows[i][1]);
        assert_int_equal(strlen(text) + 1, BASE64_TEXT(length));
        assert_true(base64_decode(rows[i][1], bytes, sizeof(bytes), &size));
        assert_int_equal(size, length);
        assert_memory_equal(bytes, rows[i][0], length);
    }
}

static void base64_every_byte(void **state)
{
    uint8_t bytes[256], again[256];
    char text[BASE64_TEXT(sizeof(bytes))];
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    base64_encode(bytes, sizeof(bytes), text);
    assert_true(base64_decode(text, again, sizeof(again), &size));
    assert_int_equal(size, sizeof(bytes));
    assert_memory_equal(bytes, again, sizeof(bytes));
}

static void base64_that_is_none(void **state)
{
    static const char *const bad[] = {
        "",         "Z",     "Zg",       "Zg=",        "Zg===",  "=",      "==",     "====",  "=Zg=",
        "Z===",     "Zh==",  "Zm9=",     " Zm9v",      "Zm9v ",  "Zm9v\n", "Zm9\nv", "Zm 9v", "Zm-_",
        "Zg==Zg==", "Zm9v=", "Zm9v====", "Zm\xc3\xa9", "\nZg==", "Zg=\n",  "A===",
    };
    uint8_t bytes[16];
    size_t size = 77;

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++)
        if (base64_decode(bad[i], bytes, sizeof(bytes), &size))
            fail_msg("taken: \"%s\"", bad[i]);
    assert_int_equal(size, 77);
}

static void base64_obeys_the_limit(void **state)
{
    uint8_t bytes[6] = { 0, 0, 0, 0, 0, 0x55 };
    size_t size;

    (void)state;
    assert_true(base64_decode("Zm9vYmE=", bytes, 5, &size));
    assert_false(base64_decode("Zm9vYmE=", bytes, 4, &size));
    assert_false(base64_decode("Zm9vYmFy", bytes, 5, &size));
    assert_int_equal(bytes[5], 0x55);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_both_ways),       cmocka_unit_test(hex_that_is_none),
        cmocka_unit_test(base64_test_vectors), cmocka_unit_test(base64_every_byte),
        cmocka_unit_test(base64_that_is_none), cmocka_unit_test(base64_obeys_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
