#include "protect/enroll/enroll.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "bus-tap.h"
#include "protect/machine.h"
#include "protect/seal/leftover.h"
#include "protect/unlock/cap.h"
#include "tpm/approval-index.h"

#include <tss2/tss2_tpm2_types.h>

static void expect_refused(const struct enroll_request *request, const char *pin, enum error_kind kind,
                           const char *part)
{
    struct error error;

    assert_error(machine_try_enroll(request, pin, NULL, &error), &error, kind, part);
}

static uint32_t counter(struct machine *machine)
{
    struct tpm_state now;
    struct error error;

    assert_good(tpm_state_read(machine->tpm, &now, &error), &error);
    return now.lockout_counter;
}

static void test_first(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);
    struct protector protector;
    struct error error;

    request.label = "operator 1";
    assert_good(machine_try_enroll(&request, MACHINE_PIN, &protector, &error), &error);
    assert_int_equal(protector.kind, PROTECTOR_TPM2_PIN);
    assert_string_equal(protector.label, "operator 1");
    assert_int_equal(protector.keyslot, 1);
    assert_true(protector.token >= 0);
    assert_int_equal(strlen(protector.created), 20);
    assert_true(protector.kdf.memory_kib >= 8192);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PROTECTOR), 1);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_APPROVAL), 1);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PENDING), 0);
    assert_int_equal(machine_keyslots(machine, 0), 3);
    assert_int_equal(machine_handles(machine), 0);
    assert_int_equal(counter(machine), 0);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
    assert_error(machine_unlock(machine, 0, "000000", &error), &error, ERROR_WRONG_PIN, "");
}

static void test_what_the_state_has(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = machine_state(machine);
    const struct pinned_volume *pin = &own.pins.volumes[0];

    assert_int_equal(own.pins.volume_count, 1);
    assert_string_equal(pin->name, "volume0");
    assert_string_equal(pin->uuid, LUKS_FILE_UUID);
    assert_string_equal(pin->device, machine->volumes[0].path);
    assert_int_equal(own.pins.bank, HASH_SHA256);
    assert_int_equal(own.pins.cap, MACHINE_CAP);
    assert_int_equal(own.pins.tries, 3);
    assert_int_equal(own.pins.floor_memory_kib, 8192);
    assert_int_equal(own.approval.branch_count, 2);
    assert_int_equal(own.approval.object_count, 1);
    assert_false(own.has_next);
}

static void test_survives_the_next_boot(void **state)
{
    struct machine *machine = *state;
    struct error error;

    machine_reboot(machine);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
}

static void test_without_a_pin(void **state)
{
    struct machine *machine = *state;
    struct protector protector = machine_enroll(machine, 0, NULL);
    struct tpm_state now;
    struct error error;

    assert_int_equal(protector.kind, PROTECTOR_TPM2);
    assert_good(machine_unlock(machine, 0, NULL, &error), &error);
    assert_good(tpm_state_read(machine->tpm, &now, &error), &error);
    assert_false(now.lockout_auth_set); /* nothing to guess */
}

static void test_same_pin_shares_the_derivation(void **state)
{
    struct machine *machine = *state;
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(protector_list_free) struct protector_list first = { 0 };
    struct protector same, other;
    struct error error;

    same = machine_enroll(machine, machine_add_volume(machine), MACHINE_PIN);
    other = machine_enroll(machine, machine_add_volume(machine), MACHINE_OTHER_PIN);
    assert_good(volume_open(&volume, machine->volumes[0].path, &error), &error);
    assert_good(protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &first, &error), &error);
    assert_memory_equal(&same.kdf, &first.items[0].kdf, sizeof(same.kdf));
    assert_memory_not_equal(other.kdf.salt, same.kdf.salt, KDF_SALT_BYTES);
    assert_string_not_equal(same.id, first.items[0].id);
    assert_int_equal(counter(machine), 0); /* finding out is forgiven */
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
    assert_good(machine_unlock(machine, 1, MACHINE_PIN, &error), &error);
    assert_good(machine_unlock(machine, 2, MACHINE_OTHER_PIN, &error), &error);
    assert_error(machine_unlock(machine, 2, MACHINE_PIN, &error), &error, ERROR_WRONG_PIN, "");
}

