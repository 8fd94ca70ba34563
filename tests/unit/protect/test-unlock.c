#include "protect/unlock.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "machine.h"
#include "protect/unlock/cap.h"

static void cap(struct machine *machine)
{
    struct error error;

    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
}

static void test_by_the_boot_state(void **state)
{
    struct machine *machine = *state;
    cleanup(unlock_end) struct unlock unlock = { .state.lock = -1 };
    cleanup(secret_free) struct secret pin = secret_of(MACHINE_PIN);
    cleanup(secret_free) struct secret wrong = secret_of("000000");
    cleanup(secret_free) struct secret passphrase = { 0 };
    struct error error;

    assert_good(unlock_begin(&unlock, machine->tpm, machine->state_folder, machine->volumes[0].path, &error), &error);
    assert_false(unlock.by_authority);
    assert_error(unlock_try(&unlock, &wrong, &passphrase, &error), &error, ERROR_WRONG_PIN, "");
    assert_int_equal(passphrase.size, 0);
    assert_good(unlock_try(&unlock, &pin, &passphrase, &error), &error);
    assert_int_equal(passphrase.size, 44);
    assert_good(
        volume_keyslot_open(unlock.target.volume, unlock.target.protector->keyslot, &passphrase, NULL, NULL, &error),
        &error);
    unlock_end(&unlock);
    assert_int_equal(machine_handles(machine), 0);
}

static void test_by_the_authority(void **state)
{
    struct machine *machine = *state;
    cleanup(unlock_end) struct unlock unlock = { .state.lock = -1 };
    cleanup(secret_free) struct secret pin = secret_of(MACHINE_PIN);
    cleanup(secret_free) struct secret passphrase = { 0 };
    struct error error;

    cap(machine);
    assert_good(unlock_begin(&unlock, machine->tpm, machine->state_folder, machine->volumes[0].path, &error), &error);
    assert_true(unlock.by_authority);
    assert_good(unlock_try(&unlock, &pin, &passphrase, &error), &error);
    assert_int_equal(passphrase.size, 44);
}

/* The authority is no way around a boot that is not the approved one. */
static void test_another_boot_state(void **state)
{
    struct machine *machine = *state;
    struct error error;

    machine_extend(machine, 7, "something else");
    assert_error(machine_unlock(machine, 0, MACHINE_PIN, &error), &error, ERROR_MISMATCH, "PCR 7");
    assert_int_equal(machine_handles(machine), 0);
}

static void test_capped_without_the_authority(void **state)
{
    struct machine *machine = *state;
    struct error error;

    cap(machine);
    assert_good(file_remove(scratch_path(&machine->scratch, "state/authority.pem"), &error), &error);
    assert_error(machine_unlock(machine, 0, MACHINE_PIN, &error), &error, ERROR_MISMATCH, "is capped");
}

static void test_not_enrolled(void **state)
{
    struct machine *machine = *state;
    size_t other = machine_add_volume(machine);
    struct error error;

    assert_error(machine_unlock(machine, other, MACHINE_PIN, &error), &error, ERROR_NO_PROTECTOR, "not enrolled");
    assert_good(file_make_folder(scratch_path(&machine->scratch, "empty"), 0700, &error), &error);
    snprintf(machine->state_folder, sizeof(machine->state_folder), "%s/empty", machine->scratch.folder);
    assert_error(machine_unlock(machine, 0, MACHINE_PIN, &error), &error, ERROR_NO_PROTECTOR, "not enrolled");
}

static void test_moved_volume(void **state)
{
    struct machine *machine = *state;
    struct error error;

    assert_return_code(rename(machine->volumes[0].path, scratch_path(&machine->scratch, "moved")), 0);
    snprintf(machine->volumes[0].path, sizeof(machine->volumes[0].path), "%s/moved", machine->scratch.folder);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error); /* the UUID finds its pin */
    machine_add_volume(machine);
}

/* The genuine secret, and a keyslot that was made anew by another hand. */
static void test_another_keyslot(void **state)
{
    struct machine *machine = *state;
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(secret_free) struct secret known = secret_of(LUKS_FILE_PASSPHRASE);
    cleanup(secret_free) struct secret other = secret_of("another passphrase");
    cleanup(secret_free) struct secret key = { 0 };
    struct error error;
    int keyslot;

    assert_good(volume_open(&volume, machine->volumes[0].path, &error), &error);
    assert_good(volume_keyslot_open(volume, 0, &known, &key, NULL, &error), &error);
    assert_good(volume_keyslot_add(volume, &key, &other, &keyslot, &error), &error);
    assert_int_equal(keyslot, 2);
    volume_close(&volume);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "keyslots", "[\"2\"]");
    assert_error(machine_unlock(machine, 0, MACHINE_PIN, &error), &error, ERROR_METADATA, "does not open keyslot 2");
}

static void test_impossible_name(void **state)
{
    struct machine *machine = *state;
    cleanup(unlock_end) struct unlock unlock = { .state.lock = -1 };
    cleanup(secret_free) struct secret pin = secret_of(MACHINE_PIN);
    cleanup(secret_free) struct secret passphrase = { 0 };
    struct error error;

    assert_good(unlock_begin(&unlock, machine->tpm, machine->state_folder, machine->volumes[0].path, &error), &error);
    assert_good(unlock_try(&unlock, &pin, &passphrase, &error), &error);
    assert_error(unlock_activate(&unlock, "a/b", &passphrase, &error), &error, ERROR_USAGE, "a/b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_by_the_boot_state),  enrolled_test(test_by_the_authority),
        enrolled_test(test_another_boot_state), enrolled_test(test_capped_without_the_authority),
        enrolled_test(test_not_enrolled),       enrolled_test(test_moved_volume),
        enrolled_test(test_another_keyslot),    enrolled_test(test_impossible_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
