/* The expected digests were read from trial sessions of a software TPM, command by command as in policy/approval.h. */
#include "sample.h"

#include "policy/digest.h"

static struct error error;

static void assert_branch(const struct approval *approval, size_t i, const char *expected)
{
    struct digest digest;

    assert_good(approval_branch_digest(approval, i, &digest, &error), &error);
    assert_hex(digest.bytes, DIGEST_BYTES, expected);
}

static void branches_are_the_tpms(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();

    (void)state;
    assert_branch(&approval, 0, "a538089fbb36853f553d280e638439da470ff3936bdd2f16933c78fd82a2ff74");
    assert_branch(&approval, 1, "3742d236e6bcdc88c3d990c2bea6c8da267abcae69cdf4d78e47c1d4e226de08");
    assert_branch(&approval, 2, "6ba4a6f1e722780a68a68bb4381b9bd7f030ce11c919129c7f9905980be0cb26");

    approval.branches[1].has_clock = false;
    assert_branch(&approval, 1, "6f81b53bab1e3cf0fcd747e7194829cd2aef80f73d884e45020d4eaf71f5ad3b");
}

/* PCRs that a branch knows beside the selection change nothing. */
static void suspend_is_held_by_the_cap_alone(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();

    (void)state;
    approval.branches[1].values = sample_values(HASH_SHA256, SAMPLE_PCRS);
    assert_branch(&approval, 1, "3742d236e6bcdc88c3d990c2bea6c8da267abcae69cdf4d78e47c1d4e226de08");
    approval.branches[1].values.value[SAMPLE_CAP][0] ^= 1;
    approval.branches[1].has_clock = false;
    {
        struct digest digest;

        assert_good(approval_branch_digest(&approval, 1, &digest, &error), &error);
        assert_int_not_equal(digest.bytes[0], 0x6f);
    }
}

static void approval_of_two_objects_is_the_tpms(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct digest digest;

    (void)state;
    assert_good(approval_digest(&approval, &digest, &error), &error);
    assert_hex(digest.bytes, DIGEST_BYTES, "80bfd472ce1694a0ab07bb3006ee505ea967b1e5e127ffff197acc1009c60c55");
}

static void approval_of_one_object_is_the_tpms(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct digest digest;

    (void)state;
    approval_remove_object(&approval, 0);
    assert_good(approval_digest(&approval, &digest, &error), &error);
    assert_hex(digest.bytes, DIGEST_BYTES, "31ce09040d44082812365ee1420e6fddac3b8faba2068e2aa7478f89e6319a98");
}

static void nine_branches_are_the_tpms(void **state)
{
    cleanup(approval_free) struct approval approval = sample_empty();
    struct digest digest;

    (void)state;
    for (int i = 0; i < 8; i++)
        sample_add(&approval, sample_boot("eight times"));
    sample_add(&approval, (struct branch){ .kind = BRANCH_AUTHORITY, .authority = sample_authority() });
    sample_add_object(&approval, 1);
    assert_good(approval_digest(&approval, &digest, &error), &error);
    assert_hex(digest.bytes, DIGEST_BYTES, "894969160e9cdba7ec98f8710be60ef950534420ef04ddc3506b954762fa37a9");
}

/* Labels and sources are for people: whoever edits them in a token must not change what the index holds. */
static void words_for_people_do_not_count(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct digest before, after;

    (void)state;
    assert_good(approval_digest(&approval, &before, &error), &error);
    strcpy(approval.branches[0].label, "another");
    approval.branches[0].source = BRANCH_MEASURED;
    assert_good(approval_digest(&approval, &after, &error), &error);
    assert_true(digest_equal(&before, &after));
    approval.branches[1].until++;
    assert_good(approval_digest(&approval, &after, &error), &error);
    assert_false(digest_equal(&before, &after));
}

