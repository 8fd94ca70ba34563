/* Making, rotating and using recovery keys, on LUKS2 files; and the leftovers of what was cut. */
#include "protect/recovery/recovery-key.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/machine.h"
#include "protect/recovery/other-keyslots.h"
#include "protect/seal/leftover.h"
#include "protect/unlock/recover.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#define OTHER_REST "-278498-422125-177177-561902-537405-468006-693451"
#define OTHER_KEY "471207" OTHER_REST

struct bench {
    struct luks_file file;
    struct volume *volume;
    struct secret key;
    struct secret seen; /* the last key that was handed over */
    int refuse;         /* what the person answers */
    size_t tokens_seen; /* of recovery keys, while it was handed over */
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    cleanup(secret_free) struct secret known = secret_of(LUKS_FILE_PASSPHRASE);
    struct error error;

    assert_non_null(bench);
    *state = bench;
    luks_file_make(&bench->file, &(struct luks_form){ .keyslots_bytes = 4 * 1024 * 1024 });
    assert_good(volume_open(&bench->volume, bench->file.path, &error), &error);
    assert_good(volume_keyslot_open(bench->volume, 0, &known, &bench->key, NULL, &error), &error);
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    secret_free(&bench->seen);
    secret_free(&bench->key);
    volume_close(&bench->volume);
    luks_file_remove(&bench->file);
    free(bench);
    return 0;
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

static int take(void *context, const struct recovery *recovery, const struct secret *text, struct error *error)
{
    struct bench *bench = context;

    assert_int_equal(strlen(recovery->id), 8);
    secret_free(&bench->seen);
    assert_good(secret_copy(&bench->seen, text->bytes, text->size, error), error);
    bench->tokens_seen = tokens(bench, TOKEN_TYPE_RECOVERY);
    return bench->refuse ? error_set(error, (enum error_kind)bench->refuse, "not taken") : 0;
}

static int try_add(struct bench *bench, struct recovery *ret, struct error *error)
{
    const struct recovery_hand_over hand_over = { take, bench };

    return recovery_key_add(bench->volume, &bench->key, 0, &hand_over, ret, error);
}

static struct recovery add(struct bench *bench)
{
    struct recovery recovery;
    struct error error;

    assert_good(try_add(bench, &recovery, &error), &error);
    return recovery;
}

static int open_with(struct bench *bench, const struct secret *typed, struct recovered *ret, struct error *error)
{
    recovered_free(ret);
    return recover_open(bench->volume, typed, ret, error);
}

static void test_add(void **state)
{
    struct bench *bench = *state;
    struct recovery recovery = add(bench);
    cleanup(recovered_free) struct recovered recovered = { 0 };
    bool minimal;
    struct error error;

    assert_int_equal(bench->tokens_seen, 0); /* it counts only when it was taken */
    assert_int_equal(keyslots(bench), 1u | 1u << recovery.keyslot);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
    assert_good(volume_keyslot_is_minimal(bench->volume, recovery.keyslot, &minimal, &error), &error);
    assert_true(minimal);
    assert_good(open_with(bench, &bench->seen, &recovered, &error), &error);
    assert_string_equal(recovered.recovery.id, recovery.id);
    assert_true(secret_equal(&recovered.key, &bench->key));
    assert_true(secret_equal(&recovered.passphrase, &bench->seen));
}

static void test_not_taken(void **state)
{
    struct bench *bench = *state;
    struct recovery recovery;
    struct error error;

    bench->refuse = ERROR_WRONG_PIN;
    assert_error(try_add(bench, &recovery, &error), &error, ERROR_WRONG_PIN, "not taken");
    assert_int_equal(keyslots(bench), 1);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING) + tokens(bench, TOKEN_TYPE_RECOVERY), 0);
}

static void test_another_volumes_key(void **state)
{
    struct bench *bench = *state;
    struct recovery recovery;
    struct error error;

    bench->key.bytes[0] ^= 1;
    assert_error(try_add(bench, &recovery, &error), &error, ERROR_FAILED, "another volume's");
    assert_int_equal(keyslots(bench), 1);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
    assert_null(bench->seen.bytes);
}

static void test_wrong_keys(void **state)
{
    struct bench *bench = *state;
    cleanup(recovered_free) struct recovered recovered = { 0 };
    cleanup(secret_free) struct secret other = secret_of(OTHER_KEY), pin = secret_of("481526");
    struct error error;

    assert_error(open_with(bench, &other, &recovered, &error), &error, ERROR_NO_PROTECTOR, "no recovery key");
    add(bench);
    assert_error(open_with(bench, &other, &recovered, &error), &error, ERROR_WRONG_PIN, "not a recovery key of");
    assert_error(open_with(bench, &pin, &recovered, &error), &error, ERROR_WRONG_PIN, "48 digits");
    assert_null(recovered.key.bytes);
}

