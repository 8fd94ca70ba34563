/*
 * What src/policy computes offline is what the TPM computes: each policy command, trees of PolicyOR, the policies of
 * the index and of a sealed object, and whole approvals, satisfied branch by branch.
 */
#include "base/cleanup.h"
#include "bench.h"
#include "policy/approval.h"
#include "policy/digest.h"
#include "tpm/internal.h"

#include <string.h>

static struct tpm_handle start(struct bench *bench, enum tpm_session_kind kind)
{
    struct tpm_handle session = { 0 };
    struct error error;

    bench_ok(tpm_session_start(bench->tpm, kind, &session, &error), &error);
    return session;
}

static void assert_same(const struct tpm_handle *session, const struct digest *offline)
{
    struct digest digest;
    struct error error;

    bench_ok(tpm_policy_digest(session, &digest, &error), &error);
    assert_memory_equal(digest.bytes, offline->bytes, sizeof(digest.bytes));
}

static struct pcr_values pcrs(struct bench *bench, enum hash_algorithm bank, uint32_t mask)
{
    struct pcr_values values;
    struct error error;

    bench_ok(tpm_pcr_read(bench->tpm, bank, mask, &values, &error), &error);
    return values;
}

static struct object_name authority_name_of(const struct bench *bench)
{
    struct object_name name;
    struct error error;

    bench_ok(authority_name(&bench->authority.public, &name, &error), &error);
    return name;
}

/* ---- one command each ---- */

static void test_pcr(void **state)
{
    static const enum hash_algorithm banks[] = { HASH_SHA256, HASH_SHA384, HASH_SHA512 };
    static const uint32_t masks[] = { 1u << 0, 1u << 23, BENCH_PCRS, 0x00ffff, 1u << 8 | 1u << 15 | 1u << 16 };
    struct bench *bench = *state;
    struct error error;

    bench_ok(tpm_pcr_event(bench->tpm, 7, "x", 1, &error), &error);
    for (size_t i = 0; i < array_size(banks); i++)
        for (size_t j = 0; j < array_size(masks); j++) {
            cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_TRIAL);
            struct pcr_values values = pcrs(bench, banks[i], masks[j]);
            struct digest offline = { { 0 } };

            bench_ok(tpm_policy_pcr(&session, banks[i], masks[j], &error), &error);
            bench_ok(policy_digest_pcr(&offline, &values, masks[j], &error), &error);
            assert_same(&session, &offline);
        }
}

static void test_or(void **state)
{
    struct bench *bench = *state;
    struct digest list[8];
    struct error error;

    for (size_t i = 0; i < array_size(list); i++)
        memset(list[i].bytes, (int)i + 1, sizeof(list[i].bytes));
    for (size_t count = 2; count <= array_size(list); count++) {
        cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_TRIAL);
        struct digest offline = { { 0 } };

        bench_ok(tpm_policy_or(&session, list, count, &error), &error);
        bench_ok(policy_digest_or(&offline, list, count, &error), &error);
        assert_same(&session, &offline);
    }
}

static void test_signed(void **state)
{
    static const enum authority_use uses[] = { AUTHORITY_APPROVE, AUTHORITY_ADMIN };
    struct bench *bench = *state;
    struct object_name name = authority_name_of(bench);
    const struct digest cp_hash = { { 1 } };
    struct error error;

    for (size_t i = 0; i < array_size(uses); i++) {
        cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_POLICY);
        struct digest offline = { { 0 } };

        bench_ok(tpm_policy_signed(&session, &bench->authority, uses[i], &cp_hash, &error), &error);
        bench_ok(policy_digest_signed(&offline, &name, authority_policy_ref(uses[i]), &error), &error);
        assert_same(&session, &offline);
    }
}