static void test_wrong_passphrase(void **state)
{
    struct machine *machine = *state;
    cleanup(enroll_end) struct enroll enroll = { .state.lock = -1 };
    cleanup(secret_free) struct secret wrong = secret_of("not the passphrase");
    struct enroll_request request = machine_request(machine, 0);
    uint8_t before[32], after[32];
    struct error error;

    luks_file_digest(&machine->volumes[0], before);
    assert_good(enroll_begin(&enroll, &request, &error), &error);
    assert_error(enroll_check_passphrase(&enroll, &wrong, &error), &error, ERROR_WRONG_PIN, "existing passphrase");
    luks_file_digest(&machine->volumes[0], after);
    assert_memory_equal(before, after, sizeof(before));
}

static void test_not_luks2(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);

    request.device = scratch_write(&machine->scratch, "plain", "no header at all");
    expect_refused(&request, MACHINE_PIN, ERROR_NOT_LUKS2, "");
    assert_false(file_exists(machine->state_folder));
}

static void test_unencrypted_state(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);

    request.allow_unencrypted_state = false;
    expect_refused(&request, MACHINE_PIN, ERROR_REFUSED, "file system outside LUKS");
    assert_false(file_exists(scratch_path(&machine->scratch, "state/authority.pem")));
}

static void test_one_of_each_kind(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);
    struct error error;

    request.operator_number = 1;
    expect_refused(&request, MACHINE_OTHER_PIN, ERROR_REFUSED, "already has a PIN of operator 1");
    machine_enroll(machine, 0, NULL);
    request.operator_number = 0;
    expect_refused(&request, NULL, ERROR_REFUSED, "already has a protector of kind tpm2 ");
    assert_good(machine_unlock(machine, 0, NULL, &error), &error);
}

/* Without a PIN nobody's. */
static void test_operator_of_nothing(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);

    request.operator_number = 2;
    expect_refused(&request, NULL, ERROR_USAGE, "without a PIN");
    request.operator_number = PROTECTOR_OPERATOR_MAX + 1;
    expect_refused(&request, MACHINE_OTHER_PIN, ERROR_USAGE, "1 to 99");
}

/* The smallest number that is free, or that of the same PIN elsewhere; a number that was asked for in any case. */
static void test_operators(void **state)
{
    struct machine *machine = *state;
    size_t second = machine_add_volume(machine), third = machine_add_volume(machine);
    struct enroll_request request = machine_request(machine, second);
    struct protector with, own;
    struct error error;

    assert_int_equal(machine_enroll(machine, 0, MACHINE_OTHER_PIN).operator_number, 2);
    assert_int_equal(machine_enroll(machine, second, MACHINE_OTHER_PIN).operator_number, 2);
    assert_int_equal(machine_enroll(machine, second, "556677").operator_number, 3);
    assert_int_equal(machine_enroll(machine, third, "889900").operator_number, 4);
    request.operator_number = 77;
    with = machine_enroll(machine, third, MACHINE_PIN);
    assert_good(machine_try_enroll(&request, MACHINE_PIN, &own, &error), &error);
    assert_int_equal(with.operator_number, 1);
    assert_int_equal(own.operator_number, 77);
    assert_true(kdf_parameters_equal(&with.kdf, &own.kdf));
    assert_int_equal(machine_handles(machine), 0);
}

/* A further protector changes nothing that the initramfs carries; another name does. */
static void test_pins_change_with_the_volume_only(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);
    cleanup(secret_free) struct secret known = secret_of(LUKS_FILE_PASSPHRASE), pin = secret_of(MACHINE_OTHER_PIN);
    struct error error;

    for (int renamed = 0; renamed < 2; renamed++) {
        cleanup(enroll_end) struct enroll enroll = { .state.lock = -1 };

        request.name = renamed ? "renamed" : request.name;
        assert_good(enroll_begin(&enroll, &request, &error), &error);
        assert_good(enroll_check_passphrase(&enroll, &known, &error), &error);
        assert_good(enroll_finish(&enroll, &pin, &error), &error);
        assert_int_equal(enroll.pins_changed, renamed);
    }
}

static void test_another_policy(void **state)
{
    struct machine *machine = *state;
    size_t i = machine_add_volume(machine);
    struct enroll_request request = machine_request(machine, i);

    request.document.pcrs |= 1u << 9;
    expect_refused(&request, MACHINE_PIN, ERROR_REFUSED, "the policy wants sha256 PCRs 4, 7, 9, 12");
    request = machine_request(machine, i);
    request.document.cap = 7;
    expect_refused(&request, MACHINE_PIN, ERROR_REFUSED, "enrolled with");
    assert_int_equal(machine_tokens(machine, i, TOKEN_TYPE_PENDING), 0);
}