/* A recovery key is tried where tokens of recovery keys point, and nowhere else. */
static void test_only_the_keyslots_of_recovery_keys(void **state)
{
    struct bench *bench = *state;
    struct recovery recovery = add(bench);
    cleanup(recovered_free) struct recovered recovered = { 0 };
    struct error error;

    assert_good(volume_token_remove(bench->volume, recovery.token, &error), &error);
    add(bench); /* takes another key's place in bench->seen */
    assert_good(open_with(bench, &bench->seen, &recovered, &error), &error);
    {
        cleanup(secret_free) struct secret untold = secret_of(OTHER_KEY), key = { 0 };
        int keyslot;

        assert_good(volume_keyslot_add(bench->volume, &bench->key, &untold, &keyslot, &error), &error);
        assert_int_equal(open_with(bench, &untold, &recovered, &error), ERROR_WRONG_PIN);
        /* as an administrator's existing way in it will do, in any form */
        secret_free(&untold);
        untold = secret_of("471207278498422125177177561902537405468006693451\n");
        assert_good(recover_any(bench->volume, &untold, &key, &keyslot, &error), &error);
        assert_true(secret_equal(&key, &bench->key));
    }
}

static void test_any_way_in(void **state)
{
    static const struct {
        const char *text;
        int r;
    } rows[] = {
        { LUKS_FILE_PASSPHRASE, 0 },
        { LUKS_FILE_PASSPHRASE "\n", 0 },
        { LUKS_FILE_PASSPHRASE "\n\n", ERROR_WRONG_PIN },
        { "another", ERROR_WRONG_PIN },
        { "\n", ERROR_WRONG_PIN },
        { "", ERROR_USAGE },
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup(secret_free) struct secret given = secret_of(rows[i].text), key = { 0 };
        struct error error;
        int keyslot, r = recover_any(bench->volume, &given, &key, &keyslot, &error);

        if (r != rows[i].r)
            fail_msg("\"%s\": %d", rows[i].text, r);
        assert_int_equal(key.size > 0, !r);
    }
    {
        cleanup(secret_free) struct secret typo = secret_of("471208" OTHER_REST), key = { 0 };
        struct error error;
        int keyslot;

        assert_error(recover_any(bench->volume, &typo, &key, &keyslot, &error), &error, ERROR_WRONG_PIN,
                     "group 1 has a typo");
    }
}

static void test_rotate(void **state)
{
    struct bench *bench = *state;
    struct recovery old = add(bench), fresh;
    cleanup(secret_free) struct secret old_text = secret_take(&bench->seen);
    cleanup(recovered_free) struct recovered recovered = { 0 };
    const struct recovery_hand_over hand_over = { take, bench };
    struct error error;

    assert_good(recovery_key_rotate(bench->volume, &bench->key, 0, &old, &hand_over, &fresh, &error), &error);
    assert_int_equal(bench->tokens_seen, 1); /* the old one was there when the new one was handed over */
    assert_string_not_equal(old.id, fresh.id);
    assert_int_equal(keyslots(bench), 1u | 1u << fresh.keyslot);
    assert_int_equal(tokens(bench, TOKEN_TYPE_RECOVERY), 1);
    assert_int_equal(open_with(bench, &old_text, &recovered, &error), ERROR_WRONG_PIN);
    assert_good(open_with(bench, &bench->seen, &recovered, &error), &error);
    bench->refuse = ERROR_FAILED;
    assert_int_equal(recovery_key_rotate(bench->volume, &bench->key, 0, &fresh, &hand_over, &old, &error),
                     ERROR_FAILED);
    assert_int_equal(tokens(bench, TOKEN_TYPE_RECOVERY), 1);
    assert_int_equal(keyslots(bench), 1u | 1u << fresh.keyslot);
}

/* The old key's keyslot is gone already: the new one may get the number of its token. */
static void test_rotate_what_opens_nothing(void **state)
{
    struct bench *bench = *state;
    struct recovery old = add(bench), fresh;
    cleanup(recovered_free) struct recovered recovered = { 0 };
    const struct recovery_hand_over hand_over = { take, bench };
    struct error error;

    assert_good(volume_keyslot_remove(bench->volume, old.keyslot, &error), &error);
    assert_good(recovery_key_rotate(bench->volume, &bench->key, 0, &old, &hand_over, &fresh, &error), &error);
    assert_int_equal(tokens(bench, TOKEN_TYPE_RECOVERY), 1);
    assert_int_equal(keyslots(bench), 1u | 1u << fresh.keyslot);
    assert_good(open_with(bench, &bench->seen, &recovered, &error), &error);
    assert_string_equal(recovered.recovery.id, fresh.id);
}

