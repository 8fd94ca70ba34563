#include "base/cleanup.h"
#include "luks-edit.h"
#include "luks/volume.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FULL_AREA                                                                                                      \
    (16 * 1024 * 1024 - 32 * 1024) /* cryptsetup's default: room for more keyslots than there are numbers */

#define SALT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" /* 32 bytes */

static struct luks_file file;
static struct volume *volume;
static struct secret passphrase, key;

static void open_volume(const struct luks_form *form)
{
    struct error error;

    luks_file_make(&file, form);
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_int_equal(secret_copy(&passphrase, LUKS_FILE_PASSPHRASE, strlen(LUKS_FILE_PASSPHRASE), &error), 0);
    assert_int_equal(volume_keyslot_open(volume, -1, &passphrase, &key, NULL, &error), 0);
}

static int make_volume(void **state)
{
    (void)state;
    open_volume(&(struct luks_form){ 0 });
    return 0;
}

static int remove_volume(void **state)
{
    (void)state;
    volume_close(&volume);
    secret_free(&passphrase);
    secret_free(&key);
    luks_file_remove(&file);
    return 0;
}

static void assert_unchanged(const uint8_t before[DIGEST_BYTES])
{
    uint8_t after[DIGEST_BYTES];

    luks_file_digest(&file, after);
    assert_memory_equal(before, after, DIGEST_BYTES);
}

static void opens_with_the_right_passphrase(void **state)
{
    cleanup(secret_free) struct secret again = { 0 };
    struct error error;
    uint32_t mask;
    int slot = -1;

    (void)state;
    assert_int_equal(key.size, 64);
    assert_int_equal(volume_keyslots(volume, &mask, &error), 0);
    assert_int_equal(mask, 1);
    assert_int_equal(volume_keyslot_open(volume, 0, &passphrase, &again, &slot, &error), 0);
    assert_int_equal(slot, 0);
    assert_true(secret_equal(&key, &again));
    assert_int_equal(volume_keyslot_open(volume, 0, &passphrase, NULL, NULL, &error), 0);
}

static void refuses_a_wrong_passphrase(void **state)
{
    cleanup(secret_free) struct secret wrong = { 0 }, nothing = { 0 };
    struct error error;
    int slot = 77;

    (void)state;
    assert_int_equal(secret_copy(&wrong, "a passphrase", 12, &error), 0);
    assert_int_equal(volume_keyslot_open(volume, 0, &wrong, &nothing, &slot, &error), ERROR_WRONG_PIN);
    assert_int_equal(volume_keyslot_open(volume, -1, &wrong, &nothing, &slot, &error), ERROR_WRONG_PIN);
    assert_null(nothing.bytes);
    assert_int_equal(slot, 77);
    assert_null(strstr(error.text, "a passphrase\""));
}

static void refuses_impossible_passphrases(void **state)
{
    cleanup(secret_free) struct secret longest = { 0 }, empty = { 0 };
    struct error error;
    int slot;

    (void)state;
    assert_int_equal(secret_random(&longest, VOLUME_MAX_PASSPHRASE_BYTES + 1, &error), 0);
    assert_int_equal(volume_keyslot_open(volume, 0, &longest, NULL, NULL, &error), ERROR_USAGE);
    assert_int_equal(volume_keyslot_add(volume, &key, &longest, &slot, &error), ERROR_USAGE);
    assert_int_equal(volume_keyslot_open(volume, 0, &empty, NULL, NULL, &error), ERROR_USAGE);
    assert_int_equal(volume_keyslot_add(volume, &key, &empty, &slot, &error), ERROR_USAGE);
    longest.size--;
    assert_int_equal(volume_keyslot_add(volume, &key, &longest, &slot, &error), 0);
    assert_int_equal(volume_keyslot_open(volume, slot, &longest, NULL, NULL, &error), 0);
}

