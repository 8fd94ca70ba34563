#include "protect/seal/leftover.h"

#include "base/cleanup.h"
#include "protect/machine.h"

struct bench {
    struct luks_file file;
    struct volume *volume;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct error error;

    assert_non_null(bench);
    *state = bench;
    luks_file_make(&bench->file, &(struct luks_form){ 0 });
    assert_good(volume_open(&bench->volume, bench->file.path, &error), &error);
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    volume_close(&bench->volume);
    luks_file_remove(&bench->file);
    free(bench);
    return 0;
}

/* A protector as an enrolment makes it; `number` is in its ID and its public area. */
static struct protector a_protector(uint8_t number)
{
    struct protector protector = {
        .token = -1,
        .keyslot = -1,
        .kind = PROTECTOR_TPM2_PIN,
        .created = "2026-11-21T20:00:00Z",
        .srk = { { 0, 0x0b } },
        .approval = { { 0, 0x0b } },
        .sealed = { .private = { 1 }, .private_size = 200, .public = { number }, .public_size = 78 },
        .kdf = { .memory_kib = 8192, .iterations = 1, .lanes = 1 },
    };

    snprintf(protector.id, sizeof(protector.id), "1b4e28ba-2fa1-41d2-883f-0016d3cca4%02x", number);
    return protector;
}

static int add_keyslot(struct bench *bench)
{
    cleanup(secret_free) struct secret known = secret_of(LUKS_FILE_PASSPHRASE);
    cleanup(secret_free) struct secret passphrase = secret_of("another passphrase");
    cleanup(secret_free) struct secret key = { 0 };
    struct error error;
    int keyslot;

    assert_good(volume_keyslot_open(bench->volume, -1, &known, &key, NULL, &error), &error);
    assert_good(volume_keyslot_add(bench->volume, &key, &passphrase, &keyslot, &error), &error);
    return keyslot;
}

static void write_token(struct bench *bench, const char *type, uint8_t number, int keyslot)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct protector protector = a_protector(number);
    struct error error;
    int place = -1;

    protector.keyslot = keyslot;
    assert_good(protector_to_json(&protector, type, NULL, &token, &error), &error);
    assert_good(volume_token_write(bench->volume, &place, token, &error), &error);
}

/* A pending token that names whatever keyslot it likes. */
static void forge_pending(struct bench *bench, uint8_t number, const char *planned)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct protector protector = a_protector(number);
    struct error error;
    int place = -1;

    assert_good(protector_to_json(&protector, TOKEN_TYPE_PENDING, NULL, &token, &error), &error);
    if (planned)
        json_object_object_add(token, "planned_keyslot", json_tokener_parse(planned));
    assert_good(volume_token_write(bench->volume, &place, token, &error), &error);
}

static uint32_t keyslots(struct bench *bench)
{
    struct error error;
    uint32_t mask;

    assert_good(volume_keyslots(bench->volume, &mask, &error), &error);
    return mask;
}

static size_t tokens(struct bench *bench, const char *type)
{
    struct token_list list;
    struct error error;

    assert_good(volume_tokens(bench->volume, type, &list, &error), &error);
    return list.count;
}

static void test_announced_keyslot_is_the_one_that_is_used(void **state)
{
    struct bench *bench = *state;
    struct protector protector = a_protector(1);
    cleanup(json_free) struct json_object *token = NULL;
    struct token_list list;
    struct json_view view;
    struct error error;
    int64_t planned;

    assert_good(leftover_announce(bench->volume, &protector, &error), &error);
    assert_good(volume_tokens(bench->volume, TOKEN_TYPE_PENDING, &list, &error), &error);
    assert_int_equal(list.count, 1);
    assert_good(volume_token_read(bench->volume, list.numbers[0], &token, &view, &error), &error);
    assert_good(json_get_integer(&view, "planned_keyslot", 0, 31, &planned, &error), &error);
    assert_int_equal(planned, add_keyslot(bench));
}

/* What is left of a protector is nothing as long as its token is there; then its keyslot goes, and its object is told.
 */
