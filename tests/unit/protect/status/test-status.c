#include "protect/status/status.h"

#include "base/cleanup.h"
#include "protect/machine.h"
#include "protect/unlock/cap.h"

static struct status_request request_of(struct machine *machine, const char *device)
{
    return (struct status_request){
        .tpm = machine->tpm,
        .state_folder = machine->state_folder,
        .report_path = machine->report_path,
        .device = device,
    };
}

static struct status read_status(struct machine *machine, const char *device)
{
    const struct status_request request = request_of(machine, device);
    struct status status;
    struct error error;

    assert_good(status_read(&request, &status, &error), &error);
    assert_int_equal(machine_handles(machine), 0);
    return status;
}

static void expect_state(struct machine *machine, enum status_state state, enum error_kind unlock)
{
    cleanup(status_free) struct status status = read_status(machine, NULL);

    assert_int_equal(status.volume_count, 1);
    if (status.volumes[0].state != state || status.volumes[0].unlock.kind != unlock)
        fail_msg("%s, %d: %s", status_state_name(status.volumes[0].state), (int)status.volumes[0].unlock.kind,
                 status.volumes[0].unlock.text);
}

static void drop_passphrase(struct machine *machine)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct error error;

    assert_good(volume_open(&volume, machine->volumes[0].path, &error), &error);
    assert_good(volume_keyslot_remove(volume, 0, &error), &error);
}

static void test_facts(void **state)
{
    struct machine *machine = *state;
    cleanup(status_free) struct status status = read_status(machine, machine->volumes[0].path);
    const struct status_volume *volume = &status.volumes[0];

    assert_int_equal(status.tpm.error.kind, ERROR_NONE);
    assert_true(status.tpm.identity.has_policy_authorize_nv);
    assert_true(status.tpm.state.lockout_auth_set);
    assert_string_equal(volume->device, machine->volumes[0].path);
    assert_string_equal(volume->name, "volume0");
    assert_string_equal(volume->uuid, LUKS_FILE_UUID);
    assert_int_equal(volume->protectors.count, 1);
    assert_int_equal(volume->other_keyslots, 1);
    assert_int_equal(volume->unlock.kind, ERROR_NONE);
    assert_false(volume->authority_opens);
}

static void test_other_keyslots(void **state)
{
    expect_state(*state, STATUS_OTHER_KEYSLOTS, ERROR_NONE);
    drop_passphrase(*state);
    expect_state(*state, STATUS_PROTECTED, ERROR_NONE);
}

static void test_changes_nothing(void **state)
{
    struct machine *machine = *state;
    uint8_t before[32], after[32];
    struct tpm_state now;
    struct error error;

    luks_file_digest(&machine->volumes[0], before);
    expect_state(machine, STATUS_OTHER_KEYSLOTS, ERROR_NONE);
    luks_file_digest(&machine->volumes[0], after);
    assert_memory_equal(before, after, sizeof(before));
    assert_good(tpm_state_read(machine->tpm, &now, &error), &error);
    assert_int_equal(now.lockout_counter, 0);
}

static void test_capped(void **state)
{
    struct machine *machine = *state;
    struct error error;

    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
    {
        cleanup(status_free) struct status status = read_status(machine, NULL);

        assert_int_equal(status.volumes[0].unlock.kind, ERROR_MISMATCH);
        assert_int_equal(status.volumes[0].state, STATUS_OTHER_KEYSLOTS);
        assert_true(status.volumes[0].authority_opens);
    }
    assert_return_code(unlink(scratch_path(&machine->scratch, "state/authority.pem")), 0);
    {
        cleanup(status_free) struct status status = read_status(machine, NULL);

        assert_false(status.volumes[0].authority_opens);
    }
}

static void test_another_boot_state(void **state)
{
    struct machine *machine = *state;
    cleanup(status_free) struct status status = { .state.lock = -1 };

    machine_extend(machine, 7, "something else");
    status = read_status(machine, NULL);
    assert_int_equal(status.volumes[0].unlock.kind, ERROR_MISMATCH);
    assert_non_null(strstr(status.volumes[0].unlock.text, "PCR 7"));
    assert_false(status.volumes[0].authority_opens);
}

static void test_locked_out(void **state)
{
    struct machine *machine = *state;
    struct error error;

    machine_set_max_tries(machine, 1);
    assert_error(machine_unlock(machine, 0, "000000", &error), &error, ERROR_WRONG_PIN, "");
    expect_state(machine, STATUS_LOCKED_OUT, ERROR_LOCKOUT);
}

/* The longest that a lockout lasts; nothing while none is on. */
static void test_lockout_wait(void **state)
{
    struct machine *machine = *state;
    struct error error;

    {
        cleanup(status_free) struct status status = read_status(machine, NULL);

        assert_int_equal(status.tpm.lockout_wait_s, 0);
    }
    machine_set_max_tries(machine, 1);
    assert_error(machine_unlock(machine, 0, "000000", &error), &error, ERROR_WRONG_PIN, "");
    {
        cleanup(status_free) struct status status = read_status(machine, NULL);

        assert_int_equal(status.tpm.lockout_wait_s, 600);
        assert_int_equal(status.volumes[0].next_unlock, STATUS_NO);
        assert_int_equal(status.volumes[0].next_reason.kind, ERROR_LOCKOUT);
    }
}

static void expect_next(struct machine *machine, enum status_answer answer, enum error_kind reason)
{
    cleanup(status_free) struct status status = read_status(machine, NULL);

    assert_int_equal(status.volumes[0].next_unlock, answer);
    assert_int_equal(status.volumes[0].next_reason.kind, reason);
    assert_int_equal(status.boot.branch >= 0, answer == STATUS_YES);
}

