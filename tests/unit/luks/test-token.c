#include "luks/token.h"

#include "base/cleanup.h"
#include "luks-edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct luks_file file;
static struct volume *volume;

static int make_volume(void **state)
{
    struct error error;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    return 0;
}

static int remove_volume(void **state)
{
    (void)state;
    volume_close(&volume);
    luks_file_remove(&file);
    return 0;
}

static int write_token(int *number, const char *text, struct error *error)
{
    cleanup(json_free) struct json_object *token = json_tokener_parse(text);

    assert_non_null(token);
    return volume_token_write(volume, number, token, error);
}

static void assert_token(int number, const char *text)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    struct error error;

    assert_int_equal(volume_token_read(volume, number, &token, &view, &error), 0);
    assert_ptr_equal(view.object, token);
    assert_int_equal(view.kind, ERROR_METADATA);
    assert_string_equal(json_object_to_json_string_ext(token, JSON_C_TO_STRING_PLAIN), text);
}

static void writes_reads_lists_removes(void **state)
{
    cleanup(json_free) struct json_object *gone = NULL;
    int first = -1, second = -1, seventh = 7;
    struct token_list list;
    struct json_view view;
    struct error error;

    (void)state;
    assert_int_equal(write_token(&first, "{\"type\":\"one\",\"keyslots\":[]}", &error), 0);
    assert_int_equal(first, 0);
    assert_int_equal(write_token(&second, "{\"type\":\"two\",\"keyslots\":[\"0\"]}", &error), 0);
    assert_int_equal(second, 1);
    assert_int_equal(write_token(&seventh, "{\"type\":\"one\",\"keyslots\":[],\"n\":7}", &error), 0);
    assert_int_equal(seventh, 7);
    assert_token(7, "{\"type\":\"one\",\"keyslots\":[],\"n\":7}");
    assert_int_equal(write_token(&seventh, "{\"type\":\"one\",\"keyslots\":[],\"n\":8}", &error), 0);
    assert_token(7, "{\"type\":\"one\",\"keyslots\":[],\"n\":8}");

    assert_int_equal(volume_tokens(volume, "one", &list, &error), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.numbers[0], 0);
    assert_int_equal(list.numbers[1], 7);
    assert_int_equal(volume_tokens(volume, "on", &list, &error), 0);
    assert_int_equal(list.count, 0);

    assert_int_equal(volume_token_remove(volume, 0, &error), 0);
    assert_int_equal(volume_token_read(volume, 0, &gone, &view, &error), ERROR_METADATA);
    assert_null(gone);
    assert_int_equal(volume_tokens(volume, "one", &list, &error), 0);
    assert_int_equal(list.count, 1);
}

static void survives_the_volume_being_opened_again(void **state)
{
    struct error error;
    int number = -1;

    (void)state;
    assert_int_equal(write_token(&number, "{\"type\":\"one\",\"keyslots\":[]}", &error), 0);
    volume_close(&volume);
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_token(number, "{\"type\":\"one\",\"keyslots\":[]}");
}

static void the_view_names_its_token(void **state)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    struct error error;
    const char *text;
    int number = 12;

    (void)state;
    assert_int_equal(write_token(&number, "{\"type\":\"one\",\"keyslots\":[]}", &error), 0);
    assert_int_equal(volume_token_read(volume, 12, &token, &view, &error), 0);
    assert_int_equal(json_get_string(&view, "label", 9, &text, &error), ERROR_METADATA);
    assert_string_equal(error.text, "token 12: \"label\": missing");
}

static void unused_and_impossible_numbers(void **state)
{
    static const int numbers[] = { -2, 32, 1000 };
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(numbers); i++) {
        int number = numbers[i];

        assert_int_equal(write_token(&number, "{\"type\":\"one\",\"keyslots\":[]}", &error), ERROR_USAGE);
        assert_int_equal(number, numbers[i]);
        assert_int_equal(volume_token_read(volume, number, &token, &view, &error), ERROR_METADATA);
        assert_int_equal(volume_token_remove(volume, number, &error), ERROR_METADATA);
    }
    assert_int_equal(volume_token_remove(volume, 3, &error), ERROR_METADATA);
}

