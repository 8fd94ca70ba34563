#include "base/pcr.h"

#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void lists(void **state)
{
    char text[PCR_LIST_TEXT];

    (void)state;
    pcr_mask_format(0, text);
    assert_string_equal(text, "");
    pcr_mask_format(1u << 7, text);
    assert_string_equal(text, "7");
    pcr_mask_format(1u << 4 | 1u << 7 | 1u << 12, text);
    assert_string_equal(text, "4, 7, 12");
    pcr_mask_format(UINT32_MAX, text);
    assert_string_equal(text, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23");
}

static void reset_values(void **state)
{
    struct pcr_values values = { .bank = HASH_SHA256 };

    (void)state;
    assert_true(pcr_value_is_reset(&values, 12));
    memset(values.value[17], 0xff, 32);
    assert_true(pcr_value_is_reset(&values, 17));
    values.value[17][32] = 1; /* past the bank's digest */
    assert_true(pcr_value_is_reset(&values, 17));
    values.value[17][31] = 0;
    assert_false(pcr_value_is_reset(&values, 17));
    values.value[12][0] = 1;
    assert_false(pcr_value_is_reset(&values, 12));
    memset(values.value[12], 0x11, 32);
    assert_false(pcr_value_is_reset(&values, 12));
    values.bank = (enum hash_algorithm)0;
    assert_false(pcr_value_is_reset(&values, 0));
}

static void differences(void **state)
{
    struct pcr_values a = { .bank = HASH_SHA256, .mask = 1u << 4 | 1u << 7 | 1u << 9 }, b = a;

    (void)state;
    assert_int_equal(pcr_values_differ(&a, &b, a.mask), 0);
    b.value[7][31] = 1;
    b.value[9][0] = 1;
    assert_int_equal(pcr_values_differ(&a, &b, a.mask), 1u << 7 | 1u << 9);
    assert_int_equal(pcr_values_differ(&a, &b, 1u << 4 | 1u << 7), 1u << 7);
    b.value[4][32] = 1; /* past the bank's digest */
    assert_int_equal(pcr_values_differ(&a, &b, 1u << 4), 0);
    b.mask &= ~(1u << 4);
    assert_int_equal(pcr_values_differ(&a, &b, 1u << 4), 1u << 4);
    assert_int_equal(pcr_values_differ(&a, &b, 1u << 12), 1u << 12);
}

/* Twice SHA-256, worked out by hand: SHA-256(32 zero bytes || SHA-256("abc")). */
static void extends(void **state)
{
    struct pcr_values values = { .bank = HASH_SHA256 };
    uint8_t input[64] = { 0 }, wanted[32];
    struct error error;

    (void)state;
    assert_true(hex_decode("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", input + 32, 32));
    assert_int_equal(hash_compute(HASH_SHA256, &(struct span){ input, 64 }, 1, wanted, &error), 0);
    assert_int_equal(pcr_extend(&values, 12, "abc", 3, &error), 0);
    assert_memory_equal(values.value[12], wanted, 32);
    assert_int_equal(pcr_extend(&values, 12, "abc", 3, &error), 0);
    assert_memory_not_equal(values.value[12], wanted, 32);
    assert_true(pcr_value_is_reset(&values, 11));
    assert_true(pcr_value_is_reset(&values, 13));

    values = (struct pcr_values){ .bank = HASH_SHA1 };
    assert_int_equal(pcr_extend(&values, 12, "abc", 3, &error), 0);
    assert_int_not_equal(values.value[12][19], 0);
    assert_int_equal(values.value[12][20], 0);
    values.bank = (enum hash_algorithm)0x12;
    assert_int_equal(pcr_extend(&values, 12, "abc", 3, &error), ERROR_FAILED);
}

static void every_pcr_means_something(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PCR_COUNT; i++)
        assert_true(strlen(pcr_meaning(i)) > 5);
    assert_non_null(strstr(pcr_meaning(7), "Secure Boot"));
    assert_string_equal(pcr_meaning(PCR_COUNT), "a part of the platform");
    assert_string_equal(pcr_meaning(UINT32_MAX), "a part of the platform");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(reset_values),
        cmocka_unit_test(differences),
        cmocka_unit_test(extends),
        cmocka_unit_test(every_pcr_means_something),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
