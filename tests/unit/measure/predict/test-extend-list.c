#include "measure/predict/extend-list.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct error error;

static struct digest sha256_of(const char *text)
{
    struct digest digest;

    assert_int_equal(digest_compute(&digest, &(struct span){ text, strlen(text) }, 1, &error), 0);
    return digest;
}

/* Events are extended in their order, each into its PCR; a PCR that nobody asked for stays. */
static void test_apply(void **unused)
{
    cleanup(extend_list_free) struct extend_list list = { 0 };
    struct pcr_values got = { .bank = HASH_SHA384, .mask = 1u << 8 | 1u << 9 };
    struct pcr_values want = got;

    (void)unused;
    assert_int_equal(extend_list_init(&list, HASH_SHA384, &error), 0);
    for (int i = 0; i < 40; i++) {
        char text[8];
        int size = snprintf(text, sizeof text, "%d", i);
        unsigned pcr = 8 + (unsigned)i % 3; /* 10 is not asked for */

        assert_int_equal(extend_list_add_data(&list, pcr, text, (size_t)size, text, &error), 0);
        if (pcr < 10)
            assert_int_equal(pcr_extend(&want, pcr, text, (size_t)size, &error), 0);
    }
    assert_int_equal(list.count, 40);
    assert_string_equal(list.items[39].text, "39");
    assert_int_equal(extend_list_apply(&list, &got, &error), 0);
    assert_int_equal(pcr_values_differ(&got, &want, got.mask), 0);
    assert_true(pcr_value_is_reset(&got, 10));
    got.bank = HASH_SHA256;
    assert_int_equal(extend_list_apply(&list, &got, &error), ERROR_USAGE);
}

/* What changes between two reads is no prediction. */
static void test_changed_meanwhile(void **unused)
{
    cleanup(extend_list_free) struct extend_list list = { 0 };
    struct digest one = sha256_of("one"), other = sha256_of("other");

    (void)unused;
    assert_int_equal(extend_list_init(&list, HASH_SHA256, &error), 0);
    assert_int_equal(extend_list_add_source(&list, "/boot/vmlinuz", &one, &error), 0);
    assert_int_equal(extend_list_add_source(&list, "/boot/vmlinuz", &one, &error), 0);
    assert_int_equal(list.file_count, 1);
    assert_int_equal(extend_list_add_source(&list, "/boot/vmlinuz", &other, &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, "\"/boot/vmlinuz\" was changed"));
    assert_int_equal(extend_list_add_source(&list, "/boot/initrd.img", &other, &error), 0);
    assert_int_equal(list.file_count, 2);
}

static void test_append(void **unused)
{
    cleanup(extend_list_free) struct extend_list list = { 0 };
    cleanup(extend_list_free) struct extend_list more = { 0 };
    cleanup(extend_list_free) struct extend_list foreign = { 0 };
    struct digest one = sha256_of("one");

    (void)unused;
    assert_int_equal(extend_list_init(&list, HASH_SHA256, &error), 0);
    assert_int_equal(extend_list_init(&more, HASH_SHA256, &error), 0);
    assert_int_equal(extend_list_init(&foreign, HASH_SHA1, &error), 0);
    assert_int_equal(extend_list_add_data(&list, 4, "a", 1, "a", &error), 0);
    assert_int_equal(extend_list_add_data(&more, 8, "b", 1, "b", &error), 0);
    assert_int_equal(extend_list_add_source(&more, "/boot/vmlinuz", &one, &error), 0);
    assert_int_equal(extend_list_append(&list, &more, &error), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[1].pcr, 8);
    assert_string_equal(list.items[1].text, "b");
    assert_int_equal(list.file_count, 1);
    assert_int_equal(extend_list_append(&list, &foreign, &error), ERROR_USAGE);
}

static void test_limits(void **unused)
{
    cleanup(extend_list_free) struct extend_list list = { 0 };
    uint8_t digest[HASH_MAX_BYTES] = { 0 };

    (void)unused;
    assert_int_equal(extend_list_init(&list, (enum hash_algorithm)0x12, &error), ERROR_USAGE);
    assert_int_equal(extend_list_init(&list, HASH_SHA256, &error), 0);
    assert_int_equal(extend_list_add(&list, PCR_COUNT, digest, "", &error), ERROR_USAGE);
    for (int i = 0; i < EXTEND_LIST_MAX; i++)
        assert_int_equal(extend_list_add(&list, 8, digest, "", &error), 0);
    assert_int_equal(extend_list_add(&list, 8, digest, "", &error), ERROR_FAILED);
    assert_int_equal(list.count, EXTEND_LIST_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_changed_meanwhile),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
