#include "measure/text.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(void (*put)(FILE *stream, struct span text), const char *bytes, size_t size, const char *wanted)
{
    cleanup(free_ptr) char *text = NULL;
    size_t text_size;
    FILE *stream = open_memstream(&text, &text_size);

    put(stream, (struct span){ bytes, size });
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(text, wanted);
}

#define ASSERT_TEXT(put, literal, wanted) assert_text(put, literal, sizeof(literal) - 1, wanted)

static void utf8(void **state)
{
    (void)state;
    ASSERT_TEXT(text_put_utf8, "", "");
    ASSERT_TEXT(text_put_utf8, "quiet root=/dev/sda1", "quiet root=/dev/sda1");
    ASSERT_TEXT(text_put_utf8, "a\0b", "a");
    ASSERT_TEXT(text_put_utf8, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "grüß € 😀");
}

/* What could steer a terminal, or turn the reading around, is written out. */
static void hidden_characters(void **state)
{
    (void)state;
    ASSERT_TEXT(text_put_utf8, "a\nb\tc\x1b[2Jd\x7f", "a\\nb\\tc\\x1b[2Jd\\x7f");
    ASSERT_TEXT(text_put_utf8, "\xc2\x9b", "\\u009b");
    ASSERT_TEXT(text_put_utf8, "\xe2\x80\xae", "\\u202e");
    ASSERT_TEXT(text_put_utf8, "\xef\xbb\xbf", "\\ufeff");
    ASSERT_TEXT(text_put_utf16, "\x1b\0\x2e\x20\x66\x20", "\\x1b\\u202e\\u2066");
}

static void malformed_utf8(void **state)
{
    (void)state;
    ASSERT_TEXT(text_put_utf8, "\xff", "\\xff");
    ASSERT_TEXT(text_put_utf8, "\xc3", "\\xc3");
    ASSERT_TEXT(text_put_utf8, "\xc3(", "\\xc3(");
    ASSERT_TEXT(text_put_utf8, "\xe2\x82", "\\xe2\\x82");
    ASSERT_TEXT(text_put_utf8, "\xc0\xaf", "\\xc0\\xaf");                   /* longer than need be */
    ASSERT_TEXT(text_put_utf8, "\xe0\x80\xaf", "\\xe0\\x80\\xaf");          /* the same */
    ASSERT_TEXT(text_put_utf8, "\xed\xa0\x80", "\\xed\\xa0\\x80");          /* half of a pair */
    ASSERT_TEXT(text_put_utf8, "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* past the last */
    ASSERT_TEXT(text_put_utf8, "\x80", "\\x80");
}

static void utf16(void **state)
{
    (void)state;
    ASSERT_TEXT(text_put_utf16, "", "");
    ASSERT_TEXT(text_put_utf16, "a\0b\0", "ab");
    ASSERT_TEXT(text_put_utf16, "a\0b", "a");
    ASSERT_TEXT(text_put_utf16, "a\0\0\0b\0", "a");
    ASSERT_TEXT(text_put_utf16, "\xfc\0\xac\x20", "ü€");
    ASSERT_TEXT(text_put_utf16, "\x3d\xd8\x00\xde", "😀");
    ASSERT_TEXT(text_put_utf16, "\x3d\xd8", "\\ud83d");
    ASSERT_TEXT(text_put_utf16,
                "\x3d\xd8"
                "a\0",
                "\\ud83da");
    ASSERT_TEXT(text_put_utf16, "\x00\xde", "\\ude00");
}

static void either(void **state)
{
    (void)state;
    ASSERT_TEXT(text_put, "ab", "ab");
    ASSERT_TEXT(text_put, "a\0b\0", "ab");
    ASSERT_TEXT(text_put, "a", "a");
    ASSERT_TEXT(text_put, "\0\0", "");
}

static void capped(void **state)
{
    cleanup(free_ptr) char *bytes = malloc(2 * TEXT_MAX + 2), *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    (void)state;
    memset(bytes, 'a', 2 * TEXT_MAX + 2);
    text_put_utf8(stream, (struct span){ bytes, TEXT_MAX });
    fflush(stream);
    assert_int_equal(size, TEXT_MAX);
    text_put_utf8(stream, (struct span){ bytes, TEXT_MAX + 1 });
    fflush(stream);
    assert_int_equal(size, 2 * TEXT_MAX + strlen("…"));
    text_put_utf16(stream, (struct span){ bytes, 2 * TEXT_MAX + 2 });
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(text + size - strlen("…"), "…");
}

static void guids(void **state)
{
    static const uint8_t guid[GUID_BYTES] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                              0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
    char text[GUID_TEXT];

    (void)state;
    guid_format(guid, text);
    assert_string_equal(text, "8be4df61-93ca-11d2-aa0d-00e098032b8c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8),           cmocka_unit_test(hidden_characters),
        cmocka_unit_test(malformed_utf8), cmocka_unit_test(utf16),
        cmocka_unit_test(either),         cmocka_unit_test(capped),
        cmocka_unit_test(guids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
