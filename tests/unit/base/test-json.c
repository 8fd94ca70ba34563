#include "base/json.h"

#include "base/cleanup.h"
#include "scratch.h"

#include <string.h>

static const char sample[] =
    "{\"text\":\"abc\",\"number\":-7,\"yes\":true,\"no\":false,\"null\":null,\"real\":1.0,"
    "\"hex\":\"00fF\",\"base64\":\"Zm9v\",\"object\":{\"in\":1},\"list\":[{\"a\":1},2],\"nul\":\"a\\u0000b\"}";

static struct json_object *document;
static struct json_view view;

static int parse_sample(void **state)
{
    struct error error;

    (void)state;
    view = (struct json_view){ .source = "sample", .kind = ERROR_METADATA };
    return json_parse(sample, &view, &document, &error);
}

static int free_sample(void **state)
{
    (void)state;
    json_free(&document);
    return 0;
}

static void only_one_whole_object_is_taken(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "null",
        "[1]",
        "1",
        "\"x\"",
        "{",
        "{\"a\":1}x",
        "{}{}",
        "{} {}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":TRUE}",
        "{a:1}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"",
        "//x\n{}",
        "/**/{}",
        "{\"a\":[1,]}",
        "nul",
    };
    struct json_view source = { .source = "here", .kind = ERROR_USAGE };
    struct json_object *object = NULL;
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++) {
        if (json_parse(bad[i], &source, &object, &error) != ERROR_USAGE)
            fail_msg("taken: %s", bad[i]);
        assert_null(object);
        assert_non_null(strstr(error.text, "here: not a JSON object"));
    }
    assert_int_equal(json_parse(" \n{ \"a\" : 1 } \n", &source, &object, &error), 0);
    assert_ptr_equal(source.object, object);
    json_free(&object);
}

static int parse_nested(size_t depth)
{
    struct json_view source = { .source = "here", .kind = ERROR_METADATA };
    cleanup(json_free) struct json_object *object = NULL;
    struct error error;
    char text[200] = "{\"a\":";

    for (size_t i = 1; i < depth; i++)
        strcat(text, "[");
    strcat(text, depth == 1 ? "1" : "");
    for (size_t i = 1; i < depth; i++)
        strcat(text, "]");
    strcat(text, "}");
    return json_parse(text, &source, &object, &error);
}

static void depth_and_size_are_limited(void **state)
{
    struct json_view source = { .source = "here", .kind = ERROR_METADATA };
    struct json_object *object = NULL;
    cleanup(free_ptr) char *text = malloc(JSON_MAX_BYTES + 2);
    struct error error;

    (void)state;
    assert_int_equal(parse_nested(1), 0);
    assert_int_equal(parse_nested(JSON_MAX_DEPTH - 1), 0);
    assert_int_equal(parse_nested(JSON_MAX_DEPTH + 1), ERROR_METADATA);
    assert_int_equal(parse_nested(60), ERROR_METADATA);
    memset(text, ' ', JSON_MAX_BYTES + 1);
    text[JSON_MAX_BYTES + 1] = '\0';
    memcpy(text, "{}", 2);
    assert_int_equal(json_parse(text, &source, &object, &error), ERROR_METADATA);
    assert_null(object);
    text[JSON_MAX_BYTES] = '\0';
    assert_int_equal(json_parse(text, &source, &object, &error), 0);
    json_free(&object);
}

static void good_values(void **state)
{
    struct json_view inner;
    struct error error;
    const char *text;
    char copy[4];
    int64_t number;
    uint8_t bytes[3];
    size_t size;
    bool flag;

    (void)state;
    assert_int_equal(json_get_string(&view, "text", 3, &text, &error), 0);
    assert_string_equal(text, "abc");
    assert_int_equal(json_get_text(&view, "text", copy, 4, &error), 0);
    assert_string_equal(copy, "abc");
    assert_int_equal(json_get_integer(&view, "number", -7, -7, &number, &error), 0);
    assert_int_equal(number, -7);
    assert_int_equal(json_get_bool(&view, "yes", &flag, &error), 0);
    assert_true(flag);
    assert_int_equal(json_get_bool(&view, "no", &flag, &error), 0);
    assert_false(flag);
    assert_int_equal(json_get_hex(&view, "hex", bytes, 2, &error), 0);
    assert_int_equal(bytes[1], 0xff);
    assert_int_equal(json_get_base64(&view, "base64", bytes, 3, &size, &error), 0);
    assert_int_equal(size, 3);
    assert_int_equal(json_get_object(&view, "object", &inner, &error), 0);
    assert_string_equal(inner.source, "sample");
    assert_int_equal(inner.kind, ERROR_METADATA);
    assert_int_equal(json_get_integer(&inner, "in", 0, 9, &number, &error), 0);
    assert_true(json_has(&view, "null"));
    assert_false(json_has(&view, "none"));
}