static void test_cp_hash(void **state)
{
    struct bench *bench = *state;
    cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_TRIAL);
    struct object_name name = authority_name_of(bench);
    struct digest offline = { { 0 } }, cp_hash, same = bench_unseal_cp_hash(&name);
    struct error error;

    bench_ok(policy_unseal_cp_hash(&name, &cp_hash, &error), &error);
    assert_true(digest_equal(&cp_hash, &same));
    bench_ok(tpm_policy_cp_hash(&session, &cp_hash, &error), &error);
    bench_ok(policy_digest_cp_hash(&offline, &cp_hash, &error), &error);
    assert_same(&session, &offline);
}

static void test_counter_timer(void **state)
{
    static const struct {
        uint64_t operand;
        size_t size;
        uint16_t offset;
        enum tpm_compare compare;
        enum policy_operation operation;
    } cases[] = {
        { 41, 4, POLICY_TIME_RESET_COUNT, TPM_COMPARE_GREATER, POLICY_UNSIGNED_GREATER },
        { 0x01020304, 4, POLICY_TIME_RESET_COUNT, TPM_COMPARE_LESS_OR_EQUAL, POLICY_UNSIGNED_LESS_OR_EQUAL },
        { 0, 4, POLICY_TIME_RESTART_COUNT, TPM_COMPARE_EQUAL, POLICY_EQUAL },
        { UINT64_C(0x0102030405060708), 8, POLICY_TIME_CLOCK, TPM_COMPARE_LESS_OR_EQUAL,
          POLICY_UNSIGNED_LESS_OR_EQUAL },
    };
    struct bench *bench = *state;
    struct error error;

    for (size_t i = 0; i < array_size(cases); i++) {
        cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_TRIAL);
        struct digest offline = { { 0 } };

        bench_ok(tpm_policy_counter_timer(&session, cases[i].operand, cases[i].size, cases[i].offset, cases[i].compare,
                                          &error),
                 &error);
        bench_ok(policy_digest_counter_timer(&offline, cases[i].operand, cases[i].size, cases[i].offset,
                                             cases[i].operation, &error),
                 &error);
        assert_same(&session, &offline);
    }
}

/* ---- the policies of the index and of the sealed object ---- */

static void test_index_policy(void **state)
{
    struct bench *bench = *state;
    struct object_name name = authority_name_of(bench);
    struct digest offline = { { 0 } }, tpms = bench_index_policy(bench, &bench->authority);
    struct error error;

    bench_ok(policy_digest_signed(&offline, &name, authority_policy_ref(AUTHORITY_APPROVE), &error), &error);
    assert_true(digest_equal(&offline, &tpms));
}

static struct digest object_policy(const struct bench *bench, bool has_auth)
{
    struct digest policy = { { 0 } };
    struct error error;

    bench_ok(policy_digest_authorize_nv(&policy, &bench->index.name, &error), &error);
    if (has_auth)
        bench_ok(policy_digest_auth_value(&policy, &error), &error);
    return policy;
}

static void test_object_policy(void **state)
{
    struct bench *bench = *state;
    struct digest offline = object_policy(bench, true), tpms = bench_object_policy(bench, true);

    assert_true(digest_equal(&offline, &tpms));
    offline = object_policy(bench, false);
    assert_false(digest_equal(&offline, &tpms));
    tpms = bench_object_policy(bench, false);
    assert_true(digest_equal(&offline, &tpms));
}

/* ---- trees ---- */

static int walk(const struct tpm_handle *session, const struct or_path *path, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < path->count; i++)
        r = tpm_policy_or(session, path->steps[i].list, path->steps[i].count, error);
    return r;
}

