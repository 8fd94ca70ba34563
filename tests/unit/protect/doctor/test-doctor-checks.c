/* Each check on facts that were made up: a healthy machine has no finding, and one change makes one kind appear. */
#include "protect/doctor/doctor.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PCRS (1u << 4 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 12)

struct bench {
    struct doctor_facts *facts;
    struct status_volume volume;
    struct protector protector;
    struct branch branch;
    struct object_name object;
};

static void fill_values(struct pcr_values *values)
{
    *values = (struct pcr_values){ .bank = HASH_SHA256, .mask = PCRS };
    for (unsigned i = 0; i < PCR_COUNT; i++)
        memset(values->value[i], i == 12 ? 0 : 0x40 + (int)i, DIGEST_BYTES);
}

static void fill_volume(struct bench *bench)
{
    bench->protector = (struct protector){ .kind = PROTECTOR_TPM2_PIN, .id = "an ID", .keyslot = 1 };
    bench->volume = (struct status_volume){
        .device = "/dev/sda3",
        .name = "cryptroot",
        .protectors = { .items = &bench->protector, .count = 1 },
        .recovery_keys = { { .id = "1a2b3c4d", .keyslot = 2 } },
        .recovery_key_count = 1,
        .next_unlock = STATUS_YES,
    };
}

static void fill_system(struct doctor_facts *facts)
{
    facts->secure_boot = facts->panic = DOCTOR_YES;
    facts->state_encrypted = facts->boot_encrypted = true;
    facts->swaps = (struct doctor_places){ { { "/dev/dm-1", true } }, 1 };
    facts->resume = facts->swaps;
    facts->key_files = (struct doctor_places){ { { "/etc/keys/data", true } }, 1 };
    facts->images[0] = (struct doctor_image){ .path = "/boot/initrd.img-6.1.0-50-amd64",
                                              .has_program = true,
                                              .program_is_installed = true,
                                              .pins_are_current = true };
    facts->image_count = 1;
    facts->chain = CHAIN_SHIM_GRUB;
    facts->next.predicted = true;
}

static void fill(struct bench *bench)
{
    struct doctor_facts *facts = bench->facts;
    struct status *status = &facts->status;

    *facts = (struct doctor_facts){ .srk = DOCTOR_YES,
                                    .index_known = true,
                                    .index = TPM_INDEX_WRITTEN,
                                    .index_holds_list = true,
                                    .active_pcrs = 0xffffff,
                                    .lockout_auth_kept = true,
                                    .rules = { 32, 600, 86400 },
                                    .volume_count = 1 };
    fill_volume(bench);
    facts->volumes[0] = (struct doctor_volume){ .status = &bench->volume, .list_good = true };
    status->tpm.state =
        (struct tpm_state){ .lockout_auth_set = true, .max_tries = 32, .recovery_s = 600, .lockout_recovery_s = 86400 };
    status->state = (struct state){
        .folder = (char *)"/state", .has_pins = true, .has_approval = true, .authority = (struct authority *)bench
    };
    status->state.approval = (struct approval){ .bank = HASH_SHA256,
                                                .pcrs = PCRS,
                                                .cap = 12,
                                                .branches = &bench->branch,
                                                .branch_count = 1,
                                                .objects = &bench->object,
                                                .object_count = 1 };
    bench->branch = (struct branch){ .kind = BRANCH_BOOT };
    fill_values(&bench->branch.values);
    fill_values(&status->boot.values);
    fill_system(facts);
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    assert_non_null(bench);
    bench->facts = calloc(1, sizeof(*bench->facts));
    assert_non_null(bench->facts);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    free(bench->facts);
    free(bench);
    return 0;
}

/* ---- what may be wrong, one at a time ---- */

#define broken(name, statement)                                                                                        \
    static void name(struct bench *bench)                                                                              \
    {                                                                                                                  \
        struct doctor_facts *facts = bench->facts;                                                                     \
        struct status_volume *volume = &bench->volume;                                                                 \
                                                                                                                       \
        (void)facts;                                                                                                   \
        (void)volume;                                                                                                  \
        statement;                                                                                                     \
    }                                                                                                                  \
    void name(struct bench *bench) /* for the semicolon */