static void unused_keyslots_are_told(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(volume_keyslot_open(volume, 1, &passphrase, NULL, NULL, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "keyslot 1 is not in use"));
    assert_int_equal(volume_keyslot_open(volume, 99, &passphrase, NULL, NULL, &error), ERROR_METADATA);
    assert_int_equal(volume_keyslot_remove(volume, 1, &error), ERROR_METADATA);
    assert_int_equal(volume_keyslot_remove(volume, -1, &error), ERROR_METADATA);
    assert_int_equal(volume_keyslot_remove(volume, 32, &error), ERROR_METADATA);
}

static void check_kdf(struct json_object *metadata, const void *context)
{
    (void)context;
    assert_string_equal(json_object_get_string(luks_member(metadata, "keyslots/1/kdf/type")), "pbkdf2");
    assert_string_equal(json_object_get_string(luks_member(metadata, "keyslots/1/kdf/hash")), "sha256");
    assert_int_equal(json_object_get_int(luks_member(metadata, "keyslots/1/kdf/iterations")), 1000);
}

static void adds_and_removes(void **state)
{
    cleanup(secret_free) struct secret other = { 0 };
    struct error error;
    uint32_t mask;
    int slot;

    (void)state;
    assert_int_equal(secret_random(&other, 44, &error), 0);
    assert_int_equal(volume_keyslot_add(volume, &key, &other, &slot, &error), 0);
    assert_int_equal(slot, 1);
    luks_edit(file.path, check_kdf, NULL);
    assert_int_equal(volume_keyslot_open(volume, slot, &other, NULL, NULL, &error), 0);
    assert_int_equal(volume_keyslot_open(volume, 0, &other, NULL, NULL, &error), ERROR_WRONG_PIN);
    assert_int_equal(volume_keyslot_remove(volume, slot, &error), 0);
    assert_int_equal(volume_keyslots(volume, &mask, &error), 0);
    assert_int_equal(mask, 1);
    assert_int_equal(volume_keyslot_open(volume, -1, &other, NULL, NULL, &error), ERROR_WRONG_PIN);
    assert_int_equal(volume_keyslot_remove(volume, 0, &error), 0);
    assert_int_equal(volume_keyslot_open(volume, -1, &passphrase, NULL, NULL, &error), ERROR_METADATA);
}

static void refuses_another_volumes_key(void **state)
{
    cleanup(secret_free) struct secret foreign = { 0 }, too_long = { 0 }, none = { 0 };
    uint8_t before[DIGEST_BYTES];
    struct error error;
    int slot;

    (void)state;
    luks_file_digest(&file, before);
    assert_int_equal(secret_random(&foreign, 64, &error), 0);
    assert_int_equal(secret_random(&too_long, 65, &error), 0);
    assert_int_equal(volume_keyslot_add(volume, &foreign, &passphrase, &slot, &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, "another volume's"));
    foreign.size = 32;
    assert_int_equal(volume_keyslot_add(volume, &foreign, &passphrase, &slot, &error), ERROR_FAILED);
    assert_int_equal(volume_keyslot_add(volume, &too_long, &passphrase, &slot, &error), ERROR_USAGE);
    assert_int_equal(volume_keyslot_add(volume, &none, &passphrase, &slot, &error), ERROR_USAGE);
    assert_unchanged(before);
}

static void no_keyslot_is_free(void **state)
{
    uint8_t before[DIGEST_BYTES];
    struct error error;
    uint32_t mask;
    int slot;

    (void)state;
    open_volume(&(struct luks_form){ .keyslots_bytes = FULL_AREA });
    for (int i = 1; i < VOLUME_MAX_KEYSLOTS; i++) {
        assert_int_equal(volume_keyslot_add(volume, &key, &passphrase, &slot, &error), 0);
        assert_int_equal(slot, i);
    }
    luks_file_digest(&file, before);
    assert_int_equal(volume_keyslot_add(volume, &key, &passphrase, &slot, &error), ERROR_REFUSED);
    assert_non_null(strstr(error.text, "all 32 keyslots are in use"));
    assert_unchanged(before);
    assert_int_equal(volume_keyslots(volume, &mask, &error), 0);
    assert_int_equal(mask, UINT32_MAX);

    assert_int_equal(volume_keyslot_remove(volume, 7, &error), 0);
    assert_int_equal(volume_keyslot_add(volume, &key, &passphrase, &slot, &error), 0);
    assert_int_equal(slot, 7);
}

