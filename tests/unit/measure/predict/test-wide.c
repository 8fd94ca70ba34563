#include "measure/predict/wide.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct error error;

static void assert_from_utf8(const char *text, size_t size, const char *wanted, size_t wanted_size)
{
    cleanup(wide_free) struct wide wide = { 0 };

    assert_int_equal(wide_from_utf8(text, size, &wide, &error), 0);
    assert_int_equal(wide.size, wanted_size);
    assert_memory_equal(wide.bytes, wanted, wanted_size);
}

/* Characters of the basic plane, whatever the form; all else is left out, and so is what is behind a NUL. */
static void test_from_utf8(void **unused)
{
    (void)unused;
    assert_from_utf8("ab", 2, "a\0b\0\0", 6);
    assert_from_utf8("ab\0c", 4, "a\0b\0\0", 6);
    assert_from_utf8("", 0, "\0", 2);
    assert_from_utf8("a\xc3\xa4\xe2\x82\xac", 6, "a\0\xe4\0\xac\x20\0", 8);
    assert_from_utf8("a\xf0\x9f\x90\xa7z", 6, "a\0z\0\0", 6);         /* beyond the basic plane */
    assert_from_utf8("a\xed\xa0\x80z", 5, "a\0z\0\0", 6);             /* half of a surrogate pair */
    assert_from_utf8("a\xc1\x81z", 4, "a\0A\0z\0\0", 8);              /* longer than needed */
    assert_from_utf8("a\xc0\x80z", 4, "a\0\0", 4);                    /* a NUL in disguise */
    assert_from_utf8("a\x80\xff\xfez", 5, "a\0z\0\0", 6);             /* no first bytes */
    assert_from_utf8("a\xc3zy", 4, "a\0y\0\0", 6);                    /* two bytes are passed over */
    assert_from_utf8("a\xe2\x82", 3, "a\0\0", 4);                     /* cut */
    assert_from_utf8("a\xf8\x80\x80\x80\xc3z", 7, "a\0z\0\0", 6);     /* five bytes, not all of them good */
    assert_from_utf8("a\xfc\x80\x80\x80\x80\xc3z", 8, "a\0z\0\0", 6); /* six */
}

static void assert_to_utf8(const char *units, size_t size, const char *wanted)
{
    cleanup(wide_free) struct wide wide = { 0 };
    cleanup(free_ptr) char *text = NULL;

    assert_int_equal(wide_from_units((struct span){ units, size }, &wide, &error), 0);
    assert_int_equal(wide_to_utf8(&wide, &text, &error), 0);
    assert_string_equal(text, wanted);
}

static void test_to_utf8(void **unused)
{
    (void)unused;
    assert_to_utf8("a\0b\0\0", 6, "ab");
    assert_to_utf8("a\0b\0", 4, "ab");
    assert_to_utf8("a\0b\0c", 5, "ab");
    assert_to_utf8("a\0\0\0b", 6, "a");
    assert_to_utf8("", 0, "");
    assert_to_utf8("\xe4\0\xac\x20", 4, "\xc3\xa4\xe2\x82\xac");
    assert_to_utf8("\x3d\xd8\x27\xdc", 4, "\xf0\x9f\x90\xa7");
    assert_to_utf8("\x3d\xd8z", 4, "\xef\xbf\xbdz");
    assert_to_utf8("\x27\xdcz", 4, "\xef\xbf\xbdz");
    assert_to_utf8("a\0\n\0 ", 6, "a\n "); /* nothing is escaped: it is read for its words */
}

static void assert_cleaned(const char *text, const char *wanted)
{
    cleanup(wide_free) struct wide wide = { 0 };
    cleanup(free_ptr) char *cleaned = NULL;

    assert_int_equal(wide_from_utf8(text, strlen(text), &wide, &error), 0);
    wide_clean_command_line(&wide);
    assert_int_equal(wide_to_utf8(&wide, &cleaned, &error), 0);
    assert_string_equal(cleaned, wanted);
    assert_int_equal(wide.bytes[wide.size - 1] | wide.bytes[wide.size - 2], 0);
}

static void test_clean(void **unused)
{
    (void)unused;
    assert_cleaned("quiet\n", "quiet");
    assert_cleaned(" a\tb\x1f\x7f \r\n", " a b \x7f");
    assert_cleaned(" \n ", "");
    assert_cleaned("", "");
    assert_cleaned("\xe2\x80\xa0\xe2\x80\xa0", "\xe2\x80\xa0\xe2\x80\xa0"); /* U+2020: bytes 20 20 are no blanks */
    assert_cleaned("\xc4\x8a", "\xc4\x8a");                                 /* U+010A is no control character */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_utf8),
        cmocka_unit_test(test_to_utf8),
        cmocka_unit_test(test_clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
