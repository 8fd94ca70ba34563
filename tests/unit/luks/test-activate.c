/*
 * What is refused before the kernel is asked. That a mapping comes and goes is shown in virtual machines (tests/vm):
 * the machines that build have no device mapper.
 */
#include "base/cleanup.h"
#include "luks-edit.h"
#include "luks/volume.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int activate(const char *name, const char *text, size_t size, struct error *error)
{
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(secret_free) struct secret passphrase = { 0 };

    assert_int_equal(secret_copy(&passphrase, text, size, error), 0);
    assert_int_equal(volume_open(&volume, luks_case.path, error), 0);
    return volume_activate(volume, name, -1, &passphrase, &(struct volume_options){ .discard = true }, error);
}

static void refuses_names_that_are_no_file_names(void **state)
{
    static const char *const bad[] = { "", ".", "..", "a/b", "/dev/mapper/root" };
    char name[129];
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_int_equal(activate(bad[i], "x", 1, &error), ERROR_USAGE);
        assert_int_equal(volume_deactivate(bad[i], &error), ERROR_USAGE);
    }
    memset(name, 'n', 128);
    name[128] = '\0';
    assert_int_equal(activate(name, "x", 1, &error), ERROR_USAGE);
}

static int activate_by_key(const char *name, bool right, struct error *error)
{
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(secret_free) struct secret passphrase = { 0 };
    cleanup(secret_free) struct secret key = { 0 };

    assert_int_equal(secret_copy(&passphrase, LUKS_FILE_PASSPHRASE, strlen(LUKS_FILE_PASSPHRASE), error), 0);
    assert_int_equal(volume_open(&volume, luks_case.path, error), 0);
    assert_int_equal(volume_keyslot_open(volume, -1, &passphrase, &key, NULL, error), 0);
    key.bytes[0] ^= !right;
    return volume_activate_by_key(volume, name, &key, &(struct volume_options){ 0 }, error);
}

/* What is not the volume key, or of an edited header, is refused before anything is made. */
static void refuses_another_key(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(activate_by_key("a/b", true, &error), ERROR_USAGE);
    assert_int_equal(activate_by_key("bootseal-test", false, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "not the volume's"));
    luks_set(luks_case.path, "segments/0/encryption", "\"cipher_null-ecb\"");
    assert_int_equal(activate_by_key("bootseal-test", true, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "cipher_null"));
}

/* The genuine passphrase opens a header whose cipher was edited: it must not get that far. */
static void refuses_an_edited_cipher(void **state)
{
    struct error error;

    (void)state;
    luks_set(luks_case.path, "segments/0/encryption", "\"cipher_null-ecb\"");
    assert_int_equal(activate("bootseal-test", LUKS_FILE_PASSPHRASE, strlen(LUKS_FILE_PASSPHRASE), &error),
                     ERROR_METADATA);
    assert_non_null(strstr(error.text, "cipher_null"));
}

static void refuses_impossible_passphrases(void **state)
{
    char text[VOLUME_MAX_PASSPHRASE_BYTES + 1] = "";
    struct error error;

    (void)state;
    assert_int_equal(activate("bootseal-test", text, 0, &error), ERROR_USAGE);
    assert_int_equal(activate("bootseal-test", text, sizeof(text), &error), ERROR_USAGE);
}

/* With a device mapper the passphrase is wrong, without one that is told: neither makes a mapping or prints. */
static void fails_with_a_wrong_passphrase(void **state)
{
    struct error error;
    int r;

    (void)state;
    r = activate("bootseal-test", "wrong", 5, &error);
    assert_true(r == ERROR_WRONG_PIN || r == ERROR_FAILED);
    assert_non_null(strstr(error.text, luks_case.path));
}

/* A header without its data: what was read of it stays, and the data's device must be there. */
static void the_data_may_lie_elsewhere(void **state)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct volume_facts before, after;
    struct luks_file data;
    struct error error;

    (void)state;
    luks_file_make_plain(&data, 64 << 20); /* past where the header says that the data begins */
    assert_int_equal(volume_open(&volume, luks_case.path, &error), 0);
    assert_int_equal(volume_facts_read(volume, &before, &error), 0);
    assert_int_equal(volume_set_data_device(volume, "/nonexistent", &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, "/nonexistent"));
    if (volume_set_data_device(volume, data.path, &error))
        fail_msg("%s", error.text);
    assert_int_equal(volume_facts_read(volume, &after, &error), 0);
    assert_memory_equal(&before.digest, &after.digest, sizeof(before.digest));
    luks_file_remove(&data);
}

static void removing_what_is_not_there(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(volume_deactivate("bootseal-test-that-is-nowhere", &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, "there is no mapping"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_names_that_are_no_file_names, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(refuses_an_edited_cipher, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(refuses_another_key, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(refuses_impossible_passphrases, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(fails_with_a_wrong_passphrase, luks_case_make, luks_case_remove),
        cmocka_unit_test_setup_teardown(the_data_may_lie_elsewhere, luks_case_make, luks_case_remove),
        cmocka_unit_test(removing_what_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