broken(tpm_gone, error_set(&facts->status.tpm.error, ERROR_TPM, "there is no TPM"));
broken(srk_gone, (facts->srk = DOCTOR_NOT_KNOWN, facts->srk_missing = true));
broken(srk_other, facts->srk = DOCTOR_NO);
broken(index_gone, facts->index = TPM_INDEX_ABSENT);
broken(index_empty, facts->index = TPM_INDEX_UNWRITTEN);
broken(index_other, facts->index = TPM_INDEX_FOREIGN);
broken(index_stale, facts->index_holds_list = false);
broken(authority_gone, facts->status.state.authority = NULL);
broken(folder_damaged, error_set(&facts->status.damage, ERROR_METADATA, "pins.json: not JSON"));
broken(rotation_begun, facts->status.state.rotation = ROTATION_BEGUN);
broken(rotation_done, facts->status.state.rotation = ROTATION_WAITING);
broken(auth_empty, facts->status.tpm.state.lockout_auth_set = false);
broken(auth_foreign, facts->lockout_auth_kept = false);
broken(many_tries, facts->status.tpm.state.max_tries = 33);
broken(fast_recovery, facts->status.tpm.state.recovery_s = 599);
broken(fast_lockout_recovery, facts->status.tpm.state.lockout_recovery_s = 0);
broken(lockout, (facts->status.tpm.state.in_lockout = true, facts->status.tpm.lockout_wait_s = 600));
broken(some_wrong_pins, facts->status.tpm.state.lockout_counter = 2);
broken(bank_off, facts->active_pcrs = 0);
broken(bank_in_part, facts->active_pcrs &= ~(1u << 9));
broken(pcr_zero, memset(facts->status.boot.values.value[7], 0, DIGEST_BYTES));
broken(pcr_ones, memset(facts->status.boot.values.value[7], 0xff, DIGEST_BYTES));
broken(initrd_not_bound, (facts->chain = CHAIN_NONE, facts->status.state.approval.pcrs &= ~(1u << 9)));
broken(secure_boot_off, facts->secure_boot = DOCTOR_NO);
broken(no_panic, facts->panic = DOCTOR_NO);
broken(disk_gone, error_set(&volume->unlock, ERROR_FAILED, "cannot open it"));
broken(no_volume, error_set(&volume->unlock, ERROR_NOT_LUKS2, "no LUKS2 volume"));
broken(other_header, error_set(&facts->volumes[0].pin, ERROR_METADATA, "another cipher"));
broken(other_list, facts->volumes[0].list_good = false);
broken(cut_removal, facts->status.state.approval.object_count = 0);
broken(cut_list, facts->volumes[0].list_cut = true);
broken(bad_token, error_set(&volume->unlock, ERROR_METADATA, "the token is damaged"));
broken(no_protector, (error_set(&volume->unlock, ERROR_NO_PROTECTOR, "none"), volume->protectors.count = 0));
broken(next_fails, (volume->next_unlock = STATUS_NO, error_set(&volume->next_reason, ERROR_MISMATCH, "PCR 9")));
broken(cut, (facts->volumes[0].pending = true, volume->other_keyslots = volume->orphan_keyslots = 4));
broken(orphan, volume->other_keyslots = volume->orphan_keyslots = 1u << 31);
broken(passphrase, volume->other_keyslots = 1);
broken(no_recovery, volume->recovery_key_count = 0);
broken(recovery_used, strcpy(volume->recovery_keys[0].used, "2026-11-22T08:00:00Z"));
broken(pinless, bench->protector.kind = PROTECTOR_TPM2);
broken(nothing, facts->volume_count = 0);
broken(state_outside, facts->state_encrypted = false);
broken(boot_outside, facts->boot_encrypted = false);
broken(swap_outside, facts->swaps.items[0].safe = false);
broken(resume_outside, facts->resume.items[0].safe = false);
broken(key_outside, facts->key_files.items[0].safe = false);
broken(key_copied, (strcpy(facts->copied.items[0].path, "/etc/keys/data"), facts->copied.count = 1));
broken(image_damaged, error_set(&facts->images[0].error, ERROR_FAILED, "lsinitramfs ended with status 1"));
broken(image_without, facts->images[0].has_program = false);
broken(image_old, facts->images[0].program_is_installed = false);
broken(image_pins, facts->images[0].pins_are_current = false);
broken(image_boots, facts->chain = CHAIN_UKI);
broken(commands_not_bound, facts->status.state.approval.pcrs &= ~(1u << 8));
broken(file_changed,
       (strcpy(facts->changed[0].path, "/boot/initrd.img-6.1.0-50-amd64"),
        error_set(&facts->changed[0].error, ERROR_REFUSED, "changed by something else"), facts->changed_count = 1));
broken(next_refused, (error_set(&facts->next.error, ERROR_REFUSED, "the next boot, \"Debian\", is not approved"),
                      error_remedy(&facts->next.error, "look")));
broken(suspended, (facts->status.has_suspension = true, facts->status.suspension.until = 1));
broken(not_predicted, (facts->next.unpredictable = 1u << 9, strcpy(facts->next.why[9], "a btrfs")));

