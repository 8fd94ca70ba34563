#include "base/cleanup.h"
#include "luks-edit.h"
#include "luks/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char good[] =
    "{\"type\":\"bootseal-recovery\",\"keyslots\":[\"0\"],\"version\":1,\"id\":\"1f3a90c4\","
    "\"created\":\"2026-11-21T20:00:00Z\",\"used\":\"2026-12-01T06:12:00Z\",\"escrow\":{\"server\":\"a\"},\"more\":7}";

static int parse(const char *text, struct recovery *ret, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view = { .source = "token 3", .kind = ERROR_METADATA };
    int r = json_parse(text, &view, &token, error);

    return r ? r : recovery_from_json(&view, 3, ret, error);
}

static void a_token_is_read(void **state)
{
    struct recovery recovery;
    struct error error;

    (void)state;
    assert_int_equal(parse(good, &recovery, &error), 0);
    assert_int_equal(recovery.token, 3);
    assert_int_equal(recovery.keyslot, 0);
    assert_string_equal(recovery.id, "1f3a90c4");
    assert_string_equal(recovery.created, "2026-11-21T20:00:00Z");
    assert_string_equal(recovery.used, "2026-12-01T06:12:00Z");
}

static void a_damaged_token_is_refused(void **state)
{
    static const struct {
        const char *key, *json;
    } rows[] = {
        { "type", "\"bootseal\"" },
        { "version", "2" },
        { "version", "\"1\"" },
        { "keyslots", "[\"0\", \"1\"]" },
        { "keyslots", "[\"32\"]" },
        { "keyslots", "[0]" },
        { "keyslots", "\"0\"" },
        { "id", "\"1F3A90C4\"" },
        { "id", "\"1f3a90c\"" },
        { "id", "\"1f3a90c4a\"" },
        { "id", "\"1f3a90cg\"" },
        { "id", "17" },
        { "created", "\"2026-02-30T20:00:00Z\"" },
        { "created", "\"yesterday\"" },
        { "used", "\"\"" },
        { "used", "null" },
    };

    (void)state;
    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup(json_free) struct json_object *token = json_tokener_parse(good);
        struct recovery recovery;
        struct error error;

        json_object_object_add(token, rows[i].key, json_tokener_parse(rows[i].json));
        if (parse(json_object_to_json_string(token), &recovery, &error) != ERROR_METADATA)
            fail_msg("\"%s\": %s was taken", rows[i].key, rows[i].json);
        assert_non_null(strstr(error.text, rows[i].key));
        json_object_object_del(token, rows[i].key);
        assert_int_equal(parse(json_object_to_json_string(token), &recovery, &error),
                         strcmp(rows[i].key, "used") == 0 ? 0 : ERROR_METADATA);
    }
}

static void what_is_not_known_is_kept(void **state)
{
    cleanup(json_free) struct json_object *base = json_tokener_parse(good), *token = NULL, *fresh = NULL;
    cleanup(json_free) struct json_object *changed = NULL;
    struct recovery recovery;
    struct error error;

    (void)state;
    assert_int_equal(parse(good, &recovery, &error), 0);
    assert_int_equal(recovery_to_json(&recovery, base, &token, &error), 0);
    assert_true(json_object_equal(base, token));
    recovery.used[0] = '\0';
    recovery.keyslot = -1;
    assert_int_equal(recovery_to_json(&recovery, base, &changed, &error), 0);
    assert_false(json_object_object_get_ex(changed, "used", NULL));
    assert_int_equal(json_object_array_length(json_object_object_get(changed, "keyslots")), 0);
    assert_int_equal(recovery_to_json(&recovery, NULL, &fresh, &error), 0);
    assert_true(json_object_object_get_ex(fresh, "escrow", NULL));
    assert_null(json_object_object_get(fresh, "escrow"));
}

/* One that is damaged does not hide the others, and its keyslot is still somebody's. */
static void lists_all_of_a_volume(void **state)
{
    cleanup(json_free) struct json_object *token = json_tokener_parse(good), *damaged = json_tokener_parse(good);
    cleanup(volume_close) struct volume *volume = NULL;
    struct recovery_list list;
    struct luks_file file;
    struct error error;
    int four = 4, nine = 9;
    uint32_t mask;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_int_equal(recovery_list_read(volume, &list, &error), 0);
    assert_int_equal(list.count + list.damaged, 0);
    assert_int_equal(recovery_keyslots(volume, &mask, &error), 0);
    assert_int_equal(mask, 0);

    json_object_object_add(damaged, "version", json_object_new_int(2));
    assert_int_equal(volume_token_write(volume, &four, damaged, &error), 0);
    assert_int_equal(recovery_keyslots(volume, &mask, &error), 0);
    assert_int_equal(mask, 1);
    json_object_object_add(token, "keyslots", json_object_new_array());
    assert_int_equal(volume_token_write(volume, &nine, token, &error), 0);
    assert_int_equal(recovery_list_read(volume, &list, &error), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.damaged, 1);
    assert_int_equal(list.items[0].token, 9);
    assert_int_equal(list.items[0].keyslot, -1);
    assert_ptr_equal(recovery_list_find(&list, "1F3A90C4"), &list.items[0]);
    assert_null(recovery_list_find(&list, "1f3a90c5"));
    luks_file_remove(&file);
}

static void a_used_key_is_marked(void **state)
{
    cleanup(json_free) struct json_object *token = json_tokener_parse(good), *after = NULL;
    cleanup(volume_close) struct volume *volume = NULL;
    struct recovery_list list;
    struct luks_file file;
    struct json_view view;
    struct error error;
    int number = -1;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    json_object_object_del(token, "used");
    assert_int_equal(volume_token_write(volume, &number, token, &error), 0);
    assert_int_equal(recovery_mark_used(volume, number, &error), 0);
    assert_int_equal(recovery_list_read(volume, &list, &error), 0);
    assert_int_equal(strlen(list.items[0].used), 20);
    assert_int_equal(volume_token_read(volume, number, &after, &view, &error), 0);
    json_object_object_del(after, "used");
    assert_true(json_object_equal(after, token)); /* escrow and all */
    assert_int_equal(recovery_mark_used(volume, number + 1, &error), ERROR_METADATA);
    luks_file_remove(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_read),           cmocka_unit_test(a_damaged_token_is_refused),
        cmocka_unit_test(what_is_not_known_is_kept), cmocka_unit_test(lists_all_of_a_volume),
        cmocka_unit_test(a_used_key_is_marked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
