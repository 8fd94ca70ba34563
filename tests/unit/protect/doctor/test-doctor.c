/* Facts of a real TPM and real headers, and the repairs. */
#include "protect/doctor/doctor.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/machine.h"
#include "tpm/lockout.h"

struct look {
    struct doctor_facts *facts;
    struct doctor_findings findings;
};

static void look_free(struct look *look)
{
    doctor_findings_free(&look->findings);
    doctor_facts_free(look->facts);
    free(look->facts);
}

static struct doctor_request request_of(struct machine *machine)
{
    return (struct doctor_request){
        .status = {
            .tpm = machine->tpm,
            .state_folder = machine->state_folder,
            .report_path = machine->report_path,
        },
        .root = machine->scratch.folder, /* nothing of a system is there */
        .policy_path = "/policy.json",
    };
}

static struct look look_at(struct machine *machine)
{
    const struct doctor_request request = request_of(machine);
    struct look look = { .facts = calloc(1, sizeof(*look.facts)) };
    struct error error;

    assert_non_null(look.facts);
    assert_good(doctor_gather(&request, look.facts, &error), &error);
    assert_good(doctor_examine(look.facts, &look.findings, &error), &error);
    assert_int_equal(machine_handles(machine), 0);
    return look;
}

static struct doctor_finding *find(struct look *look, const char *kind)
{
    for (size_t i = 0; i < look->findings.count; i++)
        if (strcmp(look->findings.items[i].check->kind, kind) == 0)
            return &look->findings.items[i];
    return NULL;
}

static void expect(struct machine *machine, const char *kind, bool there)
{
    cleanup(look_free) struct look look = look_at(machine);

    if (!find(&look, kind) == there)
        fail_msg("%s is %s", kind, there ? "not found" : "found");
}

/* Finds the kind, repairs, and does not find it any more; the PIN opens. */
static void expect_repaired(struct machine *machine, const char *kind)
{
    const struct doctor_request request = request_of(machine);
    cleanup(look_free) struct look look = look_at(machine);
    struct doctor_finding *finding = find(&look, kind);
    struct error error;

    if (!finding)
        fail_msg("%s is not found", kind);
    doctor_repair(&request, &look.findings);
    if (finding->fix.kind)
        fail_msg("%s: %s", kind, finding->fix.text);
    expect(machine, kind, false);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
}

/* On a bench the state folder is in the open, the passphrase there, and no recovery key. */
static void test_enrolled(void **state)
{
    cleanup(look_free) struct look look = look_at(*state);

    for (size_t i = 0; i < look.findings.count; i++) {
        const char *kind = look.findings.items[i].check->kind;

        if (strcmp(kind, "state-unencrypted") != 0 && strcmp(kind, "no-recovery-key") != 0 &&
            strcmp(kind, "keyslot-unnamed") != 0 && strcmp(kind, "passphrase-left") != 0 &&
            strcmp(kind, "initrd-unmeasured") != 0) /* the bench's policy leaves it out */
            fail_msg("%s: %s", kind, look.findings.items[i].text);
    }
    assert_non_null(find(&look, "no-recovery-key"));
    assert_non_null(find(&look, "initrd-unmeasured"));
}

static void test_nothing_enrolled(void **state)
{
    cleanup(look_free) struct look look = look_at(*state);

    assert_non_null(find(&look, "nothing-enrolled"));
    assert_non_null(find(&look, "lockout-auth-empty"));
    assert_null(find(&look, "srk-missing"));
    assert_null(find(&look, "index-missing"));
}

static struct entity index_of(struct machine *machine)
{
    cleanup(state_close) struct state own = machine_state(machine);

    return own.pins.index;
}

static void test_index(void **state)
{
    struct machine *machine = *state;
    const struct entity index = index_of(machine);
    struct error error;

    assert_good(tpm_index_undefine(machine->tpm, &index, &error), &error);
    expect(machine, "next-unlock-fails", true);
    expect_repaired(machine, "index-missing");
    expect(machine, "next-unlock-fails", false);
    assert_good(tpm_index_undefine(machine->tpm, &index, &error), &error);
    assert_good(tpm_index_define(machine->tpm, &index, &error), &error);
    expect_repaired(machine, "index-missing"); /* defined, and not written */
}

