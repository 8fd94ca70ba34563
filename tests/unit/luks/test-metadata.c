#include "luks/internal.h"

#include "base/cleanup.h"
#include "luks-edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void decimals(void **state)
{
    static const char *const bad[] = {
        "\"\"",
        "\"00\"",
        "\"01\"",
        "\" 1\"",
        "\"+1\"",
        "\"-1\"",
        "\"1x\"",
        "\"0x1\"",
        "\"18446744073709551616\"",
        "\"99999999999999999999\"",
        "\"100000000000000000000\"",
        "1",
        "null",
        "[]",
    };
    cleanup(json_free) struct json_object *object =
        json_tokener_parse("{\"zero\":\"0\",\"some\":\"16777216\",\"most\":\"18446744073709551615\"}");
    const struct json_view view = { object, "test", ERROR_METADATA };
    struct error error;
    uint64_t value;

    (void)state;
    assert_int_equal(metadata_decimal(&view, "zero", &value, &error), 0);
    assert_int_equal(value, 0);
    assert_int_equal(metadata_decimal(&view, "some", &value, &error), 0);
    assert_int_equal(value, 16777216);
    assert_int_equal(metadata_decimal(&view, "most", &value, &error), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(metadata_decimal(&view, "none", &value, &error), ERROR_METADATA);
    for (size_t i = 0; i < array_size(bad); i++) {
        json_object_object_add(object, "bad", json_tokener_parse(bad[i]));
        assert_int_equal(metadata_decimal(&view, "bad", &value, &error), ERROR_METADATA);
        assert_non_null(strstr(error.text, "\"bad\""));
    }
}

static void numbers_of_members(void **state)
{
    static const char *const bad[] = { "", "32", "00", "01", "-1", "1 ", "x", "100", "3a" };
    cleanup(json_free) struct json_object *object = json_tokener_parse("{\"0\":1,\"9\":2,\"31\":3}");
    const struct json_view view = { object, "test", ERROR_METADATA };
    struct error error;
    uint32_t mask = 0;

    (void)state;
    assert_int_equal(metadata_numbers(&view, "tokens", &mask, &error), 0);
    assert_int_equal(mask, 1u << 0 | 1u << 9 | 1u << 31);
    for (size_t i = 0; i < array_size(bad); i++) {
        json_object_object_add(object, bad[i], NULL);
        assert_int_equal(metadata_numbers(&view, "tokens", &mask, &error), ERROR_METADATA);
        json_object_object_del(object, bad[i]);
    }
    assert_int_equal(mask, 1u << 0 | 1u << 9 | 1u << 31);
}

static void lists(void **state)
{
    cleanup(json_free) struct json_object *array = json_tokener_parse("[1, null, \"10\", [\"0\"], \"2\"]");
    const struct json_view view = { array, "test", ERROR_METADATA };

    (void)state;
    assert_true(metadata_lists(&view, "10"));
    assert_true(metadata_lists(&view, "2"));
    assert_false(metadata_lists(&view, "1"));
    assert_false(metadata_lists(&view, "0"));
}

static void reads_what_the_header_holds(void **state)
{
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(json_free) struct json_object *document = NULL, *refused = NULL;
    struct json_view metadata, item;
    struct luks_file file;
    struct error error;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_int_equal(metadata_read(volume, &document, &metadata, &error), 0);
    assert_int_equal(metadata_item(&metadata, "keyslots", 0, &item, &error), 0);
    assert_int_equal(metadata_item(&metadata, "keyslots", 1, &item, &error), ERROR_METADATA);
    assert_int_equal(metadata_item(&metadata, "nothing", 0, &item, &error), ERROR_METADATA);
    volume->stale = true;
    assert_int_equal(metadata_read(volume, &refused, &metadata, &error), ERROR_FAILED);
    assert_null(refused);
    luks_file_remove(&file);
}

/* Deeper than anything that LUKS2 has; libcryptsetup takes it in a token. */
static void deep_nesting_is_refused(void **state)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct token_list list;
    struct luks_file file;
    struct error error;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    luks_set(file.path, "tokens/0", "{\"type\":\"x\",\"keyslots\":[],\"n\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}");
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_int_equal(volume_tokens(volume, "x", &list, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, file.path));
    luks_file_remove(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals),
        cmocka_unit_test(numbers_of_members),
        cmocka_unit_test(lists),
        cmocka_unit_test(reads_what_the_header_holds),
        cmocka_unit_test(deep_nesting_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
