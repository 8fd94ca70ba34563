/* One volume; several are in test-unlock-all-several.c. */
#include "protect/person.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/json-edit.h"
#include "protect/recovery/recovery-key.h"
#include "protect/unlock/cap.h"
#include "tpm/approval-index.h"

static void test_right_pin(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN } };
    struct pcr_values before = machine_pcrs(machine);
    struct outcome *outcome = initramfs_run(machine, &person);
    const struct report_volume *volume = &outcome->report.volumes[0];

    assert_int_equal(outcome->r, 0);
    assert_int_equal(person.asked, 1);
    assert_string_equal(person.prompts[0], "PIN for volume0 (3 tries left)");
    assert_int_equal(outcome->report.volume_count, 1);
    assert_string_equal(volume->name, "volume0");
    assert_string_equal(volume->uuid, LUKS_FILE_UUID);
    assert_true(volume->opened);
    assert_int_equal(volume->by, PROTECTOR_TPM2_PIN);
    assert_int_equal(volume->wrong_pins, 0);
    assert_string_equal(volume->reason, "");
    assert_int_equal(outcome->report.values.mask, 0xffff);
    assert_int_equal(pcr_values_differ(&outcome->report.values, &before, 0xffff), 0);
    assert_string_equal(outcome->report.tpm_error, "");
    initramfs_expect_capped(machine, outcome);
    assert_int_equal(initramfs_wrong_pins(machine), 0);
}

static void test_report_file(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "918273", MACHINE_PIN } };
    struct outcome *outcome = initramfs_run(machine, &person);
    cleanup(json_free) struct json_object *document = json_object_from_file(machine->report_path);
    cleanup(free_ptr) char *text = NULL;
    struct report read;
    struct json_object *volume;
    struct error error;

    assert_good(report_read_values(machine->report_path, &read, &error), &error);
    assert_int_equal(pcr_values_differ(&outcome->report.values, &read.values, 0xffff), 0);
    assert_true(read.cap_done);
    volume = json_object_array_get_idx(json_object_object_get(document, "volumes"), 0);
    assert_true(json_object_get_boolean(json_object_object_get(volume, "opened")));
    assert_string_equal(json_object_get_string(json_object_object_get(volume, "by")), "tpm2-pin");
    assert_int_equal(json_object_get_int(json_object_object_get(volume, "wrong_pins")), 1);
    assert_good(file_read(machine->report_path, 1 << 20, &text, NULL, &error), &error);
    assert_null(strstr(text, MACHINE_PIN));
    assert_null(strstr(text, "918273"));
}

static void test_wrong_then_right(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "000000", MACHINE_PIN } };
    struct outcome *outcome = initramfs_run(machine, &person);

    assert_int_equal(outcome->r, 0);
    assert_int_equal(person.asked, 2);
    assert_string_equal(person.prompts[1], "PIN for volume0 (2 tries left)");
    assert_non_null(strstr(person.lines, "wrong PIN\n"));
    assert_int_equal(outcome->report.volumes[0].wrong_pins, 1);
    assert_int_equal(initramfs_wrong_pins(machine), 1);
    initramfs_expect_capped(machine, outcome);
}

static void test_empty_answer(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "" } };
    struct outcome *outcome = initramfs_run(machine, &person);

    assert_int_equal(outcome->r, ERROR_WRONG_PIN);
    assert_int_equal(person.asked, 1);
    assert_false(outcome->report.volumes[0].opened);
    assert_int_equal(outcome->report.volumes[0].wrong_pins, 0);
    assert_string_equal(outcome->report.volumes[0].reason, "no PIN was given");
    assert_int_equal(initramfs_wrong_pins(machine), 0);
    initramfs_expect_capped(machine, outcome);
}

static void test_tries_exhausted(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "000000", "000001", "000002", MACHINE_PIN } };
    struct outcome *outcome = initramfs_run(machine, &person);

    assert_int_equal(outcome->r, ERROR_WRONG_PIN);
    assert_int_equal(person.asked, 3);
    assert_string_equal(person.prompts[2], "PIN for volume0 (1 try left)");
    assert_int_equal(outcome->report.volumes[0].wrong_pins, 3);
    assert_string_equal(outcome->report.volumes[0].reason, "3 wrong PINs");
    assert_int_equal(initramfs_wrong_pins(machine), 3);
    initramfs_expect_capped(machine, outcome);
}