static void test_foreign_index(void **state)
{
    struct machine *machine = *state;
    struct state own = machine_state(machine);
    const struct digest policy = { { 1 } };
    struct entity other;
    struct error error;

    assert_good(tpm_index_undefine(machine->tpm, &own.pins.index, &error), &error);
    assert_good(tpm_index_describe(own.pins.index.handle, &policy, &other, &error), &error);
    assert_good(tpm_index_define(machine->tpm, &other, &error), &error);
    state_close(&own);
    expect_repaired(machine, "index-foreign");
}

/* An older state folder put back: the TPM holds another list. */
static void test_stale_list(void **state)
{
    struct machine *machine = *state;
    cleanup(free_ptr) char *kept = strdup(scratch_path(&machine->scratch, "approval.json"));

    assert_non_null(kept);
    machine_copy(scratch_path(&machine->scratch, "state/approval.json"), kept);
    machine_enroll(machine, machine_add_volume(machine), MACHINE_OTHER_PIN);
    expect(machine, "approval-stale", false);
    machine_copy(kept, scratch_path(&machine->scratch, "state/approval.json"));
    expect_repaired(machine, "approval-stale");
}

/* Removed, damaged, edited: the state folder's list is written again. */
static void test_list_in_the_header(void **state)
{
    static const struct {
        const char *member, *json;
    } rows[] = {
        { "", NULL }, { "version", "0" }, { "branches", "[]" }, { "objects", "[]" }, { "cap", "8" },
    };
    struct machine *machine = *state;

    for (size_t i = 0; i < array_size(rows); i++) {
        machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, rows[i].member, rows[i].json);
        expect_repaired(machine, "approval-token");
    }
}

/* That is not damage: it stays until somebody decides. */
static void test_list_of_a_later_version(void **state)
{
    struct machine *machine = *state;
    const struct doctor_request request = request_of(machine);

    machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, "version", "2");
    {
        cleanup(look_free) struct look look = look_at(machine);
        struct doctor_finding *finding = find(&look, "approval-token");

        assert_non_null(finding);
        doctor_repair(&request, &look.findings);
        assert_int_equal(finding->fix.kind, ERROR_METADATA);
        assert_non_null(strstr(finding->fix.remedy, "cryptsetup token remove"));
    }
    expect(machine, "approval-token", true);
    machine_set_token(machine, 0, TOKEN_TYPE_APPROVAL, "", NULL);
    expect_repaired(machine, "approval-token");
}

static void test_limits(void **state)
{
    struct machine *machine = *state;
    cleanup(secret_free) struct secret auth = { 0 };
    struct state own = machine_state(machine);
    struct tpm_state now;
    struct error error;

    assert_good(tpm_srk_use(machine->tpm, &own.pins.srk, &error), &error);
    assert_good(state_read_lockout_auth(&own, &auth, &error), &error);
    assert_good(tpm_lockout_set_limits(machine->tpm, &auth, 5, 1, 99999, &error), &error);
    state_close(&own);
    expect_repaired(machine, "limits-loose");
    assert_good(tpm_state_read(machine->tpm, &now, &error), &error);
    assert_int_equal(now.max_tries, 5); /* what was strict stays so */
    assert_int_equal(now.recovery_s, 600);
    assert_int_equal(now.lockout_recovery_s, 99999);
}

/* A repair that fails says why, and the finding stays. */
static void test_failed_repair(void **state)
{
    struct machine *machine = *state;
    const struct doctor_request request = request_of(machine);
    struct state own = machine_state(machine);
    struct error error;

    assert_good(tpm_index_undefine(machine->tpm, &own.pins.index, &error), &error);
    state_close(&own);
    assert_return_code(unlink(scratch_path(&machine->scratch, "state/authority.pem")), 0);
    {
        cleanup(look_free) struct look look = look_at(machine);
        struct doctor_finding *finding = find(&look, "index-missing");

        assert_non_null(finding);
        assert_non_null(find(&look, "authority-missing"));
        doctor_repair(&request, &look.findings);
        assert_int_not_equal(finding->fix.kind, ERROR_NONE);
        assert_int_equal(find(&look, "authority-missing")->fix.kind, ERROR_NONE);
    }
    expect(machine, "index-missing", true);
}