static void no_number_is_free(void **state)
{
    uint8_t before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct error error;
    int number;

    (void)state;
    for (int i = 0; i < VOLUME_MAX_TOKENS; i++) {
        number = -1;
        assert_int_equal(write_token(&number, "{\"type\":\"one\",\"keyslots\":[]}", &error), 0);
        assert_int_equal(number, i);
    }
    luks_file_digest(&file, before);
    number = -1;
    assert_int_equal(write_token(&number, "{\"type\":\"one\",\"keyslots\":[]}", &error), ERROR_REFUSED);
    assert_int_equal(number, -1);
    luks_file_digest(&file, after);
    assert_memory_equal(before, after, DIGEST_BYTES);
    assert_int_equal(volume_token_remove(volume, 31, &error), 0);
    assert_int_equal(write_token(&number, "{\"type\":\"one\",\"keyslots\":[]}", &error), 0);
    assert_int_equal(number, 31);
}

/* Makes the header's text exactly as long as it may be, with one token. */
static size_t fill_area(int *number)
{
    size_t low = 0, high = 12288;
    struct error error;

    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        cleanup(json_free) struct json_object *token = json_tokener_parse("{\"type\":\"filler\",\"keyslots\":[]}");
        char text[12288];
        int r;

        memset(text, 'x', middle);
        text[middle] = '\0';
        json_object_object_add(token, "text", json_object_new_string(text));
        r = volume_token_write(volume, number, token, &error);
        assert_true(r == 0 || r == ERROR_REFUSED);
        *(r ? &high : &low) = middle;
    }
    return low;
}

/* Exactly full: what grows is refused and leaves file and memory as they were, the token to be replaced included. */
static void json_area_is_full(void **state)
{
    static const char small[] = "{\"type\":\"one\",\"keyslots\":[],\"n\":1}";
    uint8_t before[DIGEST_BYTES], after[DIGEST_BYTES];
    int one = 5, filler = 6, extra = -1;
    struct token_list list;
    struct error error;

    (void)state;
    assert_int_equal(write_token(&one, small, &error), 0);
    assert_in_range(fill_area(&filler), 8000, 12287);
    luks_file_digest(&file, before);

    assert_int_equal(write_token(&one, "{\"type\":\"one\",\"keyslots\":[],\"n\":10}", &error), ERROR_REFUSED);
    assert_non_null(strstr(error.text, "JSON area"));
    assert_true(error.remedy[0]);
    assert_int_equal(write_token(&extra, small, &error), ERROR_REFUSED);
    assert_int_equal(extra, -1);
    assert_token(5, small);
    assert_int_equal(volume_tokens(volume, "filler", &list, &error), 0);
    assert_int_equal(list.count, 1);
    luks_file_digest(&file, after);
    assert_memory_equal(before, after, DIGEST_BYTES);

    assert_int_equal(write_token(&one, "{\"type\":\"one\",\"keyslots\":[],\"n\":2}", &error), 0);
    volume_close(&volume);
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_token(5, "{\"type\":\"one\",\"keyslots\":[],\"n\":2}");
}

/* What libcryptsetup refuses leaves the token that was to be replaced. */
static void refused_tokens_change_nothing(void **state)
{
    static const char *const bad[] = {
        "{\"type\":\"one\",\"keyslots\":[\"9\"]}", /* no such keyslot */
        "{\"type\":\"one\"}", "{\"keyslots\":[]}",
        "{\"type\":\"luks2-unknown\",\"keyslots\":[]}", /* a prefix that is libcryptsetup's own */
    };
    uint8_t before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct error error;
    int number = 0;

    (void)state;
    assert_int_equal(write_token(&number, "{\"type\":\"one\",\"keyslots\":[]}", &error), 0);
    luks_file_digest(&file, before);
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_int_equal(write_token(&number, bad[i], &error), ERROR_FAILED);
        assert_token(0, "{\"type\":\"one\",\"keyslots\":[]}");
        luks_file_digest(&file, after);
        assert_memory_equal(before, after, DIGEST_BYTES);
    }
}