static void too_little_has_no_digest(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct digest digest;

    (void)state;
    approval_remove_branch(&approval, 0);
    assert_good(approval_digest(&approval, &digest, &error), &error);
    approval_remove_branch(&approval, 0);
    assert_error(approval_digest(&approval, &digest, &error), &error, ERROR_METADATA, "branches, not 1");

    approval_free(&approval);
    approval = sample_approval();
    approval_remove_object(&approval, 0);
    approval_remove_object(&approval, 0);
    assert_error(approval_digest(&approval, &digest, &error), &error, ERROR_METADATA, "protectors, not 0");
}

static void values_that_are_missing_are_refused(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct digest digest;

    (void)state;
    approval.branches[0].values.mask &= ~(1u << 7);
    assert_error(approval_branch_digest(&approval, 0, &digest, &error), &error, ERROR_METADATA, "PCR values");
    approval.branches[1].values.bank = HASH_SHA384;
    assert_error(approval_branch_digest(&approval, 1, &digest, &error), &error, ERROR_METADATA, "PCR values");
    approval.branches[1].values.bank = HASH_SHA256;
    approval.cap = 99;
    assert_int_not_equal(approval_branch_digest(&approval, 1, &digest, &error), 0);
    assert_error(approval_branch_digest(&approval, 3, &digest, &error), &error, ERROR_METADATA, "branch 3");
    approval.branches[2].kind = (enum branch_kind)7;
    assert_error(approval_branch_digest(&approval, 2, &digest, &error), &error, ERROR_METADATA, "unknown kind");
}

static struct digest fold(struct digest digest, const struct or_path *path)
{
    for (size_t i = 0; i < path->count; i++)
        assert_good(policy_digest_or(&digest, path->steps[i].list, path->steps[i].count, &error), &error);
    return digest;
}

/* What a session's digest goes through, from the branch's own condition to what the index holds. */
static void assert_path(const struct approval *approval, size_t branch, size_t object, const struct digest *expected)
{
    struct approval_path path;
    struct digest digest;

    assert_good(approval_path(approval, branch, object, &path, &error), &error);
    assert_good(approval_branch_digest(approval, branch, &digest, &error), &error);
    digest = fold(digest, &path.branches);
    assert_good(policy_digest_cp_hash(&digest, &path.cp_hash, &error), &error);
    digest = fold(digest, &path.objects);
    assert_true(digest_equal(&digest, expected));
}

static void every_path_leads_to_the_digest(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct digest expected;

    (void)state;
    for (unsigned i = 0; i < 70; i++) {
        struct branch branch = sample_boot("more");

        branch.values.value[4][0] = (uint8_t)i;
        sample_add(&approval, branch);
    }
    for (unsigned i = 3; i < 12; i++)
        sample_add_object(&approval, i);
    assert_good(approval_digest(&approval, &expected, &error), &error);
    for (size_t branch = 0; branch < approval.branch_count; branch += 8)
        for (size_t object = 0; object < approval.object_count; object++)
            assert_path(&approval, branch, object, &expected);
}

static void a_path_from_nowhere_is_refused(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct approval_path path;

    (void)state;
    assert_error(approval_path(&approval, 3, 0, &path, &error), &error, ERROR_METADATA, "branch 3");
    assert_error(approval_path(&approval, 0, 2, &path, &error), &error, ERROR_METADATA, "branch 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_are_the_tpms),
        cmocka_unit_test(suspend_is_held_by_the_cap_alone),
        cmocka_unit_test(approval_of_two_objects_is_the_tpms),
        cmocka_unit_test(approval_of_one_object_is_the_tpms),
        cmocka_unit_test(nine_branches_are_the_tpms),
        cmocka_unit_test(words_for_people_do_not_count),
        cmocka_unit_test(too_little_has_no_digest),
        cmocka_unit_test(values_that_are_missing_are_refused),
        cmocka_unit_test(every_path_leads_to_the_digest),
        cmocka_unit_test(a_path_from_nowhere_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
