#include "base/cleanup.h"
#include "luks-edit.h"
#include "luks/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char good[] =
    "{\"type\":\"bootseal\",\"keyslots\":[\"0\"],\"version\":1,\"id\":\"0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071\","
    "\"kind\":\"tpm2\",\"label\":\"\",\"payload\":\"keyslot\",\"created\":\"2026-11-21T20:00:00Z\",\"tpm\":{"
    "\"srk\":\"000b00000000000000000000000000000000000000000000000000000000000000ff\","
    "\"approval\":\"000b00000000000000000000000000000000000000000000000000000000000000ff\","
    "\"private\":\"cHJpdmF0ZQ==\",\"public\":\"cHVibGlj\"}}";

static void lists_all_of_a_volume(void **state)
{
    cleanup(json_free) struct json_object *token = json_tokener_parse(good), *damaged = NULL;
    cleanup(protector_list_free) struct protector_list list = { 0 }, none = { 0 };
    cleanup(volume_close) struct volume *volume = NULL;
    struct luks_file file;
    struct error error;
    int four = 4, nine = 9;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_int_equal(protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &none, &error), 0);
    assert_int_equal(none.count, 0);

    assert_int_equal(volume_token_write(volume, &nine, token, &error), 0);
    assert_int_equal(volume_token_write(volume, &four, token, &error), 0);
    assert_int_equal(protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, &error), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].token, 4);
    assert_int_equal(list.items[1].token, 9);
    protector_list_free(&list);
    assert_int_equal(protector_list_read(volume, TOKEN_TYPE_PENDING, &list, &error), 0);
    assert_int_equal(list.count, 0);
    protector_list_free(&list);

    json_object_deep_copy(token, &damaged, NULL);
    json_object_object_del(damaged, "id");
    assert_int_equal(volume_token_write(volume, &nine, damaged, &error), 0);
    assert_int_equal(protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "token 9: \"id\": missing"));
    assert_int_equal(list.count, 0);
    luks_file_remove(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_all_of_a_volume),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