/* From a leaf that really holds, by real PolicyOR commands, to the root that was computed offline. */
static void climb(struct bench *bench, size_t count, size_t leaf)
{
    cleanup(tpm_handle_free) struct tpm_handle session = start(bench, TPM_SESSION_POLICY);
    struct digest leaves[65], root;
    struct or_path path;
    struct error error;

    assert_true(count <= array_size(leaves) && leaf < count);
    for (size_t i = 0; i < count; i++)
        memset(leaves[i].bytes, (int)i + 1, sizeof(leaves[i].bytes));
    bench_ok(tpm_policy_pcr(&session, HASH_SHA256, BENCH_PCRS, &error), &error);
    bench_ok(tpm_policy_digest(&session, &leaves[leaf], &error), &error);
    bench_ok(or_tree_root(leaves, count, &root, &error), &error);
    bench_ok(or_tree_path(leaves, count, leaf, &path, &error), &error);
    bench_ok(walk(&session, &path, &error), &error);
    assert_same(&session, &root);
    if (count > 1) {
        cleanup(tpm_handle_free) struct tpm_handle stranger = start(bench, TPM_SESSION_POLICY);

        bench_ok(tpm_policy_pcr(&stranger, HASH_SHA256, 1u << 0, &error), &error);
        assert_int_equal(walk(&stranger, &path, &error), ERROR_MISMATCH);
    }
}

static void test_trees(void **state)
{
    static const size_t counts[] = { 1, 2, 8, 9, 10, 16, 17, 64, 65 };
    struct bench *bench = *state;

    for (size_t i = 0; i < array_size(counts); i++) {
        climb(bench, counts[i], 0);
        climb(bench, counts[i], counts[i] / 2);
        climb(bench, counts[i], counts[i] - 1);
    }
}

/* ---- whole approvals ---- */

#define OBJECTS 3

struct approved {
    struct approval approval;
    struct secret pin, data;
    struct sealed_blob blobs[OBJECTS];
    size_t boot, suspend, authority; /* branches */
    uint32_t reset_count;
};

static void approved_free(struct approved *approved)
{
    approval_free(&approved->approval);
    secret_free(&approved->pin);
    secret_free(&approved->data);
}

static size_t add(struct approval *approval, const struct branch *branch)
{
    struct error error;

    bench_ok(approval_add_branch(approval, branch, &error), &error);
    return approval->branch_count - 1;
}

static void add_branches(struct bench *bench, struct approved *approved, bool has_clock)
{
    struct approval *approval = &approved->approval;
    struct branch boot = { .kind = BRANCH_BOOT, .values = pcrs(bench, HASH_SHA256, BENCH_PCRS) };
    struct branch other = boot;
    struct branch suspend = { .kind = BRANCH_SUSPEND, .values = pcrs(bench, HASH_SHA256, 1u << BENCH_CAP) };
    struct branch authority = { .kind = BRANCH_AUTHORITY, .authority = bench->authority.public };
    struct tpm_clock clock;
    struct error error;

    bench_ok(tpm_clock_read(bench->tpm, &clock, &error), &error);
    approved->reset_count = suspend.after = clock.reset_count;
    suspend.until = clock.reset_count + 1;
    suspend.has_clock = has_clock;
    suspend.clock_ms = clock.clock_ms + 3600 * 1000;
    for (int i = 0; i < 7; i++) {
        other.values.value[7][0]++;
        add(approval, &other);
    }
    approved->boot = add(approval, &boot);
    approved->suspend = add(approval, &suspend);
    approved->authority = add(approval, &authority);
}

/* Ten branches and three objects, all computed offline; the TPM gets the digest. */
static struct approved approve(struct bench *bench, bool has_clock)
{
    struct approved approved = {
        .approval = { .bank = HASH_SHA256, .pcrs = BENCH_PCRS, .cap = BENCH_CAP },
        .pin = bench_secret(0xa5, DIGEST_BYTES),
        .data = bench_secret(0x42, 32),
    };
    struct digest policy = object_policy(bench, true), digest;
    struct object_name name;
    struct error error;

    add_branches(bench, &approved, has_clock);
    for (size_t i = 0; i < OBJECTS; i++) {
        bench_ok(tpm_seal(bench->tpm, &policy, &approved.pin, &approved.data, &approved.blobs[i], &error), &error);
        bench_ok(sealed_name(&approved.blobs[i], &name, &error), &error);
        bench_ok(approval_add_object(&approved.approval, &name, &error), &error);
    }
    bench_ok(approval_digest(&approved.approval, &digest, &error), &error);
    bench_ok(tpm_index_write(bench->tpm, &bench->index, &digest, &bench->authority, &error), &error);
    return approved;
}