static void assert_fault(int r, const struct error *error, const char *text)
{
    assert_int_equal(r, ERROR_METADATA);
    assert_int_equal(error->kind, ERROR_METADATA);
    assert_string_equal(error->text, text);
}

static void faults_name_source_key_and_rule(void **state)
{
    struct error error;
    const char *text;
    char copy[4] = "as";
    int64_t number;
    uint8_t bytes[3];
    size_t size;

    (void)state;
    assert_fault(json_get_string(&view, "none", 3, &text, &error), &error, "sample: \"none\": missing");
    assert_fault(json_get_string(&view, "null", 3, &text, &error), &error, "sample: \"null\": must be a string");
    assert_fault(json_get_string(&view, "text", 2, &text, &error), &error, "sample: \"text\": longer than 2 bytes");
    assert_fault(json_get_text(&view, "text", copy, 3, &error), &error, "sample: \"text\": longer than 2 bytes");
    assert_string_equal(copy, "as");
    assert_fault(json_get_string(&view, "nul", 9, &text, &error), &error, "sample: \"nul\": has a NUL byte");
    assert_fault(json_get_integer(&view, "number", -6, 0, &number, &error), &error,
                 "sample: \"number\": -7 is not from -6 to 0");
    assert_fault(json_get_integer(&view, "number", -9, -8, &number, &error), &error,
                 "sample: \"number\": -7 is not from -9 to -8");
    assert_fault(json_get_integer(&view, "real", 0, 9, &number, &error), &error,
                 "sample: \"real\": must be a whole number");
    assert_fault(json_get_hex(&view, "hex", bytes, 3, &error), &error,
                 "sample: \"hex\": must be 3 bytes in hexadecimal");
    assert_fault(json_get_hex(&view, "text", bytes, 2, &error), &error,
                 "sample: \"text\": must be 2 bytes in hexadecimal");
    assert_fault(json_get_base64(&view, "base64", bytes, 2, &size, &error), &error,
                 "sample: \"base64\": must be one to 2 bytes in base64");
    assert_fault(json_get_base64(&view, "text", bytes, 3, &size, &error), &error,
                 "sample: \"text\": must be one to 3 bytes in base64");
    assert_fault(json_fault(&view, "k\x1b", &error, "rule %d", 1), &error, "sample: \"k?\": rule 1");
}

static void types_are_not_converted(void **state)
{
    static const char *const keys[] = { "text", "number", "yes", "null", "real", "object", "list" };
    struct json_view inner;
    struct error error;
    const char *text;
    int64_t number;
    bool flag;

    (void)state;
    for (size_t i = 0; i < array_size(keys); i++) {
        const char *key = keys[i];

        assert_int_equal(json_get_string(&view, key, 9, &text, &error) == 0, strcmp(key, "text") == 0);
        assert_int_equal(json_get_integer(&view, key, -99, 99, &number, &error) == 0, strcmp(key, "number") == 0);
        assert_int_equal(json_get_bool(&view, key, &flag, &error) == 0, strcmp(key, "yes") == 0);
        assert_int_equal(json_get_object(&view, key, &inner, &error) == 0, strcmp(key, "object") == 0);
        assert_int_equal(json_get_array(&view, key, 9, &inner, &error) == 0, strcmp(key, "list") == 0);
    }
}

static void numbers_past_64_bits_are_out_of_range(void **state)
{
    static const char *const texts[] = { "9223372036854775808", "99999999999999999999999", "-9223372036854775809",
                                         "4294967296" };
    struct error error;
    int64_t number;

    (void)state;
    for (size_t i = 0; i < array_size(texts); i++) {
        json_object_object_add(document, "big", json_tokener_parse(texts[i]));
        assert_int_equal(json_get_integer(&view, "big", -1, UINT32_MAX, &number, &error), ERROR_METADATA);
    }
}