static void test_boot_states_that_do_not_count(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);
    struct error error;

    request.document.pcrs |= 1u << 9;
    expect_refused(&request, MACHINE_PIN, ERROR_REFUSED, "nothing in this boot was measured into PCR 9");
    request = machine_request(machine, 0);
    request.current_values = false;
    expect_refused(&request, MACHINE_PIN, ERROR_REFUSED, "recorded no PCR values");
    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
    request.current_values = true;
    expect_refused(&request, MACHINE_PIN, ERROR_REFUSED, "is capped");
    machine_reboot(machine);
    machine_leave_initramfs(machine);
    request = machine_request(machine, 0);
    request.current_values = false;
    assert_good(machine_try_enroll(&request, MACHINE_PIN, NULL, &error), &error);
    machine_reboot(machine); /* what was recorded, not what was there, is approved */
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
}

static void test_inactive_bank(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request;

    machine_set_banks(machine, "sha256:none+sha384:all");
    request = machine_request(machine, 0);
    expect_refused(&request, MACHINE_PIN, ERROR_REFUSED, "bank sha256 is not active");
}

/* TPM 2.0 before revision 1.38. Refused before anything is made, in the TPM or on the volume. */
static void test_tpm_without_policy_authorize_nv(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);
    struct error error;

    bus_tap(machine->tpm);
    bus_tap_hide_command(TPM2_CC_PolicyAuthorizeNV);
    assert_error(machine_try_enroll(&request, MACHINE_PIN, NULL, &error), &error, ERROR_TPM, "TPM2_PolicyAuthorizeNV");
    assert_non_null(strstr(error.remedy, "update the TPM's firmware"));
    assert_int_equal(machine_handles(machine), 0);
    assert_int_equal(machine_keyslots(machine, 0), 1);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PENDING), 0);
    for (size_t i = 0; i < bus_tap_count(); i++)
        assert_int_equal(bus_tap_command(i), TPM2_CC_GetCapability);
    bus_tap_hide_command(0);
    assert_good(machine_try_enroll(&request, MACHINE_PIN, NULL, &error), &error);
}

static void test_long_label(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);
    char label[PROTECTOR_LABEL_MAX + 2];
    struct protector protector;
    struct error error;

    memset(label, 'l', sizeof(label));
    label[PROTECTOR_LABEL_MAX + 1] = '\0';
    request.label = label;
    expect_refused(&request, MACHINE_PIN, ERROR_USAGE, "label is longer");
    label[PROTECTOR_LABEL_MAX] = '\0';
    assert_good(machine_try_enroll(&request, MACHINE_PIN, &protector, &error), &error);
    assert_string_equal(protector.label, label);
    request.label = "two\nlines";
    expect_refused(&request, MACHINE_PIN, ERROR_USAGE, "control character");
}

static void fill_keyslots(struct machine *machine, size_t i)
{
    for (int slot = 1; slot < 4; slot++) /* 1 MiB holds four */
        luks_file_add_unbound(&machine->volumes[i], slot, "full");
}

/* Refused before anything is made: neither token nor state folder. */
static void test_full_keyslots(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);
    uint8_t before[32], after[32];

    fill_keyslots(machine, 0);
    luks_file_digest(&machine->volumes[0], before);
    expect_refused(&request, MACHINE_PIN, ERROR_REFUSED, "no room for another keyslot");
    luks_file_digest(&machine->volumes[0], after);
    assert_memory_equal(before, after, sizeof(before));
    assert_int_not_equal(access(machine->state_folder, F_OK), 0);
}

/* The same for a JSON area in which a protector would fit, but not what it takes on the way. */
static void test_full_json_area(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);
    cleanup(free_ptr) char *padding = calloc(1, 10 * 1024);

    assert_non_null(padding);
    snprintf(padding, 10 * 1024, "{\"type\": \"padding\", \"keyslots\": [], \"text\": \"%08000d\"}", 0);
    luks_set(machine->volumes[0].path, "tokens/7", padding);
    expect_refused(&request, MACHINE_PIN, ERROR_REFUSED, "no room in the LUKS2 header's JSON area");
    assert_int_not_equal(access(machine->state_folder, F_OK), 0);
}

/* A failure after the approval was switched: the volume key that was read is not the volume's any more. */
static int enroll_with_another_key(const struct enroll_request *request, struct error *error)
{
    cleanup(enroll_end) struct enroll enroll = { .state.lock = -1 };
    cleanup(secret_free) struct secret passphrase = secret_of(LUKS_FILE_PASSPHRASE);
    cleanup(secret_free) struct secret pin = secret_of(MACHINE_PIN);

    assert_good(enroll_begin(&enroll, request, error), error);
    assert_good(enroll_check_passphrase(&enroll, &passphrase, error), error);
    enroll.key.bytes[0] ^= 1;
    return enroll_finish(&enroll, &pin, error);
}