/* The TPM gives fewer tries than the policy: the last one that locks it is told. */
static void test_fewer_tries_in_the_tpm(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "000000", "000001", MACHINE_PIN } };
    struct outcome *outcome;

    machine_set_max_tries(machine, 2);
    outcome = initramfs_run(machine, &person);
    assert_string_equal(person.prompts[0], "PIN for volume0 (2 tries left)");
    assert_int_equal(person.asked, 2);
    assert_false(outcome->report.volumes[0].opened);
    initramfs_expect_capped(machine, outcome);
    machine_reboot(machine);
    person = (struct person){ .answers = { MACHINE_PIN } };
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_LOCKOUT);
    assert_int_equal(person.asked, 0); /* told before anyone types */
    assert_non_null(strstr(person.lines, "the TPM refuses PINs after 2 wrong ones"));
    assert_non_null(
        strstr(person.lines, "what to do: wait with the machine switched on (one try is forgiven each 600 s)"));
    initramfs_expect_capped(machine, outcome);
}

/* A recovery key for the volume of a machine, as text. */
static int keep_text(void *context, const struct recovery *recovery, const struct secret *text, struct error *error)
{
    char *ret = context;

    (void)recovery;
    (void)error;
    memcpy(ret, text->bytes, text->size);
    ret[text->size] = '\0';
    return 0;
}

static struct recovery add_recovery_key(struct machine *machine, char ret_text[64])
{
    cleanup(recovery_access_end) struct recovery_access access = { .state.lock = -1 };
    cleanup(secret_free) struct secret known = secret_of(LUKS_FILE_PASSPHRASE);
    const struct recovery_hand_over hand_over = { keep_text, ret_text };
    struct recovery recovery;
    struct error error;

    assert_good(recovery_access_begin(&access, machine->state_folder, machine->volumes[0].path, &error), &error);
    assert_good(recovery_access_by_secret(&access, &known, &error), &error);
    assert_good(recovery_key_add(access.volume, &access.key, access.keyslot, &hand_over, &recovery, &error), &error);
    return recovery;
}

/* The lockout ends while somebody looks for the recovery key: Enter leads back to the PIN, and only then. */
static void test_pin_after_a_lockout(void **state)
{
    struct machine *machine = *state;
    struct person patient = { .answers = { "000000", "", MACHINE_PIN }, .patience_s = 2 };
    struct person hasty = { .answers = { "000000", "", MACHINE_PIN } };
    struct outcome *outcome;
    char text[64];

    add_recovery_key(machine, text);
    machine_set_lockout(machine, 1, 1);
    outcome = initramfs_run(machine, &patient);
    assert_int_equal(outcome->r, 0);
    assert_int_equal(patient.asked, 3);
    assert_non_null(strstr(patient.lines, "the TPM refuses PINs after 1 wrong one"));
    assert_non_null(strstr(patient.lines, "to the PIN if the lockout has ended"));
    assert_string_equal(patient.prompts[2], "PIN for volume0 (1 try left)");
    assert_true(outcome->report.volumes[0].opened);
    assert_string_equal(outcome->report.volumes[0].reason, "");
    initramfs_expect_capped(machine, outcome);

    machine_reboot(machine);
    machine_set_lockout(machine, 1, 600);
    outcome = initramfs_run(machine, &hasty);
    assert_int_equal(outcome->r, ERROR_LOCKOUT);
    assert_int_equal(hasty.asked, 2);
    initramfs_expect_capped(machine, outcome);
}

static void test_recovery_key_for_a_pin(void **state)
{
    struct machine *machine = *state;
    char text[64];
    struct recovery recovery = add_recovery_key(machine, text);
    struct person person = { .answers = { "000000", "1-2-3-4-5-6-7-8", text } };
    struct outcome *outcome = initramfs_run(machine, &person);

    assert_int_equal(outcome->r, 0);
    assert_string_equal(person.prompts[2], "PIN for volume0 (2 tries left)"); /* it cost none */
    assert_true(outcome->report.volumes[0].by_recovery);
    assert_string_equal(outcome->report.volumes[0].recovery_id, recovery.id);
    assert_int_equal(outcome->report.volumes[0].status, 0);
    assert_non_null(strstr(person.lines, "group 1 has 1 digit, not 6\n"));
    assert_int_equal(initramfs_wrong_pins(machine), 1);
    assert_null(strstr(person.lines, text));
    initramfs_expect_capped(machine, outcome);
}