static void arrays_and_their_elements(void **state)
{
    struct json_view list, element;
    struct error error;
    int64_t number;

    (void)state;
    assert_int_equal(json_get_array(&view, "list", 2, &list, &error), 0);
    assert_int_equal(json_array_object(&list, "list", 0, &element, &error), 0);
    assert_int_equal(json_get_integer(&element, "a", 1, 1, &number, &error), 0);
    assert_fault(json_array_object(&list, "list", 1, &element, &error), &error,
                 "sample: \"list\": element 1 must be an object");
    assert_fault(json_array_object(&list, "list", 2, &element, &error), &error,
                 "sample: \"list\": element 2 must be an object");
    assert_fault(json_get_array(&view, "list", 1, &list, &error), &error, "sample: \"list\": more than 1 elements");
}

static void unknown_keys_are_named(void **state)
{
    static const char *const all[] = { "in", NULL }, *const none[] = { NULL };
    struct json_view inner;
    struct error error;

    (void)state;
    assert_int_equal(json_get_object(&view, "object", &inner, &error), 0);
    assert_int_equal(json_check_keys(&inner, all, &error), 0);
    assert_fault(json_check_keys(&inner, none, &error), &error, "sample: \"in\": unknown key");
}

static void building(void **state)
{
    cleanup(json_free) struct json_object *object = json_object_new_object();
    struct json_object *list = json_object_new_array();
    struct error error;

    (void)state;
    assert_int_equal(json_add(object, "hex", json_new_hex("\x00\xff", 2), &error), 0);
    assert_int_equal(json_add(object, "base64", json_new_base64("foo", 3), &error), 0);
    assert_int_equal(json_add(object, "list", list, &error), 0);
    assert_int_equal(json_append(list, json_object_new_int(1), &error), 0);
    assert_string_equal(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN),
                        "{\"hex\":\"00ff\",\"base64\":\"Zm9v\",\"list\":[1]}");
    assert_int_equal(json_add(object, "lost", NULL, &error), ERROR_FAILED);
    assert_int_equal(json_append(list, NULL, &error), ERROR_FAILED);
    assert_false(json_object_object_get_ex(object, "lost", NULL));
    assert_int_equal(json_object_array_length(list), 1);
}

static void files(void **state)
{
    cleanup(json_free) struct json_object *again = NULL, *none = NULL;
    struct scratch scratch;
    struct json_view source = { .kind = ERROR_METADATA };
    struct error error;
    const char *path;

    (void)state;
    scratch_make(&scratch);
    path = scratch_path(&scratch, "a.json");
    assert_int_equal(json_write(path, document, 0600, &error), 0);
    source.source = path;
    assert_int_equal(json_read(&source, &again, &error), 0);
    assert_true(json_object_equal(document, again));

    source.source = scratch_write(&scratch, "bad.json", "{");
    assert_int_equal(json_read(&source, &none, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "bad.json"));
    source.source = scratch_path(&scratch, "missing.json");
    assert_int_equal(json_read(&source, &none, &error), ERROR_FAILED);
    scratch_write(&scratch, "nul.json", "{}x");
    assert_int_equal(truncate(scratch_path(&scratch, "nul.json"), 2), 0);
    assert_int_equal(truncate(scratch.path, 4), 0);
    source.source = scratch.path;
    assert_int_equal(json_read(&source, &none, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "NUL"));
    assert_null(none);
    scratch_remove(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_one_whole_object_is_taken),
        cmocka_unit_test(depth_and_size_are_limited),
        cmocka_unit_test_setup_teardown(good_values, parse_sample, free_sample),
        cmocka_unit_test_setup_teardown(faults_name_source_key_and_rule, parse_sample, free_sample),
        cmocka_unit_test_setup_teardown(types_are_not_converted, parse_sample, free_sample),
        cmocka_unit_test_setup_teardown(numbers_past_64_bits_are_out_of_range, parse_sample, free_sample),
        cmocka_unit_test_setup_teardown(arrays_and_their_elements, parse_sample, free_sample),
        cmocka_unit_test_setup_teardown(unknown_keys_are_named, parse_sample, free_sample),
        cmocka_unit_test(building),
        cmocka_unit_test_setup_teardown(files, parse_sample, free_sample),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