/* What the initramfs recorded is what counts, and the rest of the way is walked with the authority. */
static void test_next_unlock(void **state)
{
    struct machine *machine = *state;

    expect_next(machine, STATUS_YES, ERROR_NONE);
    machine_leave_initramfs(machine);
    expect_next(machine, STATUS_YES, ERROR_NONE);
    assert_return_code(unlink(machine->report_path), 0);
    expect_next(machine, STATUS_UNKNOWN, ERROR_REFUSED);
    machine_reboot(machine);
    machine_extend(machine, 7, "something else");
    expect_next(machine, STATUS_NO, ERROR_MISMATCH);
    machine_leave_initramfs(machine);
    expect_next(machine, STATUS_NO, ERROR_MISMATCH);
}

static void test_next_unlock_without_the_authority(void **state)
{
    struct machine *machine = *state;
    cleanup(status_free) struct status status = { .state.lock = -1 };

    machine_leave_initramfs(machine);
    assert_return_code(unlink(scratch_path(&machine->scratch, "state/authority.pem")), 0);
    status = read_status(machine, NULL);
    assert_int_equal(status.volumes[0].next_unlock, STATUS_UNKNOWN);
    assert_int_equal(status.volumes[0].next_reason.kind, ERROR_FAILED);
}

static void test_not_protected(void **state)
{
    struct machine *machine = *state;

    machine_copy(machine->volumes[0].path, scratch_path(&machine->scratch, "genuine"));
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "", NULL);
    expect_state(machine, STATUS_NOT_PROTECTED, ERROR_NO_PROTECTOR);
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "version", "2");
    expect_state(machine, STATUS_NOT_PROTECTED, ERROR_METADATA);
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    luks_set(machine->volumes[0].path, "segments/0/encryption", "\"cipher_null-ecb\"");
    expect_state(machine, STATUS_NOT_PROTECTED, ERROR_METADATA);
    assert_return_code(unlink(machine->volumes[0].path), 0);
    expect_state(machine, STATUS_NOT_PROTECTED, ERROR_FAILED);
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
    expect_state(machine, STATUS_OTHER_KEYSLOTS, ERROR_NONE);
}

static void test_not_enrolled(void **state)
{
    struct machine *machine = *state;
    size_t other = machine_add_volume(machine);
    cleanup(status_free) struct status status = read_status(machine, machine->volumes[other].path);

    assert_int_equal(status.volume_count, 1);
    assert_int_equal(status.volumes[0].state, STATUS_NOT_PROTECTED);
    assert_int_equal(status.volumes[0].unlock.kind, ERROR_NO_PROTECTOR);
}

static void test_no_state_folder(void **state)
{
    struct machine *machine = *state;
    cleanup(status_free) struct status all = read_status(machine, NULL);
    cleanup(status_free) struct status one = read_status(machine, machine->volumes[0].path);

    assert_int_equal(all.volume_count, 0);
    assert_int_equal(one.volume_count, 1);
    assert_int_equal(one.volumes[0].state, STATUS_NOT_PROTECTED);
}

static void test_no_tpm(void **state)
{
    struct machine *machine = *state;
    cleanup(status_free) struct status status = { .state.lock = -1 };
    struct status_request request = request_of(machine, NULL);
    struct error why, error;

    error_set(&why, ERROR_TPM, "there is none");
    request.tpm = NULL;
    request.tpm_error = &why;
    assert_good(status_read(&request, &status, &error), &error);
    assert_int_equal(status.tpm.error.kind, ERROR_TPM);
    assert_string_equal(status.tpm.error.text, "there is none");
    assert_int_equal(status.volumes[0].state, STATUS_NOT_PROTECTED);
    assert_int_equal(status.volumes[0].unlock.kind, ERROR_TPM);
    assert_int_equal(status.volumes[0].protectors.count, 1); /* the rest is still told */
}

static void test_several(void **state)
{
    struct machine *machine = *state;
    cleanup(status_free) struct status status = { .state.lock = -1 };

    machine_enroll(machine, machine_add_volume(machine), MACHINE_OTHER_PIN);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "version", "2");
    status = read_status(machine, NULL);
    assert_int_equal(status.volume_count, 2);
    assert_int_equal(status.volumes[0].state, STATUS_NOT_PROTECTED);
    assert_int_equal(status.volumes[1].state, STATUS_OTHER_KEYSLOTS);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(status_state_name(STATUS_PROTECTED), "protected");
    assert_string_equal(status_state_name(STATUS_LOCKED_OUT), "locked out");
    assert_string_equal(status_state_name(STATUS_RECOVERY_USED), "recovery used");
    assert_true(status_is_protected(STATUS_PROTECTED) && status_is_protected(STATUS_RECOVERY_USED));
    assert_false(status_is_protected(STATUS_OTHER_KEYSLOTS) || status_is_protected(STATUS_LOCKED_OUT) ||
                 status_is_protected(STATUS_NOT_PROTECTED));
    assert_string_equal(status_state_name(STATUS_NOT_PROTECTED), "not protected");
    assert_non_null(strstr(status_state_name(STATUS_OTHER_KEYSLOTS), "other keyslots"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_facts),
        enrolled_test(test_other_keyslots),
        enrolled_test(test_changes_nothing),
        enrolled_test(test_capped),
        enrolled_test(test_another_boot_state),
        enrolled_test(test_locked_out),
        enrolled_test(test_lockout_wait),
        enrolled_test(test_next_unlock),
        enrolled_test(test_next_unlock_without_the_authority),
        enrolled_test(test_not_protected),
        enrolled_test(test_not_enrolled),
        machine_test(test_no_state_folder),
        enrolled_test(test_no_tpm),
        enrolled_test(test_several),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