static void test_mark_used(void **state)
{
    struct bench *bench = *state;
    struct recovery recovery = add(bench);
    struct recovery_list list;
    struct error error;

    add(bench);
    assert_good(recovery_key_mark_used(bench->volume, recovery.id, &error), &error);
    assert_good(recovery_list_read(bench->volume, &list, &error), &error);
    for (size_t i = 0; i < list.count; i++)
        assert_int_equal(list.items[i].used[0] != '\0', strcmp(list.items[i].id, recovery.id) == 0);
    assert_error(recovery_key_mark_used(bench->volume, "00000000", &error), &error, ERROR_NO_PROTECTOR, "00000000");
}

/* ---- leftovers ---- */

static void test_leftovers(void **state)
{
    struct bench *bench = *state;
    struct recovery cut = { .token = -1, .keyslot = -1, .id = "1f3a90c4", .created = "2026-11-21T20:00:00Z" };
    struct recovery good = add(bench);
    cleanup(secret_free) struct secret text = secret_of(OTHER_KEY);
    struct object_name names[VOLUME_MAX_TOKENS];
    struct error error;
    uint32_t mask;
    size_t count;

    assert_good(leftover_announce_recovery(bench->volume, &cut, &error), &error);
    assert_good(leftover_keyslots(bench->volume, &mask, &error), &error);
    assert_int_equal(mask, 0);
    assert_good(volume_keyslot_add(bench->volume, &bench->key, &text, &cut.keyslot, &error), &error);
    assert_good(leftover_keyslots(bench->volume, &mask, &error), &error);
    assert_int_equal(mask, 1u << cut.keyslot);
    assert_good(leftover_objects(bench->volume, names, &count, &error), &error);
    assert_int_equal(count, 0); /* it has none in the TPM */
    assert_good(leftover_clear(bench->volume, 0, &error), &error);
    assert_int_equal(keyslots(bench), 1u | 1u << good.keyslot);
    assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
    assert_int_equal(tokens(bench, TOKEN_TYPE_RECOVERY), 1);
}

/* A pending token cannot name a recovery key's keyslot away, whether its token can be read or not. */
static void test_forged_leftover(void **state)
{
    struct bench *bench = *state;
    struct recovery good = add(bench), forged = { .id = "1f3a90c4", .created = "2026-11-21T20:00:00Z" };
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    struct error error;
    char path[64], number[4];

    for (int damaged = 0; damaged < 2; damaged++) {
        struct token_list list;

        assert_good(leftover_announce_recovery(bench->volume, &forged, &error), &error);
        assert_good(volume_tokens(bench->volume, TOKEN_TYPE_PENDING, &list, &error), &error);
        volume_close(&bench->volume);
        snprintf(path, sizeof(path), "tokens/%d/planned_keyslot", list.numbers[0]);
        snprintf(number, sizeof(number), "%d", good.keyslot);
        luks_set(bench->file.path, path, number);
        snprintf(path, sizeof(path), "tokens/%d/version", good.token);
        luks_set(bench->file.path, path, damaged ? "99" : "1");
        assert_good(volume_open(&bench->volume, bench->file.path, &error), &error);
        assert_good(leftover_clear(bench->volume, 0, &error), &error);
        assert_int_equal(keyslots(bench), 1u | 1u << good.keyslot);
        assert_int_equal(tokens(bench, TOKEN_TYPE_RECOVERY), 1);
        assert_int_equal(tokens(bench, TOKEN_TYPE_PENDING), 0);
    }
    assert_good(volume_token_read(bench->volume, good.token, &token, &view, &error), &error);
}

static void test_token_without_its_keyslot(void **state)
{
    struct bench *bench = *state;
    struct recovery recovery = add(bench);
    struct error error;

    assert_good(volume_keyslot_remove(bench->volume, recovery.keyslot, &error), &error);
    assert_int_equal(tokens(bench, TOKEN_TYPE_RECOVERY), 1);
    assert_good(leftover_clear(bench->volume, 0, &error), &error);
    assert_int_equal(tokens(bench, TOKEN_TYPE_RECOVERY), 0);
}

/* ---- other keyslots ---- */

static void make_protector(struct bench *bench, int *ret_keyslot)
{
    cleanup(secret_free) struct secret passphrase = secret_of("what a TPM gives");
    cleanup(json_free) struct json_object *token = NULL;
    struct protector protector = {
        .token = -1,
        .kind = PROTECTOR_TPM2,
        .id = "1b4e28ba-2fa1-41d2-883f-0016d3cca401",
        .created = "2026-11-21T20:00:00Z",
        .srk = { { 0, 0x0b } },
        .approval = { { 0, 0x0b } },
        .sealed = { .private = { 1 }, .private_size = 200, .public = { 1 }, .public_size = 78 },
    };
    struct error error;

    assert_good(volume_keyslot_add(bench->volume, &bench->key, &passphrase, &protector.keyslot, &error), &error);
    assert_good(protector_to_json(&protector, TOKEN_TYPE_PROTECTOR, NULL, &token, &error), &error);
    assert_good(volume_token_write(bench->volume, &protector.token, token, &error), &error);
    *ret_keyslot = protector.keyslot;
}