static int satisfy_suspend(const struct tpm_handle *session, const struct branch *branch, struct error *error)
{
    int r = tpm_policy_pcr(session, HASH_SHA256, 1u << BENCH_CAP, error) ?:
            tpm_policy_counter_timer(session, branch->after, 4, POLICY_TIME_RESET_COUNT, TPM_COMPARE_GREATER, error) ?:
            tpm_policy_counter_timer(session, branch->until, 4, POLICY_TIME_RESET_COUNT, TPM_COMPARE_LESS_OR_EQUAL,
                                     error) ?:
            tpm_policy_counter_timer(session, 0, 4, POLICY_TIME_RESTART_COUNT, TPM_COMPARE_EQUAL, error);

    if (!r && branch->has_clock)
        r = tpm_policy_counter_timer(session, branch->clock_ms, 8, POLICY_TIME_CLOCK, TPM_COMPARE_LESS_OR_EQUAL, error);
    return r;
}

static int satisfy(struct bench *bench, const struct tpm_handle *session, const struct branch *branch,
                   const struct digest *cp_hash, struct error *error)
{
    switch (branch->kind) {
    case BRANCH_BOOT:
        return tpm_policy_pcr(session, HASH_SHA256, BENCH_PCRS, error);
    case BRANCH_SUSPEND:
        return satisfy_suspend(session, branch, error);
    default:
        return tpm_policy_signed(session, &bench->authority, AUTHORITY_ADMIN, cp_hash, error);
    }
}

static int unlock(struct bench *bench, const struct approved *approved, size_t branch, size_t object,
                  struct error *error)
{
    cleanup(tpm_handle_free) struct tpm_handle loaded = { 0 }, session = { 0 };
    cleanup(secret_free) struct secret got = { 0 };
    struct approval_path path;
    int r;

    bench_ok(approval_path(&approved->approval, branch, object, &path, error), error);
    bench_ok(tpm_load(bench->tpm, &approved->blobs[object], &loaded, error), error);
    session = start(bench, TPM_SESSION_POLICY);
    r = satisfy(bench, &session, &approved->approval.branches[branch], &path.cp_hash, error) ?:
        walk(&session, &path.branches, error) ?:
        tpm_policy_cp_hash(&session, &path.cp_hash, error) ?:
        walk(&session, &path.objects, error) ?:
        tpm_policy_authorize_nv(&session, error) ?:
        tpm_policy_auth_value(&session, error) ?:
        tpm_unseal(&loaded, &session, &approved->pin, &got, error);
    if (!r)
        assert_true(secret_equal(&got, &approved->data));
    return r;
}

static void test_boot_branch(void **state)
{
    struct bench *bench = *state;
    cleanup(approved_free) struct approved approved = approve(bench, false);
    struct error error;

    for (size_t i = 0; i < OBJECTS; i++)
        bench_ok(unlock(bench, &approved, approved.boot, i, &error), &error);
    assert_int_equal(unlock(bench, &approved, 0, 0, &error), ERROR_NONE); /* another boot branch: the same PolicyOR */
    bench_ok(tpm_pcr_event(bench->tpm, BENCH_CAP, "bootseal cap v1", 15, &error), &error);
    assert_int_equal(unlock(bench, &approved, approved.boot, 0, &error), ERROR_MISMATCH);
    assert_int_equal(error.tpm_code, TPM_CODE_OR_MISMATCH);
}

static void test_authority_branch_holds_after_the_cap(void **state)
{
    struct bench *bench = *state;
    cleanup(approved_free) struct approved approved = approve(bench, false);
    struct error error;

    bench_ok(tpm_pcr_event(bench->tpm, BENCH_CAP, "bootseal cap v1", 15, &error), &error);
    for (size_t i = 0; i < OBJECTS; i++)
        bench_ok(unlock(bench, &approved, approved.authority, i, &error), &error);
}

