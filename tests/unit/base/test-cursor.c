#include "base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static void numbers_are_little_endian(void **state)
{
    struct cursor cursor = cursor_new(bytes, sizeof(bytes));
    uint8_t one = 0;
    uint16_t two = 0;
    uint32_t four = 0;
    uint64_t eight = 0;

    (void)state;
    assert_true(cursor_u8(&cursor, &one) && cursor_u16(&cursor, &two));
    assert_true(cursor_u32(&cursor, &four) && cursor_u64(&cursor, &eight));
    assert_int_equal(one, 0x01);
    assert_int_equal(two, 0x0302);
    assert_int_equal(four, 0x07060504);
    assert_true(eight == 0x0f0e0d0c0b0a0908);
    assert_int_equal(cursor_left(&cursor), 0);
}

/* What does not fit is not taken, and nothing is written. */
static void numbers_do_not_pass_the_end(void **state)
{
    (void)state;
    for (size_t size = 0; size < 8; size++) {
        struct cursor cursor = cursor_new(bytes, size);
        uint8_t one = 0xee;
        uint16_t two = 0xeeee;
        uint32_t four = 0xeeeeeeee;
        uint64_t eight = 0xee;

        assert_false(cursor_u64(&cursor, &eight));
        assert_true(eight == 0xee);
        assert_int_equal(cursor.offset, 0);
        if (size < 4)
            assert_false(cursor_u32(&cursor, &four));
        if (size < 2)
            assert_false(cursor_u16(&cursor, &two));
        if (size < 1)
            assert_false(cursor_u8(&cursor, &one));
        assert_int_equal(cursor.offset, 0);
        assert_true(four == 0xeeeeeeee && two == 0xeeee && one == 0xee);
    }
}

static void spans(void **state)
{
    struct cursor cursor = cursor_new(bytes, sizeof(bytes)), inner;
    struct span span;
    uint8_t one;

    (void)state;
    assert_true(cursor_span(&cursor, 3, &span));
    assert_ptr_equal(span.bytes, bytes);
    assert_int_equal(span.size, 3);
    assert_true(cursor_skip(&cursor, 2));
    assert_true(cursor_cut(&cursor, 1, &inner));
    assert_true(cursor_u8(&inner, &one));
    assert_int_equal(one, 6);
    assert_false(cursor_u8(&inner, &one)); /* its own end, not the outer one's */
    assert_true(cursor_span(&cursor, 0, &span));
    assert_int_equal(span.size, 0);
    span = cursor_rest(&cursor);
    assert_int_equal(span.size, sizeof(bytes) - 6);
    assert_int_equal(cursor_rest(&cursor).size, 0);
}

static void spans_do_not_pass_the_end(void **state)
{
    static const uint64_t sizes[] = { 15, UINT32_MAX, (uint64_t)1 << 63, UINT64_MAX - 1, UINT64_MAX };
    struct cursor cursor = cursor_new(bytes, sizeof(bytes)), inner;
    struct span span;

    (void)state;
    assert_true(cursor_skip(&cursor, 1));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_false(cursor_span(&cursor, sizes[i], &span));
        assert_false(cursor_cut(&cursor, sizes[i], &inner));
        assert_false(cursor_skip(&cursor, sizes[i]));
        assert_int_equal(cursor.offset, 1);
    }
    assert_true(cursor_skip(&cursor, 14));
}

static void nothing_at_all(void **state)
{
    struct cursor cursor = cursor_new(NULL, 0);
    struct span span;
    uint8_t one;

    (void)state;
    assert_false(cursor_u8(&cursor, &one));
    assert_true(cursor_span(&cursor, 0, &span));
    assert_int_equal(cursor_rest(&cursor).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(numbers_do_not_pass_the_end),
        cmocka_unit_test(spans),
        cmocka_unit_test(spans_do_not_pass_the_end),
        cmocka_unit_test(nothing_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