static void another_writer_is_noticed(void **state)
{
    cleanup(volume_close) struct volume *other = NULL;
    cleanup(json_free) struct json_object *token = json_tokener_parse("{\"type\":\"other\",\"keyslots\":[]}");
    struct error error;
    int number = -1, ours = -1;

    (void)state;
    assert_int_equal(volume_open(&other, file.path, &error), 0);
    assert_int_equal(volume_token_write(other, &number, token, &error), 0);
    assert_int_equal(write_token(&ours, "{\"type\":\"one\",\"keyslots\":[]}", &error), ERROR_FAILED);
    assert_int_equal(ours, -1);
    assert_token(0, "{\"type\":\"other\",\"keyslots\":[]}");
    assert_int_equal(write_token(&ours, "{\"type\":\"one\",\"keyslots\":[]}", &error), 0);
    assert_int_equal(ours, 1);
}

/* Whoever's tokens they are; one without a list names none. */
static void keyslots_that_tokens_name(void **state)
{
    int first = -1, second = -1;
    uint32_t mask = 1;
    struct error error;

    (void)state;
    assert_int_equal(volume_token_keyslots(volume, &mask, &error), 0);
    assert_int_equal(mask, 0);
    assert_int_equal(write_token(&first, "{\"type\":\"other\",\"keyslots\":[]}", &error), 0);
    assert_int_equal(volume_token_keyslots(volume, &mask, &error), 0);
    assert_int_equal(mask, 0);
    assert_int_equal(write_token(&second, "{\"type\":\"bootseal\",\"keyslots\":[\"0\"]}", &error), 0);
    assert_int_equal(volume_token_keyslots(volume, &mask, &error), 0);
    assert_int_equal(mask, 1);
}

static void new_tokens_have_a_head(void **state)
{
    cleanup(json_free) struct json_object *with = NULL, *without = NULL;
    struct error error;

    (void)state;
    assert_int_equal(token_new("bootseal", 31, &with, &error), 0);
    assert_string_equal(json_object_to_json_string_ext(with, JSON_C_TO_STRING_PLAIN),
                        "{\"type\":\"bootseal\",\"keyslots\":[\"31\"],\"version\":1}");
    assert_int_equal(token_new("bootseal-approval", -1, &without, &error), 0);
    assert_string_equal(json_object_to_json_string_ext(without, JSON_C_TO_STRING_PLAIN),
                        "{\"type\":\"bootseal-approval\",\"keyslots\":[],\"version\":1}");
}

static int refusal_of(const char *text, struct error *error)
{
    cleanup(json_free) struct json_object *token = json_tokener_parse(text);
    struct json_view view = { .object = token, .source = "token 0", .kind = ERROR_METADATA };

    assert_non_null(token);
    return token_refuse_newer(&view, error);
}

static void only_what_a_later_version_wrote_is_not_written_over(void **state)
{
    static const char *const ours[] = { "{\"version\":1}",  "{\"version\":0}",     "{\"version\":-2}", "{}",
                                        "{\"version\":[]}", "{\"version\":\"2\"}", "{\"version\":2.5}" };
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(ours); i++)
        assert_int_equal(refusal_of(ours[i], &error), 0);
    assert_int_equal(refusal_of("{\"version\":2}", &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "token 0: \"version\": 2"));
    assert_non_null(strstr(error.remedy, "newer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_reads_lists_removes, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(survives_the_volume_being_opened_again, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(the_view_names_its_token, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(unused_and_impossible_numbers, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(no_number_is_free, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(json_area_is_full, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(refused_tokens_change_nothing, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(another_writer_is_noticed, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(keyslots_that_tokens_name, make_volume, remove_volume),
        cmocka_unit_test(new_tokens_have_a_head),
        cmocka_unit_test(only_what_a_later_version_wrote_is_not_written_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