/* As if a power cut had come after the keyslot, before the token. */
static void cut_enrolment(struct machine *machine, size_t i)
{
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(protector_list_free) struct protector_list list = { 0 };
    char text[16];
    struct error error;

    assert_good(volume_open(&volume, machine->volumes[i].path, &error), &error);
    assert_good(protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, &error), &error);
    snprintf(text, sizeof(text), "%d", list.items[0].keyslot);
    volume_close(&volume);
    machine_set_token(machine, i, TOKEN_TYPE_PROTECTOR, "keyslots", "[]");
    machine_set_token(machine, i, TOKEN_TYPE_PROTECTOR, "planned_keyslot", text);
    machine_set_token(machine, i, TOKEN_TYPE_PROTECTOR, "type", "\"bootseal-pending\"");
}

static void test_leftovers(void **state)
{
    struct machine *machine = *state;
    size_t i = machine_add_volume(machine);
    struct state own;

    machine_enroll(machine, i, MACHINE_OTHER_PIN);
    cut_enrolment(machine, i);
    expect_repaired(machine, "enrolment-cut");
    assert_int_equal(machine_keyslots(machine, i), 1);
    assert_int_equal(machine_tokens(machine, i, TOKEN_TYPE_PENDING), 0);
    own = machine_state(machine);
    assert_int_equal(own.approval.object_count, 1);
    state_close(&own);
}

/* The keyslot that a cut enrolment left is the only one: nobody takes it away unasked. */
static void test_leftover_that_is_the_last_way_in(void **state)
{
    struct machine *machine = *state;
    const struct doctor_request request = request_of(machine);
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(look_free) struct look look = { 0 };
    struct error error;

    assert_good(volume_open(&volume, machine->volumes[0].path, &error), &error);
    assert_good(volume_keyslot_remove(volume, 0, &error), &error);
    volume_close(&volume);
    cut_enrolment(machine, 0);
    look = look_at(machine);
    assert_non_null(find(&look, "enrolment-cut"));
    doctor_repair(&request, &look.findings);
    assert_int_equal(find(&look, "enrolment-cut")->fix.kind, ERROR_REFUSED);
    assert_int_equal(machine_keyslots(machine, 0), 2);
}

static void test_changed_header(void **state)
{
    struct machine *machine = *state;

    luks_set(machine->volumes[0].path, "segments/0/encryption", "\"serpent-xts-plain64\"");
    expect(machine, "pins-differ", true);
    expect(machine, "next-unlock-fails", true);
}

static void test_missing_volume(void **state)
{
    struct machine *machine = *state;

    machine_copy(machine->volumes[0].path, scratch_path(&machine->scratch, "copy"));
    assert_return_code(unlink(machine->volumes[0].path), 0);
    expect(machine, "volume-unreadable", true);
    machine_copy(scratch_path(&machine->scratch, "copy"), machine->volumes[0].path);
    expect(machine, "volume-unreadable", false);
}

static void test_policy(void **state)
{
    struct machine *machine = *state;
    const struct doctor_request request = request_of(machine);
    struct lockout_rules rules;
    struct error error;

    assert_good(doctor_rules(&request, &rules, &error), &error);
    assert_int_equal(rules.max_tries, 32);
    scratch_write(&machine->scratch, "policy.json", "{ \"pcrs\": [4, 7, 12], \"lockout\": { \"max_tries\": 5 } }");
    expect(machine, "limits-loose", true);
    expect_repaired(machine, "limits-loose");
    scratch_write(&machine->scratch, "policy.json", "{ \"pcrs\": [] }");
    assert_error(doctor_rules(&request, &rules, &error), &error, ERROR_USAGE, "policy.json");
}

/* This system's initramfs is nobody else's business. */
static void test_initramfs_of_another_root(void **state)
{
    static const struct doctor_check check = { "initramfs-old", DOCTOR_WARNING, DOCTOR_REPAIR_INITRAMFS, NULL };
    const struct doctor_request request = request_of(*state);
    struct doctor_finding finding = { .check = &check };
    struct doctor_findings findings = { .items = &finding, .count = 1 };

    doctor_repair(&request, &findings);
    assert_int_equal(finding.fix.kind, ERROR_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_enrolled),
        machine_test(test_nothing_enrolled),
        enrolled_test(test_index),
        enrolled_test(test_foreign_index),
        enrolled_test(test_stale_list),
        enrolled_test(test_list_in_the_header),
        enrolled_test(test_list_of_a_later_version),
        enrolled_test(test_limits),
        enrolled_test(test_failed_repair),
        enrolled_test(test_leftovers),
        enrolled_test(test_leftover_that_is_the_last_way_in),
        enrolled_test(test_changed_header),
        enrolled_test(test_missing_volume),
        enrolled_test(test_policy),
        machine_test(test_initramfs_of_another_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