static void test_other_keyslots(void **state)
{
    struct bench *bench = *state;
    struct recovery recovery = add(bench), gone;
    struct error error;
    uint32_t mask;
    int keyslot;

    assert_error(other_keyslots_remove(bench->volume, &recovery, &error), &error, ERROR_REFUSED, "one way in");
    assert_int_equal(keyslots(bench), 1u | 1u << recovery.keyslot);
    make_protector(bench, &keyslot);
    assert_good(other_keyslots(bench->volume, &mask, &error), &error);
    assert_int_equal(mask, 1);
    gone = recovery;
    gone.keyslot = keyslot; /* a protector's is no recovery key's */
    assert_int_equal(other_keyslots_remove(bench->volume, &gone, &error), ERROR_REFUSED);
    gone.keyslot = 9;
    assert_int_equal(other_keyslots_remove(bench->volume, &gone, &error), ERROR_REFUSED);
    gone.keyslot = -1;
    assert_int_equal(other_keyslots_remove(bench->volume, &gone, &error), ERROR_REFUSED);
    assert_int_equal(keyslots(bench), 1u | 1u << recovery.keyslot | 1u << keyslot);
    assert_good(other_keyslots_remove(bench->volume, &recovery, &error), &error);
    assert_int_equal(keyslots(bench), 1u << recovery.keyslot | 1u << keyslot);
    assert_good(other_keyslots_remove(bench->volume, &recovery, &error), &error); /* nothing is left to do */
}

/* ---- the place of a file ---- */

static void make_sysfs(const struct scratch *scratch, const char *uuid)
{
    char folder[512];
    cleanup(free_ptr) char *number = NULL, *dev = NULL, *name = NULL;
    struct stat status;
    struct error error;

    assert_int_equal(stat(scratch->folder, &status), 0);
    assert_true(asprintf(&number, "%u:%u\n", major(status.st_dev), minor(status.st_dev)) > 0);
    snprintf(folder, sizeof(folder), "%s/sys/dev/block/%u:%u/dm", scratch->folder, major(status.st_dev),
             minor(status.st_dev));
    assert_good(file_make_folder(folder, 0755, &error), &error);
    name = file_path(folder, "uuid");
    assert_good(file_write(name, uuid, strlen(uuid), 0644, &error), &error);
    *strrchr(folder, '/') = '\0';
    dev = file_path(folder, "dev");
    assert_good(file_write(dev, number, strlen(number), 0644, &error), &error);
}

static void test_place(void **state)
{
    static const char uuid[] = "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071";
    static const char other[] = "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0072";
    cleanup(scratch_remove) struct scratch scratch;
    char sysfs[512], path[512];
    struct stat status;
    struct error error;

    (void)state;
    scratch_make(&scratch);
    snprintf(sysfs, sizeof(sysfs), "%s/sys", scratch.folder);
    snprintf(path, sizeof(path), "%s/key.txt", scratch.folder);
    assert_int_equal(stat(scratch.folder, &status), 0);
    make_sysfs(&scratch, "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0071-cryptroot\n");
    if (major(status.st_dev) == 0) {
        assert_good(recovery_key_check_place(sysfs, path, uuid, &error), &error); /* a file system without a device */
        skip();
    }
    assert_error(recovery_key_check_place(sysfs, path, uuid, &error), &error, ERROR_REFUSED, "very volume");
    assert_good(recovery_key_check_place(sysfs, path, other, &error), &error);
    make_sysfs(&scratch, "CRYPT-PLAIN-x\n");
    assert_good(recovery_key_check_place(sysfs, path, uuid, &error), &error);
    assert_int_equal(recovery_key_check_place(sysfs, "/nowhere/key.txt", uuid, &error), ERROR_FAILED);
    snprintf(sysfs, sizeof(sysfs), "%s/nosys", scratch.folder);
    assert_int_equal(recovery_key_check_place(sysfs, path, uuid, &error), ERROR_FAILED);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_add),
        test(test_not_taken),
        test(test_another_volumes_key),
        test(test_wrong_keys),
        test(test_only_the_keyslots_of_recovery_keys),
        test(test_any_way_in),
        test(test_rotate),
        test(test_rotate_what_opens_nothing),
        test(test_mark_used),
        test(test_leftovers),
        test(test_forged_leftover),
        test(test_token_without_its_keyslot),
        test(test_other_keyslots),
        cmocka_unit_test(test_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