/* The cap comes after the recovery key, too; and whoever gives no prompt of its own for it is asked by the PIN's. */
static void test_recovery_key_after_a_mismatch(void **state)
{
    struct machine *machine = *state;
    char text[64], prompt[64];
    struct recovery recovery = add_recovery_key(machine, text);
    struct person person = { .answers = { "too long", text } };
    struct outcome *outcome;

    machine_extend(machine, 4, "an evil kernel");
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, 0);
    snprintf(prompt, sizeof(prompt), "Recovery key %s for volume0", recovery.id);
    assert_string_equal(person.prompts[0], prompt);
    assert_true(outcome->report.volumes[0].opened && outcome->report.volumes[0].by_recovery);
    assert_int_equal(outcome->report.volumes[0].status, ERROR_MISMATCH);
    assert_non_null(strstr(outcome->report.volumes[0].reason, "PCR 4 ("));
    initramfs_expect_capped(machine, outcome);
}

static void test_nobody_has_the_recovery_key(void **state)
{
    struct machine *machine = *state;
    char text[64];
    struct person person = { 0 };
    struct outcome *outcome;

    add_recovery_key(machine, text);
    machine_extend(machine, 4, "an evil kernel");
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_MISMATCH);
    assert_false(outcome->report.volumes[0].opened || outcome->report.volumes[0].by_recovery);
    initramfs_expect_capped(machine, outcome);
}

/* No command is spent on it, and the TPM counts nothing. */
static void test_too_long_an_answer(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "too long", MACHINE_PIN } };
    struct outcome *outcome = initramfs_run(machine, &person);

    assert_int_equal(outcome->r, 0);
    assert_int_equal(person.asked, 2);
    assert_int_equal(initramfs_wrong_pins(machine), 0);
    initramfs_expect_capped(machine, outcome);
}

static void test_nobody_answers(void **state)
{
    struct machine *machine = *state;
    struct person person = { 0 };
    struct outcome *outcome = initramfs_run(machine, &person);

    assert_int_equal(outcome->r, ERROR_USAGE);
    assert_string_equal(outcome->report.volumes[0].reason, "nobody is here");
    initramfs_expect_capped(machine, outcome);
}

static void test_without_a_pin(void **state)
{
    struct machine *machine = *state;
    struct person person = { 0 };
    struct outcome *outcome;

    machine_enroll(machine, 0, NULL);
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, 0);
    assert_int_equal(outcome->report.volumes[0].by, PROTECTOR_TPM2);
    initramfs_expect_capped(machine, outcome);
}

static void test_another_boot_state(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN } };
    struct outcome *outcome;

    machine_extend(machine, 4, "an evil kernel");
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_MISMATCH);
    assert_int_equal(person.asked, 0);
    assert_non_null(strstr(person.lines, "PCR 4 ("));
    assert_non_null(strstr(person.lines, "what to do: "));
    assert_int_equal(outcome->report.volumes[0].status, ERROR_MISMATCH);
    assert_non_null(strstr(outcome->report.volumes[0].reason, "PCR 4 ("));
    initramfs_expect_capped(machine, outcome);
}

static void test_second_run_of_a_boot(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN, MACHINE_PIN } };
    struct outcome *outcome = initramfs_run(machine, &person);

    assert_int_equal(outcome->r, 0);
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_MISMATCH);
    assert_int_equal(person.asked, 1);
    assert_non_null(strstr(outcome->report.volumes[0].reason, "is capped"));
    initramfs_expect_capped(machine, outcome);
    machine_reboot(machine); /* and the next boot opens it again */
    assert_int_equal(initramfs_run(machine, &person)->r, 0);
}

