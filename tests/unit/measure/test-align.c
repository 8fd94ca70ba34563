#include "measure/align.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct pair {
    const char *left, *right;
};

static bool equal(const void *context, size_t i, size_t j)
{
    const struct pair *pair = context;

    return pair->left[i] == pair->right[j];
}

/* `wanted` has for each letter of the left its counterpart's place, "-" for none. */
static void assert_align(const char *left, const char *right, const char *wanted)
{
    size_t partner[64] = { 0 };
    char text[64] = "";
    struct error error;

    assert_int_equal(align(strlen(left), strlen(right), equal, &(struct pair){ left, right }, partner, &error), 0);
    for (size_t i = 0; i < strlen(left); i++)
        text[i] = partner[i] == ALIGN_NONE ? '-' : (char)('0' + partner[i]);
    assert_string_equal(text, wanted);
}

static void sequences(void **state)
{
    (void)state;
    assert_align("", "", "");
    assert_align("", "abc", "");
    assert_align("abc", "", "---");
    assert_align("abc", "abc", "012");
    assert_align("abc", "axc", "0-2");
    assert_align("abc", "abxc", "013");
    assert_align("abc", "ac", "0-1");
    assert_align("abc", "xyz", "---");
    assert_align("abcd", "xbyd", "-1-3");
    assert_align("abcabba", "cbabac", "--0-134");
    assert_align("aa", "a", "0-");
}

static bool never(const void *context, size_t i, size_t j)
{
    (void)context;
    return i == 0 && j == 0;
}

/* Too much to be compared: the ends alone, and no table. */
static void too_much(void **state)
{
    const size_t count = 16384;
    cleanup(free_ptr) size_t *partner = calloc(count, sizeof(*partner));
    struct error error;

    (void)state;
    assert_int_equal(align(count, count, never, NULL, partner, &error), 0);
    assert_int_equal(partner[0], 0);
    for (size_t i = 1; i < count; i++)
        assert_true(partner[i] == ALIGN_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sequences), cmocka_unit_test(too_much) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