static void test_announced_end(void **state)
{
    struct bench *bench = *state;
    struct protector old = a_protector(1);
    struct object_name names[VOLUME_MAX_TOKENS];
    struct token_list list;
    struct error error;
    size_t count;

    old.keyslot = add_keyslot(bench);
    write_token(bench, TOKEN_TYPE_PROTECTOR, 1, old.keyslot);
    assert_good(leftover_announce_end(bench->volume, &old, &error), &error);
    assert_good(leftover_objects(bench->volume, names, &count, &error), &error);
    assert_int_equal(count, 0);
    assert_good(leftover_clear(bench->volume, -1, &error), &error);
    assert_int_equal(keyslots(bench), 3);
    assert_good(leftover_announce_end(bench->volume, &old, &error), &error);
    assert_good(volume_tokens(bench->volume, TOKEN_TYPE_PROTECTOR, &list, &error), &error);
    assert_good(volume_token_remove(bench->volume, list.numbers[0], &error), &error);
    assert_good(leftover_objects(bench->volume, names, &count, &error), &error);
    assert_int_equal(count, 1);
    assert_good(leftover_clear(bench->volume, -1, &error), &error);
    assert_int_equal(keyslots(bench), 1);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
}

/* The keyslot goes at once; the token stays as long as the object is in force and no protector's. */
static void test_object_in_force(void **state)
{
    struct bench *bench = *state;
    struct protector protector = a_protector(1);
    cleanup(approval_free) struct approval approval = { 0 };
    struct object_name name;
    struct error error;

    assert_good(sealed_name(&protector.sealed, &name, &error), &error);
    assert_good(leftover_announce(bench->volume, &protector, &error), &error);
    add_keyslot(bench);
    assert_good(approval_add_object(&approval, &name, &error), &error);
    assert_good(leftover_clear_dead(bench->volume, -1, &approval, &error), &error);
    assert_int_equal(keyslots(bench), 1);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 1);
    write_token(bench, TOKEN_TYPE_PROTECTOR, 1, -1);
    assert_good(leftover_clear_dead(bench->volume, -1, &approval, &error), &error);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
    assert_good(leftover_announce(bench->volume, &protector, &error), &error);
    approval_remove_object(&approval, 0);
    assert_good(leftover_clear_dead(bench->volume, -1, &approval, &error), &error);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
}

static void test_cut_after_the_announcement(void **state)
{
    struct bench *bench = *state;
    struct protector protector = a_protector(1);
    struct error error;

    assert_good(leftover_announce(bench->volume, &protector, &error), &error);
    assert_good(leftover_clear(bench->volume, 0, &error), &error);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
    assert_int_equal(keyslots(bench), 1);
}

static void test_cut_after_the_keyslot(void **state)
{
    struct bench *bench = *state;
    struct protector protector = a_protector(1);
    struct error error;

    assert_good(leftover_announce(bench->volume, &protector, &error), &error);
    assert_int_equal(add_keyslot(bench), 1);
    assert_int_equal(keyslots(bench), 3);
    assert_good(leftover_clear(bench->volume, 0, &error), &error);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
    assert_int_equal(keyslots(bench), 1);
}

static void test_cut_after_the_protector(void **state)
{
    struct bench *bench = *state;
    struct protector protector = a_protector(1);
    struct error error;

    assert_good(leftover_announce(bench->volume, &protector, &error), &error);
    write_token(bench, TOKEN_TYPE_PROTECTOR, 1, add_keyslot(bench));
    assert_good(leftover_clear(bench->volume, 0, &error), &error);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PROTECTOR), 1);
    assert_int_equal(keyslots(bench), 3);
}

static void test_nothing_left_over(void **state)
{
    struct bench *bench = *state;
    uint8_t before[32], after[32];
    struct error error;

    add_keyslot(bench);
    luks_file_digest(&bench->file, before);
    assert_good(leftover_clear(bench->volume, 0, &error), &error);
    luks_file_digest(&bench->file, after);
    assert_memory_equal(before, after, sizeof(before));
}

static void test_the_way_in_is_kept(void **state)
{
    struct bench *bench = *state;
    struct error error;

    add_keyslot(bench);
    forge_pending(bench, 1, "0");
    forge_pending(bench, 2, "0");
    assert_good(leftover_clear(bench->volume, 0, &error), &error);
    assert_int_equal(keyslots(bench), 3);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
    forge_pending(bench, 1, "0"); /* opened by keyslot 1: that one stays */
    assert_good(leftover_clear(bench->volume, 1, &error), &error);
    assert_int_equal(keyslots(bench), 2);
}