static void test_no_tpm_answers(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN } };
    struct swtpm off = machine->swtpm;
    struct outcome *outcome;

    machine_disconnect(machine);
    snprintf(machine->swtpm.tcti, sizeof(machine->swtpm.tcti), "swtpm:host=127.0.0.1,port=1");
    machine->swtpm.pid = 0; /* run() does not connect again */
    outcome = initramfs_run(machine, &person);
    machine->swtpm = off;
    assert_int_equal(outcome->r, ERROR_TPM);
    assert_int_equal(person.asked, 0);
    assert_false(outcome->report.cap_done);
    assert_int_equal(outcome->report.values.mask, 0);
    assert_true(outcome->report.tpm_error[0]);
    assert_int_equal(outcome->report.volume_count, 1);
    assert_int_equal(outcome->report.volumes[0].status, ERROR_TPM);
    assert_true(outcome->report.volumes[0].reason[0]);
    assert_true(file_exists(machine->report_path));
}

static void test_damaged_pins(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN } };
    struct outcome *outcome;

    json_edit(machine->pins_path, "volumes/0/facts", "\"00\"");
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_METADATA);
    assert_int_equal(person.asked, 0);
    assert_int_equal(outcome->report.volume_count, 0);
    assert_non_null(strstr(person.lines, "pins: "));
    initramfs_expect_capped(machine, outcome);
}

static void test_no_pins(void **state)
{
    struct machine *machine = *state;
    struct person person = { 0 };
    struct outcome *outcome = initramfs_run(machine, &person);

    assert_int_equal(outcome->r, 0);
    assert_int_equal(outcome->report.volume_count, 0);
    assert_string_equal(person.lines, "");
    initramfs_expect_capped(machine, outcome);
}

static void test_pinned_to_another_tpm(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN } };
    struct swtpm own = machine->swtpm;
    struct outcome *outcome;

    machine_disconnect(machine);
    assert_int_equal(swtpm_start(&machine->swtpm), 0);
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_TPM);
    assert_int_equal(person.asked, 0);
    assert_true(outcome->report.volumes[0].reason[0]);
    initramfs_expect_capped(machine, outcome);
    machine_disconnect(machine);
    swtpm_stop(&machine->swtpm);
    machine->swtpm = own;
    machine_connect(machine);
}

static void test_lost_index(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN } };
    struct state own = machine_state(machine);
    struct outcome *outcome;
    struct error error;

    assert_good(tpm_index_undefine(machine->tpm, &own.pins.index, &error), &error);
    state_close(&own);
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_TPM);
    assert_int_equal(person.asked, 0);
    initramfs_expect_capped(machine, outcome);
}

static void expect_closed(struct machine *machine, const char *what)
{
    struct person person = { .answers = { MACHINE_PIN } };
    struct outcome *outcome = initramfs_run(machine, &person);

    if (!outcome->r || person.asked || outcome->report.volumes[0].opened)
        fail_msg("%s: it is opened, or a PIN asked for", what);
    initramfs_expect_capped(machine, outcome);
    machine_reboot(machine);
    machine_copy(scratch_path(&machine->scratch, "genuine"), machine->volumes[0].path);
}

static void test_edited_headers(void **state)
{
    static const struct {
        const char *member, *json;
    } segments[] = {
        { "segments/0/encryption", "\"cipher_null-ecb\"" },
        { "segments/0/encryption", "\"aes-cbc-essiv:sha256\"" },
        { "segments/0/sector_size", "4096" },
        { "segments/0/iv_tweak", "\"8\"" },
        { "config/requirements", "{ \"mandatory\": [\"online-reencrypt\"] }" },
    };
    static const struct {
        const char *type, *member, *json;
    } tokens[] = {
        { TOKEN_TYPE_PROTECTOR, "", NULL },
        { TOKEN_TYPE_PROTECTOR, "version", "99" },
        { TOKEN_TYPE_PROTECTOR, "kdf/memory_kib", "8" },
        { TOKEN_TYPE_PROTECTOR, "keyslots", "[]" },
        { TOKEN_TYPE_APPROVAL, "", NULL },
        { TOKEN_TYPE_APPROVAL, "version", "99" },
        { TOKEN_TYPE_APPROVAL, "objects", "[]" },
    };
    struct machine *machine = *state;

    machine_copy(machine->volumes[0].path, scratch_path(&machine->scratch, "genuine"));
    for (size_t i = 0; i < array_size(segments); i++) {
        luks_set(machine->volumes[0].path, segments[i].member, segments[i].json);
        expect_closed(machine, segments[i].member);
    }
    for (size_t i = 0; i < array_size(tokens); i++) {
        machine_set_token(machine, 0, tokens[i].type, tokens[i].member, tokens[i].json);
        expect_closed(machine, tokens[i].member);
    }
    {
        struct person person = { .answers = { MACHINE_PIN } };

        assert_int_equal(initramfs_run(machine, &person)->r, 0); /* the genuine one still opens */
    }
}