static const struct {
    void (*break_it)(struct bench *bench);
    const char *kind; /* the one that appears */
    const char *words;
} rows[] = {
    { tpm_gone, "tpm-unusable", "there is no TPM" },
    { srk_gone, "srk-missing", "0x81000001" },
    { srk_other, "srk-foreign", "another TPM" },
    { index_gone, "index-missing", "gone" },
    { index_empty, "index-missing", "gone" },
    { index_other, "index-foreign", "somebody" },
    { index_stale, "approval-stale", "older state folder" },
    { authority_gone, "authority-missing", "no authority" },
    { folder_damaged, "state-damaged", "pins.json" },
    { rotation_begun, "rotation-cut", "was cut" },
    { rotation_done, "rotation-waits", "beside the new one" },
    { auth_empty, "lockout-auth-empty", "empty" },
    { auth_foreign, "lockout-auth-unknown", "someone else" },
    { many_tries, "limits-loose", "33 tries" },
    { fast_recovery, "limits-loose", "599 s" },
    { fast_lockout_recovery, "limits-loose", "0 s" },
    { lockout, "locked-out", "600 s" },
    { some_wrong_pins, "wrong-pins", "2 wrong PINs of 32" },
    { bank_off, "bank-inactive", "sha256" },
    { bank_in_part, "bank-inactive", "PCRs 9" },
    { pcr_zero, "pcr-not-extended", "PCR 7" },
    { pcr_ones, "pcr-not-extended", "PCR 7" },
    { initrd_not_bound, "initrd-unmeasured", "initrd" },
    { secure_boot_off, "secure-boot-off", "Secure Boot" },
    { no_panic, "panic-missing", "panic=" },
    { disk_gone, "volume-unreadable", "cannot open it" },
    { no_volume, "volume-unreadable", "no LUKS2 volume" },
    { other_header, "pins-differ", "another cipher" },
    { other_list, "approval-token", "list" },
    { cut_removal, "removal-cut", "nothing is approved" },
    { cut_list, "approval-cut", "was cut" },
    { bad_token, "protector-damaged", "the token is damaged" },
    { no_protector, "protector-missing", "no protector" },
    { next_fails, "next-unlock-fails", "PCR 9" },
    { cut, "enrolment-cut", "cut" },
    { orphan, "keyslot-unnamed", "31" },
    { passphrase, "passphrase-left", "keyslots 0" },
    { no_recovery, "no-recovery-key", "no recovery key" },
    { recovery_used, "recovery-key-used", "1a2b3c4d" },
    { pinless, "no-pin", "an ID" },
    { nothing, "nothing-enrolled", "no volume" },
    { state_outside, "state-unencrypted", "authority" },
    { boot_outside, "boot-unencrypted", "/boot" },
    { swap_outside, "swap-unencrypted", "swap" },
    { resume_outside, "resume-not-pinned", "resumed" },
    { key_outside, "key-file-unencrypted", "crypttab" },
    { key_copied, "key-file-in-initramfs", "copied" },
    { image_damaged, "initramfs-unreadable", "status 1" },
    { image_without, "initramfs-without-bootseal", "does not have bootseal" },
    { image_old, "initramfs-old", "another bootseal-unlock" },
    { image_pins, "initramfs-pins-differ", "other pins" },
    { image_boots, "chain-not-covered", "a unified kernel image, and the policy does not bind PCR 11" },
    { commands_not_bound, "chain-not-covered", "shim and GRUB, and the policy does not bind PCR 8" },
    { file_changed, "boot-file-changed", "something else" },
    { next_refused, "next-boot-not-approved", "Debian" },
    { suspended, "bootseal-suspended", "1 more boot may open" },
    { not_predicted, "pcr-unpredictable", "PCR 9" },
};

static void test_healthy(void **state)
{
    struct bench *bench = *state;
    cleanup(doctor_findings_free) struct doctor_findings findings = { 0 };
    struct error error;

    fill(bench);
    assert_int_equal(doctor_examine(bench->facts, &findings, &error), 0);
    if (findings.count)
        fail_msg("%s: %s", findings.items[0].check->kind, findings.items[0].text);
}

/* The kind that is wanted and no other, with words and a remedy. */
static void test_each(void **state)
{
    struct bench *bench = *state;

    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup(doctor_findings_free) struct doctor_findings findings = { 0 };
        struct error error;

        fill(bench);
        rows[i].break_it(bench);
        assert_int_equal(doctor_examine(bench->facts, &findings, &error), 0);
        if (findings.count != 1 || strcmp(findings.items[0].check->kind, rows[i].kind) != 0)
            fail_msg("row %zu, %s: %zu findings, %s", i, rows[i].kind, findings.count,
                     findings.count ? findings.items[0].check->kind : "none");
        assert_non_null(strstr(findings.items[0].text, rows[i].words));
        assert_true(findings.items[0].remedy[0]);
    }
}

