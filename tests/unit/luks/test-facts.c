/* The facts stay the same under everything that bootseal itself changes, and show every edit of the segment. */
#include "base/cleanup.h"
#include "base/encode.h"
#include "luks-edit.h"
#include "luks/internal.h"
#include "luks/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int read_facts(struct volume_facts *ret, struct error *error)
{
    cleanup(volume_close) struct volume *volume = NULL;

    assert_int_equal(volume_open(&volume, luks_case.path, error), 0);
    return volume_facts_read(volume, ret, error);
}

static void tells_what_the_volume_is(void **state)
{
    struct volume_facts facts;
    struct error error;

    (void)state;
    assert_int_equal(read_facts(&facts, &error), 0);
    assert_string_equal(facts.uuid, LUKS_FILE_UUID);
    assert_string_equal(facts.cipher, "aes-xts-plain64");
    assert_int_equal(facts.key_size_bytes, 64);
    assert_int_equal(facts.sector_size_bytes, 512);
    assert_int_equal(facts.offset_bytes, 2 * 1024 * 1024);
}

/* Pins are in the field: this digest must never become another one. */
static void digest_is_the_documented_one(void **state)
{
    struct volume_facts facts;
    struct error error;
    char text[HEX_TEXT(DIGEST_BYTES)];

    (void)state;
    luks_set(luks_case.path, "segments/0/offset", "\"16777216\"");
    luks_set(luks_case.path, "digests/0/iterations", "1000");
    luks_set(luks_case.path, "digests/0/salt", "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"");
    luks_set(luks_case.path, "digests/0/digest", "\"//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=\"");
    assert_int_equal(read_facts(&facts, &error), 0);
    hex_encode(facts.digest.bytes, DIGEST_BYTES, text);
    assert_string_equal(text, "257f867ed2a92a1e018da57625b92c19402fbc02161754166d1dfdf294742552");
}

static void keyslots_and_tokens_are_no_facts(void **state)
{
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(secret_free) struct secret passphrase = { 0 }, key = { 0 };
    cleanup(json_free) struct json_object *token = NULL;
    struct volume_facts before, after;
    struct error error;
    int slot, number = -1;

    (void)state;
    assert_int_equal(secret_copy(&passphrase, LUKS_FILE_PASSPHRASE, strlen(LUKS_FILE_PASSPHRASE), &error), 0);
    assert_int_equal(volume_open(&volume, luks_case.path, &error), 0);
    assert_int_equal(volume_facts_read(volume, &before, &error), 0);
    assert_int_equal(volume_keyslot_open(volume, -1, &passphrase, &key, NULL, &error), 0);
    assert_int_equal(volume_keyslot_add(volume, &key, &passphrase, &slot, &error), 0);
    assert_int_equal(token_new("bootseal", slot, &token, &error), 0);
    assert_int_equal(volume_token_write(volume, &number, token, &error), 0);
    assert_int_equal(volume_facts_read(volume, &after, &error), 0);
    assert_memory_equal(&before, &after, sizeof(before));

    assert_int_equal(volume_keyslot_remove(volume, slot, &error), 0);
    assert_int_equal(volume_keyslot_remove(volume, 0, &error), 0);
    assert_int_equal(read_facts(&after, &error), 0);
    assert_true(digest_equal(&before.digest, &after.digest));
    assert_int_equal(after.key_size_bytes, 0);
}

/* Edits that leave a header that could be somebody's: another digest. */
static void edits_change_the_digest(void **state)
{
    static const char *const edits[][2] = {
        { "segments/0/offset", "\"2101248\"" },
        { "segments/0/sector_size", "4096" },
        { "segments/0/iv_tweak", "\"8\"" },
        { "segments/0/encryption", "\"serpent-xts-plain64\"" },
        { "digests/0/hash", "\"sha512\"" },
        { "digests/0/iterations", "1001" },
        { "digests/0/salt", "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"" },
        { "digests/0/digest", "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"" },
    };
    struct volume_facts first, facts;
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(edits); i++) {
        luks_case_remove(NULL);
        luks_case_make(NULL);
        assert_int_equal(read_facts(&first, &error), 0);
        luks_set(luks_case.path, edits[i][0], edits[i][1]);
        assert_int_equal(read_facts(&facts, &error), 0);
        assert_false(digest_equal(&first.digest, &facts.digest));
    }
}

/* Edits that bootseal never opens, pins or no pins. Where there are no words, libcryptsetup itself refuses the header.
 */
static void edits_are_refused(void **state)
{
    static const struct {
        const char *member, *json, *words;
    } edits[] = {
        { "segments/0/encryption", "\"cipher_null-ecb\"", "\"cipher_null-ecb\" is not a cipher" },
        { "segments/0/encryption", "\"aes-cbc-plain\"", "is not a cipher" },
        { "segments/0/encryption", "\"aes-xts-plain64 \"", "is not a cipher" },
        { "segments/0/encryption", "\"\\u001b[2Jnull\"", "\"?[2Jnull\" is not a cipher" },
        { "segments/0/encryption", "\"\"", NULL },
        { "segments/0/size", "\"1048576\"", "\"size\"" },
        { "segments/0/sector_size", "1536", "\"sector_size\": is not a power of two" },
        { "segments/0/sector_size", "\"512\"", NULL },
        { "segments/0/offset", "\"02097152\"", "\"offset\"" },
        { "segments/0/offset", "2097152", NULL },
        { "segments/0/iv_tweak", "\"-1\"", NULL },
        { "segments/0/integrity", "{\"type\":\"aead\",\"journal_encryption\":\"none\",\"journal_integrity\":\"none\"}",
          "\"integrity\": unknown key" },
        { "segments/0/flags", "[\"backup-final\"]", NULL },
        { "segments/0/flags", "[\"other\"]", "\"flags\": unknown key" },
        { "segments",
          "{\"0\":{\"type\":\"crypt\",\"offset\":\"2097152\",\"size\":\"1048576\",\"iv_tweak\":\"0\","
          "\"encryption\":\"aes-xts-plain64\",\"sector_size\":512},"
          "\"1\":{\"type\":\"linear\",\"offset\":\"3145728\",\"size\":\"dynamic\"}}",
          "\"segments\": must be exactly one" },
        { "segments/0", "{\"type\":\"linear\",\"offset\":\"2097152\",\"size\":\"dynamic\"}", "\"type\"" },
        { "segments/1", "{\"type\":\"linear\",\"offset\":\"4194304\",\"size\":\"dynamic\"}", NULL },
        { "segments", "{}", NULL },
        { "config/requirements", "{\"mandatory\":[\"from-the-future\"]}", "\"requirements\"" },
        { "config/requirements", "{\"optional\":[\"anything\"]}", "\"requirements\"" },
        { "digests/0/type", "\"argon\"", "\"type\"" },
        { "digests/0/hash", "\"0123456789012345678901234567890123\"", "\"hash\"" },
        { "digests/0/iterations", "-1", "\"iterations\"" },
        { "digests/0/salt", "\"\"", "\"salt\"" },
        { "digests/0/digest", "\"a\"", "\"digest\"" },
        { "digests/0/extra", "\"\"", "\"extra\": unknown key" },
        { "digests/0/segments", "[]", NULL },
        { "keyslots/0/key_size", "4096", "\"key_size\"" },
    };
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(edits); i++) {
        cleanup(volume_close) struct volume *volume = NULL;
        struct volume_facts facts;
        int r;

        luks_case_remove(NULL);
        luks_case_make(NULL);
        luks_set(luks_case.path, edits[i].member, edits[i].json);
        r = volume_open(&volume, luks_case.path, &error);
        if (r != (edits[i].words ? 0 : ERROR_NOT_LUKS2))
            fail_msg("%s = %s: opened with %d", edits[i].member, edits[i].json, r);
        if (r)
            continue;
        assert_int_equal(volume_facts_read(volume, &facts, &error), ERROR_METADATA);
        if (!strstr(error.text, edits[i].words))
            fail_msg("%s: %s", edits[i].words, error.text);
    }
}

static void requirements_that_ask_for_nothing_are_fine(void **state)
{
    struct volume_facts facts;
    struct error error;

    (void)state;
    luks_set(luks_case.path, "config/requirements", "{\"mandatory\":[]}");
    assert_int_equal(read_facts(&facts, &error), 0);
}

static void add_second_digest(struct json_object *metadata, const void *context)
{
    struct json_object *copy = NULL;

    assert_int_equal(json_object_deep_copy(luks_member(metadata, "digests/0"), &copy, NULL), 0);
    json_object_object_add(copy, "keyslots", json_object_new_array());
    if (context)
        json_object_object_add(copy, "segments", json_object_new_array());
    json_object_object_add(luks_member(metadata, "digests"), "1", copy);
}

/* A second record for the segment is an attack; one for an unbound key is none. */
static void one_digest_record_for_the_segment(void **state)
{
    struct volume_facts first, facts;
    struct error error;

    (void)state;
    assert_int_equal(read_facts(&first, &error), 0);
    luks_edit(luks_case.path, add_second_digest, "unbound");
    assert_int_equal(read_facts(&facts, &error), 0);
    assert_true(digest_equal(&first.digest, &facts.digest));
    luks_edit(luks_case.path, add_second_digest, NULL);
    assert_int_equal(read_facts(&facts, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "there are 2"));
}

static void add_keyslot(struct json_object *metadata, const void *context)
{
    struct json_object *copy = NULL;

    (void)context;
    assert_int_equal(json_object_deep_copy(luks_member(metadata, "keyslots/0"), &copy, NULL), 0);
    json_object_object_add(copy, "key_size", json_object_new_int(32));
    json_object_object_add(json_object_object_get(copy, "area"), "offset", json_object_new_string("540672"));
    json_object_object_add(luks_member(metadata, "keyslots"), "1", copy);
    json_object_array_add(luks_member(metadata, "digests/0/keyslots"), json_object_new_string("1"));
}

static void keyslots_must_agree_on_the_key_size(void **state)
{
    struct volume_facts facts;
    struct error error;

    (void)state;
    luks_edit(luks_case.path, add_keyslot, NULL);
    assert_int_equal(read_facts(&facts, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "another size"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_what_the_volume_is, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(digest_is_the_documented_one, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(keyslots_and_tokens_are_no_facts, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(edits_change_the_digest, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(edits_are_refused, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(requirements_that_ask_for_nothing_are_fine, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(one_digest_record_for_the_segment, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(keyslots_must_agree_on_the_key_size, luks_case_make, luks_case_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