static void expect_suspended(struct bench *bench, const struct approved *approved, unsigned code)
{
    struct error error;
    int r = unlock(bench, approved, approved->suspend, OBJECTS - 1, &error);

    assert_int_equal(r, code ? ERROR_MISMATCH : ERROR_NONE);
    if (code)
        assert_int_equal(error.tpm_code, code);
}

/* Not in the boot that made it, not after a TPM Restart; in the next boot whatever PCR 7 is, until the cap; not later.
 */
static void suspended(struct bench *bench, bool has_clock)
{
    cleanup(approved_free) struct approved approved = approve(bench, has_clock);
    struct error error;

    expect_suspended(bench, &approved, TPM2_RC_POLICY);
    bench_disconnect(bench);
    assert_int_equal(swtpm_restart(&bench->swtpm), 0);
    bench_connect(bench);
    expect_suspended(bench, &approved, TPM2_RC_POLICY);
    bench_disconnect(bench);
    assert_int_equal(swtpm_reset(&bench->swtpm), 0);
    bench_connect(bench);
    bench_ok(tpm_pcr_event(bench->tpm, 7, "another boot loader", 19, &error), &error);
    assert_int_equal(unlock(bench, &approved, approved.boot, 0, &error), ERROR_MISMATCH);
    expect_suspended(bench, &approved, 0);
    bench_ok(tpm_pcr_event(bench->tpm, BENCH_CAP, "bootseal cap v1", 15, &error), &error);
    expect_suspended(bench, &approved, TPM_CODE_OR_MISMATCH);
    bench_power_cut(bench);
    expect_suspended(bench, &approved, TPM2_RC_POLICY);
}

static void test_suspend_branch(void **state)
{
    suspended(*state, false);
}

static void test_suspend_branch_with_clock(void **state)
{
    suspended(*state, true);
}

static void test_removed_object(void **state)
{
    struct bench *bench = *state;
    cleanup(approved_free) struct approved approved = approve(bench, false);
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    struct approval_path old;
    struct digest digest;
    struct error error;

    bench_ok(approval_path(&approved.approval, approved.boot, 1, &old, &error), &error);
    approval_remove_object(&approved.approval, 1);
    bench_ok(approval_digest(&approved.approval, &digest, &error), &error);
    bench_ok(tpm_index_write(bench->tpm, &bench->index, &digest, &bench->authority, &error), &error);
    session = start(bench, TPM_SESSION_POLICY);
    bench_ok(tpm_policy_pcr(&session, HASH_SHA256, BENCH_PCRS, &error), &error);
    bench_ok(walk(&session, &old.branches, &error), &error);
    bench_ok(tpm_policy_cp_hash(&session, &old.cp_hash, &error), &error);
    bench_ok(walk(&session, &old.objects, &error), &error);
    assert_int_equal(tpm_policy_authorize_nv(&session, &error), ERROR_MISMATCH);
    assert_int_equal(error.tpm_code, TPM_CODE_STALE_LIST);
    approved.blobs[1] = approved.blobs[2];
    bench_ok(unlock(bench, &approved, approved.boot, 0, &error), &error);
    bench_ok(unlock(bench, &approved, approved.boot, 1, &error), &error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_pcr),
        bench_test(test_or),
        bench_test(test_signed),
        bench_test(test_cp_hash),
        bench_test(test_counter_timer),
        bench_test(test_index_policy),
        bench_test(test_object_policy),
        bench_test(test_trees),
        bench_test(test_boot_branch),
        bench_test(test_authority_branch_holds_after_the_cap),
        bench_test(test_suspend_branch),
        bench_test(test_suspend_branch_with_clock),
        bench_test(test_removed_object),
    };

    return cmocka_run_group_tests_name("policy-digests", tests, NULL, NULL);
}