/* The genuine secret does not open what is in the protector's keyslot: not a wrong PIN, and no second question. */
static void test_another_keyslot(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN, MACHINE_PIN } };
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(secret_free) struct secret known = secret_of(LUKS_FILE_PASSPHRASE);
    cleanup(secret_free) struct secret other = secret_of("another passphrase");
    cleanup(secret_free) struct secret key = { 0 };
    struct outcome *outcome;
    struct error error;
    int keyslot;

    assert_good(volume_open(&volume, machine->volumes[0].path, &error), &error);
    assert_good(volume_keyslot_open(volume, 0, &known, &key, NULL, &error), &error);
    assert_good(volume_keyslot_remove(volume, 1, &error), &error);
    assert_good(volume_keyslot_add(volume, &key, &other, &keyslot, &error), &error);
    assert_int_equal(keyslot, 1);
    volume_close(&volume);
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "keyslots", "[\"1\"]");
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_METADATA);
    assert_int_equal(person.asked, 1);
    assert_non_null(strstr(outcome->report.volumes[0].reason, "does not open keyslot 1"));
    initramfs_expect_capped(machine, outcome);
}

/* Without pins nobody has named a bank: an active one is taken. */
static void test_inactive_bank_and_no_pins(void **state)
{
    struct machine *machine = *state;
    struct person person = { 0 };
    struct pcr_values now, start = { .bank = HASH_SHA384, .mask = 1u << MACHINE_CAP };
    struct outcome *outcome;
    struct error error;

    machine_set_banks(machine, "sha256:none+sha384:all");
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, 0);
    assert_true(outcome->report.cap_done);
    assert_int_equal(outcome->report.values.bank, HASH_SHA384);
    assert_good(tpm_pcr_read(machine->tpm, HASH_SHA384, 1u << MACHINE_CAP, &now, &error), &error);
    assert_true(cap_is_on(&start, &now, MACHINE_CAP));
}

/* The pinned bank was switched off: nothing opens, and the cap cannot be shown to have happened. */
static void test_inactive_pinned_bank(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN } };
    struct outcome *outcome;

    machine_set_banks(machine, "sha256:none+sha384:all");
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_TPM);
    assert_int_equal(person.asked, 0);
    assert_false(outcome->report.volumes[0].opened);
    assert_false(outcome->report.cap_done);
    assert_non_null(strstr(person.lines, "cap: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_right_pin),
        enrolled_test(test_report_file),
        enrolled_test(test_wrong_then_right),
        enrolled_test(test_empty_answer),
        enrolled_test(test_tries_exhausted),
        enrolled_test(test_fewer_tries_in_the_tpm),
        enrolled_test(test_pin_after_a_lockout),
        enrolled_test(test_recovery_key_for_a_pin),
        enrolled_test(test_recovery_key_after_a_mismatch),
        enrolled_test(test_nobody_has_the_recovery_key),
        enrolled_test(test_too_long_an_answer),
        enrolled_test(test_nobody_answers),
        machine_test(test_without_a_pin),
        enrolled_test(test_another_boot_state),
        enrolled_test(test_second_run_of_a_boot),
        enrolled_test(test_no_tpm_answers),
        enrolled_test(test_damaged_pins),
        machine_test(test_no_pins),
        enrolled_test(test_pinned_to_another_tpm),
        enrolled_test(test_lost_index),
        enrolled_test(test_edited_headers),
        enrolled_test(test_another_keyslot),
        machine_test(test_inactive_bank_and_no_pins),
        enrolled_test(test_inactive_pinned_bank),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