static void keyslot_area_is_full(void **state)
{
    uint8_t before[DIGEST_BYTES];
    struct error error;
    int slot;

    (void)state;
    for (int i = 1; i < 4; i++)
        assert_int_equal(volume_keyslot_add(volume, &key, &passphrase, &slot, &error), 0);
    luks_file_digest(&file, before);
    assert_int_equal(volume_keyslot_add(volume, &key, &passphrase, &slot, &error), ERROR_REFUSED);
    assert_non_null(strstr(error.text, "no room for another keyslot"));
    assert_unchanged(before);
    assert_int_equal(volume_keyslot_open(volume, 3, &passphrase, NULL, NULL, &error), 0);
}

static void add_filler(struct json_object *metadata, const void *context)
{
    const size_t *left = context;
    size_t length = 0, area = 12288 - 1;
    struct json_object *filler = json_tokener_parse("{\"type\":\"filler\",\"keyslots\":[],\"text\":\"\"}");
    char text[12288];

    json_object_object_add(luks_member(metadata, "tokens"), "31", filler);
    json_object_to_json_string_length(metadata, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
    memset(text, 'x', sizeof(text));
    text[area - length - *left] = '\0';
    json_object_object_add(filler, "text", json_object_new_string(text));
}

static void json_area_is_full(void **state)
{
    size_t left = 500, enough = 600;
    uint8_t before[DIGEST_BYTES];
    struct error error;
    int slot;

    (void)state;
    luks_edit(file.path, add_filler, &left);
    volume_close(&volume);
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    luks_file_digest(&file, before);
    assert_int_equal(volume_keyslot_add(volume, &key, &passphrase, &slot, &error), ERROR_REFUSED);
    assert_non_null(strstr(error.text, "JSON area"));
    assert_unchanged(before);

    luks_edit(file.path, add_filler, &enough);
    volume_close(&volume);
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_int_equal(volume_keyslot_add(volume, &key, &passphrase, &slot, &error), 0);
}

/* An attacker's keyslot for a key of his own must not pass for the volume's. */
static void unbound_key_is_not_the_volume_key(void **state)
{
    cleanup(secret_free) struct secret got = { 0 };
    struct error error;

    (void)state;
    luks_file_add_unbound(&file, 1, LUKS_FILE_PASSPHRASE);
    volume_close(&volume);
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_int_equal(volume_keyslot_open(volume, 1, &passphrase, &got, NULL, &error), ERROR_METADATA);
    assert_null(got.bytes);
    assert_int_equal(volume_keyslot_open(volume, -1, &passphrase, &got, NULL, &error), 0);
    assert_true(secret_equal(&got, &key));
}

/* Somebody else changed the header since it was opened: refused, and the next try is good. */
static void another_writer_is_noticed(void **state)
{
    cleanup(volume_close) struct volume *other = NULL;
    struct error error;
    uint32_t mask;
    int slot;

    (void)state;
    assert_int_equal(volume_open(&other, file.path, &error), 0);
    assert_int_equal(volume_keyslot_add(other, &key, &passphrase, &slot, &error), 0);
    assert_int_equal(volume_keyslot_add(volume, &key, &passphrase, &slot, &error), ERROR_FAILED);
    assert_int_equal(volume_keyslots(volume, &mask, &error), 0);
    assert_int_equal(mask, 3);
    assert_int_equal(volume_keyslot_add(volume, &key, &passphrase, &slot, &error), 0);
    assert_int_equal(slot, 2);
}

static void volume_key_is_known(void **state)
{
    cleanup(secret_free) struct secret other = { 0 }, longer = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(volume_key_check(volume, &key, &error), 0);
    assert_int_equal(volume_keyslot_remove(volume, 0, &error), 0);
    assert_int_equal(volume_key_check(volume, &key, &error), 0); /* by the digest, which needs no keyslot */
    assert_int_equal(secret_new(&longer, VOLUME_MAX_KEY_BYTES + 1, &error), 0);
    longer.size = longer.capacity;
    assert_int_equal(volume_key_check(volume, &longer, &error), ERROR_METADATA);
    assert_int_equal(volume_key_check(volume, &other, &error), ERROR_METADATA);
    key.size--;
    assert_int_equal(volume_key_check(volume, &key, &error), ERROR_METADATA);
    key.size++;
    key.bytes[0] ^= 1;
    assert_int_equal(volume_key_check(volume, &key, &error), ERROR_METADATA);
}

static void check_priority(struct json_object *metadata, const void *context)
{
    char path[32];

    snprintf(path, sizeof(path), "keyslots/%d/priority", *(const int *)context);
    assert_int_equal(json_object_get_int(luks_member(metadata, path)), 2);
}

static void priority_is_carried_over(void **state)
{
    cleanup(secret_free) struct secret other = { 0 };
    struct error error;
    int slot;

    (void)state;
    assert_int_equal(secret_copy(&other, "another passphrase", 18, &error), 0);
    assert_int_equal(volume_keyslot_add(volume, &key, &other, &slot, &error), 0);
    assert_int_equal(volume_keyslot_copy_priority(volume, 0, slot, &error), 0);
    luks_set(file.path, "keyslots/0/priority", "2");
    volume_close(&volume);
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_int_equal(volume_keyslot_copy_priority(volume, 0, slot, &error), 0);
    luks_edit(file.path, check_priority, &(int){ slot });
    assert_int_equal(volume_keyslot_copy_priority(volume, 0, 7, &error), ERROR_METADATA);
    assert_int_equal(volume_keyslot_copy_priority(volume, 7, 0, &error), ERROR_METADATA);
}

/* A header that would keep the machine busy for hours. */
static void refuses_a_cost_that_was_raised(void **state)
{
    static const struct {
        const char *json;
        bool taken;
    } costs[] = {
        { "{\"type\":\"pbkdf2\",\"hash\":\"sha256\",\"iterations\":2000000000,\"salt\":\"" SALT "\"}", false },
        { "{\"type\":\"argon2id\",\"time\":4,\"memory\":4194304,\"cpus\":1,\"salt\":\"" SALT "\"}", false },
        { "{\"type\":\"argon2id\",\"time\":1000000,\"memory\":65536,\"cpus\":1,\"salt\":\"" SALT "\"}", false },
        { "{\"type\":\"argon2id\",\"time\":4,\"memory\":8192,\"cpus\":1,\"salt\":\"" SALT "\"}", true },
        { "{\"type\":\"pbkdf2\",\"hash\":\"sha256\",\"iterations\":2000,\"salt\":\"" SALT "\"}", true },
    };
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(costs); i++) {
        const enum error_kind kind = costs[i].taken ? ERROR_WRONG_PIN : ERROR_METADATA;

        volume_close(&volume);
        luks_set(file.path, "keyslots/0/kdf", costs[i].json);
        assert_int_equal(volume_open(&volume, file.path, &error), 0);
        if (volume_keyslot_open(volume, 0, &passphrase, NULL, NULL, &error) != (int)kind)
            fail_msg("%s: %s", costs[i].json, error.text);
        if (!costs[i].taken)
            assert_int_equal(volume_activate(volume, "n", 0, &passphrase, &(struct volume_options){ 0 }, &error), kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opens_with_the_right_passphrase, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(refuses_a_wrong_passphrase, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(refuses_impossible_passphrases, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(unused_keyslots_are_told, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(adds_and_removes, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(refuses_another_volumes_key, make_volume, remove_volume),
        cmocka_unit_test_teardown(no_keyslot_is_free, remove_volume),
        cmocka_unit_test_setup_teardown(keyslot_area_is_full, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(json_area_is_full, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(unbound_key_is_not_the_volume_key, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(volume_key_is_known, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(priority_is_carried_over, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(another_writer_is_noticed, make_volume, remove_volume),
        cmocka_unit_test_setup_teardown(refuses_a_cost_that_was_raised, make_volume, remove_volume),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
