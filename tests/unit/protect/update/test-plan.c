#include "protect/update/plan.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PCRS (1u << 4 | 1u << 9 | 1u << 12)

static struct error error;

static struct pcr_values values_of(uint8_t pcr4, uint8_t pcr9)
{
    struct pcr_values values = { .bank = HASH_SHA256, .mask = PCRS };

    memset(values.value[4], pcr4, DIGEST_BYTES);
    memset(values.value[9], pcr9, DIGEST_BYTES);
    return values;
}

/* Two boots: the old one is approved, the new one's initrd is another. */
struct bench {
    struct approval approval;
    struct update_trust trust;
    struct predicted_boot boots[2];
    struct prediction prediction;
    struct update_rules rules;
    struct update_plan plan;
    const char *foreign; /* a path that nobody has verified */
    unsigned checked;
};

static int check_files(void *context, const struct extend_list *extends, struct error *ret)
{
    struct bench *bench = context;

    bench->checked++;
    if (bench->foreign && extends->file_count && strcmp(extends->files[0].path, bench->foreign) == 0)
        return error_set(ret, ERROR_REFUSED, "\"%s\" was changed from outside", bench->foreign);
    return 0;
}

static void start(struct bench *bench)
{
    struct branch old = { .kind = BRANCH_BOOT, .values = values_of(1, 1) };
    static char path[] = "/boot/initrd.img-2";
    static struct boot_file files[] = { { .path = path } };

    *bench = (struct bench){ .trust.pcrs = PCRS };
    bench->approval = (struct approval){ .bank = HASH_SHA256, .pcrs = PCRS, .cap = 12 };
    assert_int_equal(approval_add_branch(&bench->approval, &old, &error), 0);
    bench->boots[0] = (struct predicted_boot){ .values = values_of(1, 2),
                                               .chosen = true,
                                               .extends = { .files = files, .file_count = 1 } };
    bench->boots[1] = (struct predicted_boot){ .values = values_of(1, 1), .shell = true };
    bench->prediction = (struct prediction){ .boots = bench->boots, .count = 2 };
    bench->rules = (struct update_rules){
        .approval = &bench->approval, .trust = &bench->trust, .check_files = check_files, .context = bench
    };
}

static void finish(struct bench *bench)
{
    update_plan_free(&bench->plan);
    approval_free(&bench->approval);
}

static enum update_verdict decide(struct bench *bench, size_t i)
{
    update_plan_free(&bench->plan);
    assert_int_equal(update_plan_make(&bench->prediction, &bench->rules, &bench->plan, &error), 0);
    assert_int_equal(bench->plan.count, 2);
    assert_ptr_equal(bench->plan.choices[i].boot, &bench->boots[i]);
    return bench->plan.choices[i].verdict;
}

/* What is new and good is approved; what is approved stays so, whatever it is, and nobody looks at its files. */
static void test_good(void **unused)
{
    cleanup(finish) struct bench bench;
    const struct update_choice *why;

    (void)unused;
    start(&bench);
    assert_int_equal(decide(&bench, 0), UPDATE_APPROVE);
    assert_int_equal(decide(&bench, 1), UPDATE_APPROVED);
    assert_int_equal(bench.checked, 2);
    assert_true(update_plan_covers_next(&bench.plan, &why));
    assert_null(why);
}

/* A boot after an update that is not written yet is not the next one. */
static void test_not_the_next(void **unused)
{
    cleanup(finish) struct bench bench;
    const struct update_choice *why;

    (void)unused;
    start(&bench);
    bench.boots[0].after[0] = "dbx";
    bench.boots[0].after_count = 1;
    assert_int_equal(decide(&bench, 0), UPDATE_APPROVE);
    assert_false(update_plan_covers_next(&bench.plan, &why));
    assert_null(why);
    bench.boots[1].chosen = true;
    assert_true(update_plan_covers_next(&bench.plan, &why));
}

static void test_unknown_value(void **unused)
{
    cleanup(finish) struct bench bench;
    const struct update_choice *why;

    (void)unused;
    start(&bench);
    bench.boots[0].values.mask &= ~(1u << 9);
    bench.boots[0].unknown[9] = (char[]){ "grub.cfg:12: the command \"x\" is not known" };
    assert_int_equal(decide(&bench, 0), UPDATE_UNKNOWN);
    assert_string_equal(bench.plan.choices[0].reason, "PCR 9: grub.cfg:12: the command \"x\" is not known");
    assert_false(update_plan_covers_next(&bench.plan, &why));
    assert_ptr_equal(why, &bench.plan.choices[0]);
    assert_int_equal(bench.checked, 0);
    bench.boots[0].values.mask |= 1u << 9; /* a PCR outside the policy does not matter */
    bench.boots[0].values.mask &= ~(1u << 5);
    assert_int_equal(decide(&bench, 0), UPDATE_APPROVE);
}