static void test_protectors_keyslots_are_kept(void **state)
{
    struct bench *bench = *state;
    struct error error;

    write_token(bench, TOKEN_TYPE_PROTECTOR, 1, add_keyslot(bench));
    assert_int_equal(add_keyslot(bench), 2);
    forge_pending(bench, 2, "1");
    forge_pending(bench, 3, "2");
    assert_good(leftover_clear(bench->volume, 0, &error), &error);
    assert_int_equal(keyslots(bench), 3); /* 2 is gone, 1 is a protector's */
    assert_int_equal(tokens(bench, TOKEN_TYPE_PROTECTOR), 1);
    forge_pending(bench, 2, "1"); /* without anything to keep, too */
    assert_good(leftover_clear(bench->volume, -1, &error), &error);
    assert_int_equal(keyslots(bench), 3);
}

static void test_forged_numbers(void **state)
{
    static const char *const numbers[] = { "32", "-1", "\"1\"", "1.5", "4294967297", "[1]" };
    struct bench *bench = *state;
    struct error error;

    add_keyslot(bench);
    forge_pending(bench, 1, NULL); /* none at all: only the token goes */
    assert_good(leftover_clear(bench->volume, 0, &error), &error);
    assert_int_equal(keyslots(bench), 3);
    for (size_t i = 0; i < array_size(numbers); i++) {
        struct token_list list;

        forge_pending(bench, 1, numbers[i]);
        assert_error(leftover_clear(bench->volume, 0, &error), &error, ERROR_METADATA, "planned_keyslot");
        assert_int_equal(keyslots(bench), 3);
        assert_good(volume_tokens(bench->volume, TOKEN_TYPE_PENDING, &list, &error), &error);
        assert_good(volume_token_remove(bench->volume, list.numbers[0], &error), &error);
    }
}

/* A protector's token that cannot be read could name any keyslot: then nothing is wiped. */
static void test_damaged_protector(void **state)
{
    struct bench *bench = *state;
    struct error error;

    write_token(bench, TOKEN_TYPE_PROTECTOR, 1, add_keyslot(bench));
    forge_pending(bench, 2, "1");
    volume_close(&bench->volume);
    luks_set(bench->file.path, "tokens/0/tpm", "{}");
    assert_good(volume_open(&bench->volume, bench->file.path, &error), &error);
    assert_error(leftover_clear(bench->volume, 0, &error), &error, ERROR_METADATA, "token 0");
    assert_int_equal(keyslots(bench), 3);
}

static void test_objects(void **state)
{
    struct bench *bench = *state;
    struct protector pending = a_protector(2);
    struct object_name names[VOLUME_MAX_TOKENS], expected;
    struct error error;
    size_t count;

    assert_good(leftover_objects(bench->volume, names, &count, &error), &error);
    assert_int_equal(count, 0);
    write_token(bench, TOKEN_TYPE_PROTECTOR, 1, add_keyslot(bench));
    forge_pending(bench, 1, "1"); /* the protector's own: in force */
    assert_good(leftover_objects(bench->volume, names, &count, &error), &error);
    assert_int_equal(count, 0);
    forge_pending(bench, 2, "2");
    assert_good(leftover_objects(bench->volume, names, &count, &error), &error);
    assert_int_equal(count, 1);
    assert_good(sealed_name(&pending.sealed, &expected, &error), &error);
    assert_true(object_name_equal(&names[0], &expected));
}

static void test_no_keyslot_free(void **state)
{
    struct bench *bench = *state;
    struct protector protector = a_protector(1);
    struct error error;

    volume_close(&bench->volume);
    luks_file_remove(&bench->file);
    luks_file_make(&bench->file, &(struct luks_form){ .key_size_bytes = 32, .keyslots_bytes = 8 * 1024 * 1024 });
    assert_good(volume_open(&bench->volume, bench->file.path, &error), &error);
    for (int i = 1; i < VOLUME_MAX_KEYSLOTS; i++)
        assert_int_equal(add_keyslot(bench), i);
    assert_error(leftover_announce(bench->volume, &protector, &error), &error, ERROR_REFUSED, "all 32 keyslots");
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_announced_keyslot_is_the_one_that_is_used),
        test(test_cut_after_the_announcement),
        test(test_cut_after_the_keyslot),
        test(test_cut_after_the_protector),
        test(test_nothing_left_over),
        test(test_the_way_in_is_kept),
        test(test_protectors_keyslots_are_kept),
        test(test_forged_numbers),
        test(test_damaged_protector),
        test(test_objects),
        test(test_no_keyslot_free),
        test(test_announced_end),
        test(test_object_in_force),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