static void test_every_kind_has_a_row(void **state)
{
    (void)state;
    for (const struct doctor_check *const *group = doctor_groups; *group; group++)
        for (const struct doctor_check *check = *group; check->kind; check++) {
            bool found = false;

            for (size_t i = 0; i < array_size(rows); i++)
                found = found || strcmp(rows[i].kind, check->kind) == 0;
            if (!found)
                fail_msg("%s has no row", check->kind);
        }
}

/* PCR 12 may be zero, and so may the cap; a unified kernel image is covered by PCR 11. */
static void test_what_is_no_finding(void **state)
{
    struct bench *bench = *state;
    cleanup(doctor_findings_free) struct doctor_findings findings = { 0 };
    struct error error;

    fill(bench);
    bench->facts->status.state.approval.cap = 8;
    memset(bench->facts->status.boot.values.value[8], 0, DIGEST_BYTES);
    bench->facts->status.state.approval.pcrs = 1u << 4 | 1u << 7 | 1u << 8 | 1u << 11 | 1u << 12;
    bench->facts->status.boot.values.mask |= 1u << 11;
    bench->facts->secure_boot = bench->facts->panic = DOCTOR_NOT_KNOWN;
    bench->facts->chain = CHAIN_UKI;
    assert_int_equal(doctor_examine(bench->facts, &findings, &error), 0);
    if (findings.count)
        fail_msg("%s: %s", findings.items[0].check->kind, findings.items[0].text);
}

/* Where nothing could be predicted, and nothing is enrolled, nothing is said of the next boot. */
static void test_next_boot_not_known(void **state)
{
    struct bench *bench = *state;
    cleanup(doctor_findings_free) struct doctor_findings findings = { 0 };
    struct error error;

    fill(bench);
    next_refused(bench);
    not_predicted(bench);
    bench->facts->next.predicted = false;
    bench->facts->chain = CHAIN_NONE;
    assert_int_equal(doctor_examine(bench->facts, &findings, &error), 0);
    assert_int_equal(findings.count, 0);
}

/* Without this boot's values the approved ones are looked at. */
static void test_approved_values(void **state)
{
    struct bench *bench = *state;
    cleanup(doctor_findings_free) struct doctor_findings findings = { 0 };
    struct error error;

    fill(bench);
    error_set(&bench->facts->status.boot.error, ERROR_REFUSED, "capped");
    memset(bench->branch.values.value[4], 0, DIGEST_BYTES);
    assert_int_equal(doctor_examine(bench->facts, &findings, &error), 0);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].subject, "PCR 4");
}

/* With a kernel's worth of volumes there is an end. */
static void test_many(void **state)
{
    struct bench *bench = *state;
    cleanup(doctor_findings_free) struct doctor_findings findings = { 0 };
    struct error error;

    fill(bench);
    bench->volume.recovery_key_count = VOLUME_MAX_TOKENS;
    for (size_t i = 0; i < VOLUME_MAX_TOKENS; i++)
        strcpy(bench->volume.recovery_keys[i].used, "2026-11-22T08:00:00Z");
    for (size_t i = 1; i < PINS_MAX_VOLUMES; i++)
        bench->facts->volumes[i] = bench->facts->volumes[0];
    bench->facts->volume_count = PINS_MAX_VOLUMES;
    assert_int_equal(doctor_examine(bench->facts, &findings, &error), 0);
    assert_int_equal(findings.count, DOCTOR_FINDINGS_MAX);
}

static void test_mark_fixed(void **state)
{
    struct bench *bench = *state;
    cleanup(doctor_findings_free) struct doctor_findings before = { 0 };
    cleanup(doctor_findings_free) struct doctor_findings now = { 0 };
    struct error error;

    fill(bench);
    index_gone(bench);
    passphrase(bench);
    assert_int_equal(doctor_examine(bench->facts, &before, &error), 0);
    fill(bench);
    passphrase(bench);
    pinless(bench);
    assert_int_equal(doctor_examine(bench->facts, &now, &error), 0);
    doctor_mark_fixed(&before, &now);
    assert_int_equal(before.count, 3);
    assert_true(before.items[0].fixed);
    assert_false(before.items[1].fixed);
    assert_string_equal(before.items[2].check->kind, "no-pin"); /* new since */
    assert_false(before.items[2].fixed);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_healthy),
        test(test_each),
        test(test_every_kind_has_a_row),
        test(test_what_is_no_finding),
        test(test_approved_values),
        test(test_next_boot_not_known),
        test(test_many),
        test(test_mark_fixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