/* A machine that does not keep to its predictions in a PCR has none there. */
static void test_not_trusted(void **unused)
{
    cleanup(finish) struct bench bench;

    (void)unused;
    start(&bench);
    bench.trust.pcrs &= ~(1u << 4);
    strcpy(bench.trust.why_not[4], "event 17 came out otherwise");
    assert_int_equal(decide(&bench, 0), UPDATE_UNKNOWN);
    assert_string_equal(bench.plan.choices[0].reason, "PCR 4: event 17 came out otherwise");
    assert_int_equal(decide(&bench, 1), UPDATE_APPROVED);
}

/* After a boot that nobody has approved its firmware's part is no source: the next boot must have an approved value. */
static void test_unapproved_boot(void **unused)
{
    cleanup(finish) struct bench bench;
    struct pcr_values running = values_of(1, 3);

    (void)unused;
    start(&bench);
    bench.approval.pcrs = bench.trust.pcrs = PCRS | 1u << 7;
    for (size_t i = 0; i < 2; i++)
        bench.boots[i].values.mask |= 1u << 7;
    bench.approval.branches[0].values.mask |= 1u << 7;
    running.mask |= 1u << 7;
    running.value[7][0] = bench.boots[0].values.value[7][0] = 9; /* Secure Boot was switched off, say */
    assert_int_equal(decide(&bench, 0), UPDATE_APPROVE);         /* who asks knows of no running boot */
    bench.rules.running = &running;
    assert_int_equal(decide(&bench, 0), UPDATE_FIRMWARE);
    assert_non_null(strstr(bench.plan.choices[0].reason, "PCR 7"));
    assert_int_equal(decide(&bench, 1), UPDATE_APPROVED);
    bench.boots[0].values.value[7][0] = 0; /* as approved: only the initrd is new, and known */
    assert_int_equal(decide(&bench, 0), UPDATE_APPROVE);
    bench.boots[0].values.value[7][0] = 9; /* a dbx update in a boot that is approved */
    running = bench.approval.branches[0].values;
    assert_int_equal(decide(&bench, 0), UPDATE_APPROVE);
}

static void test_shell(void **unused)
{
    cleanup(finish) struct bench bench;

    (void)unused;
    start(&bench);
    bench.boots[0].shell = true;
    assert_int_equal(decide(&bench, 0), UPDATE_SHELL);
    assert_non_null(strstr(bench.plan.choices[0].reason, "--allow-rescue"));
    bench.rules.allow_rescue = true;
    assert_int_equal(decide(&bench, 0), UPDATE_APPROVE);
}

static void test_foreign_file(void **unused)
{
    cleanup(finish) struct bench bench;

    (void)unused;
    start(&bench);
    bench.foreign = "/boot/initrd.img-2";
    bench.rules.allow_rescue = true;
    assert_int_equal(decide(&bench, 0), UPDATE_FOREIGN);
    assert_non_null(strstr(bench.plan.choices[0].reason, "changed from outside"));
}

/* The boot after next, and entries that somebody must choose, are not the next boot; one order of the disks will do. */
static void test_next(void **unused)
{
    cleanup(finish) struct bench bench;
    const struct update_choice *why;

    (void)unused;
    start(&bench);
    bench.boots[0].step = 1;
    decide(&bench, 0);
    assert_false(update_plan_covers_next(&bench.plan, &why));
    assert_null(why);
    bench.boots[0].step = 0;
    bench.foreign = "/boot/initrd.img-2";
    bench.boots[1].chosen = true;
    bench.boots[1].order = 1;
    decide(&bench, 0);
    assert_true(update_plan_covers_next(&bench.plan, &why));
}

/* Earlier proof counts where this boot cannot tell any more, and only there. */
static void test_trust(void **unused)
{
    struct verification verification = { 0 };
    struct update_trust trust;

    (void)unused;
    for (int i = 0; i < PCR_COUNT; i++)
        verification.result[i] = VERIFY_UNKNOWN;
    verification.result[4] = VERIFY_GOOD;
    verification.result[7] = VERIFY_DIFFERS;
    verification.reason[7] = (char[]){ "event 3, dbx" };
    verification.result[8] = verification.result[9] = VERIFY_CHANGED;
    update_trust_from(&verification, 1u << 7 | 1u << 9 | 1u << 14, &trust);
    assert_int_equal(trust.pcrs, 1u << 4 | 1u << 9);
    assert_string_equal(trust.why_not[7], "event 3, dbx");
    assert_string_equal(trust.why_not[8], "changed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),  cmocka_unit_test(test_not_the_next),
        cmocka_unit_test(test_unknown_value),   cmocka_unit_test(test_not_trusted),
        cmocka_unit_test(test_shell), cmocka_unit_test(test_unapproved_boot), cmocka_unit_test(test_foreign_file),
        cmocka_unit_test(test_next),  cmocka_unit_test(test_trust),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