/* The keyslot cannot be added: whatever was done before that is undone. */
static void test_rolled_back(void **state)
{
    struct machine *machine = *state;
    size_t i = machine_add_volume(machine);
    struct enroll_request request = machine_request(machine, i);
    cleanup(state_close) struct state own = { .lock = -1 };
    uint32_t keyslots = machine_keyslots(machine, i);
    struct error error;

    assert_error(enroll_with_another_key(&request, &error), &error, ERROR_FAILED, "volume key");
    assert_int_equal(machine_keyslots(machine, i), keyslots);
    assert_int_equal(machine_tokens(machine, i, TOKEN_TYPE_PENDING), 0);
    assert_int_equal(machine_tokens(machine, i, TOKEN_TYPE_PROTECTOR), 0);
    assert_int_equal(machine_handles(machine), 0);
    own = machine_state(machine);
    assert_int_equal(own.approval.object_count, 1);
    state_close(&own);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
}

/* The same for the first volume of a machine: nothing is left approved, and it can be tried again. */
static void test_first_rolled_back(void **state)
{
    struct machine *machine = *state;
    struct enroll_request request = machine_request(machine, 0);
    cleanup(state_close) struct state own = { .lock = -1 };
    struct error error;

    assert_error(enroll_with_another_key(&request, &error), &error, ERROR_FAILED, "volume key");
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PENDING), 0);
    own = machine_state(machine);
    assert_int_equal(own.approval.object_count, 0);
    state_close(&own);
    assert_good(machine_try_enroll(&request, MACHINE_PIN, NULL, &error), &error);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
}

/* A power cut after the approval and the keyslot, before the token: the next enrolment clears all of it away. */
static void test_clears_what_a_cut_one_left(void **state)
{
    struct machine *machine = *state;
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(protector_list_free) struct protector_list list = { 0 };
    cleanup(state_close) struct state own = { .lock = -1 };
    char text[16];
    struct error error;

    assert_good(volume_open(&volume, machine->volumes[0].path, &error), &error);
    assert_good(protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, &error), &error);
    volume_close(&volume);
    /* as if the token had not been written yet */
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "keyslots", "[]");
    snprintf(text, sizeof(text), "%d", list.items[0].keyslot);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "planned_keyslot", text);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "type", "\"bootseal-pending\"");
    machine_enroll(machine, 0, MACHINE_OTHER_PIN);
    assert_int_equal(machine_keyslots(machine, 0), 3);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PENDING), 0);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PROTECTOR), 1);
    own = machine_state(machine);
    assert_int_equal(own.approval.object_count, 1); /* the old object is dead */
    state_close(&own);
    assert_good(machine_unlock(machine, 0, MACHINE_OTHER_PIN, &error), &error);
    assert_error(machine_unlock(machine, 0, MACHINE_PIN, &error), &error, ERROR_WRONG_PIN, "");
}

static void test_lost_index(void **state)
{
    struct machine *machine = *state;
    struct state own = machine_state(machine);
    struct error error;

    assert_good(tpm_index_undefine(machine->tpm, &own.pins.index, &error), &error);
    state_close(&own);
    machine_enroll(machine, machine_add_volume(machine), MACHINE_PIN);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
    assert_good(machine_unlock(machine, 1, MACHINE_PIN, &error), &error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(test_first),
        enrolled_test(test_what_the_state_has),
        enrolled_test(test_survives_the_next_boot),
        machine_test(test_without_a_pin),
        enrolled_test(test_same_pin_shares_the_derivation),
        machine_test(test_wrong_passphrase),
        machine_test(test_not_luks2),
        machine_test(test_unencrypted_state),
        enrolled_test(test_one_of_each_kind),
        enrolled_test(test_operator_of_nothing),
        enrolled_test(test_operators),
        enrolled_test(test_pins_change_with_the_volume_only),
        enrolled_test(test_another_policy),
        machine_test(test_boot_states_that_do_not_count),
        machine_test(test_inactive_bank),
        machine_test(test_tpm_without_policy_authorize_nv),
        machine_test(test_long_label),
        machine_test(test_full_keyslots),
        machine_test(test_full_json_area),
        enrolled_test(test_rolled_back),
        machine_test(test_first_rolled_back),
        enrolled_test(test_clears_what_a_cut_one_left),
        enrolled_test(test_lost_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
