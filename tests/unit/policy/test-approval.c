#include "sample.h"

static struct error error;

static void free_empties(void **state)
{
    struct approval approval = sample_approval();
    const struct approval empty = { 0 };

    (void)state;
    approval_free(&approval);
    assert_memory_equal(&approval, &empty, sizeof(empty));
    approval_free(&approval);
}

static void a_copy_is_its_own(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    cleanup(approval_free) struct approval copy = { 0 };
    struct digest a, b;

    (void)state;
    assert_good(approval_copy(&approval, &copy, &error), &error);
    assert_ptr_not_equal(copy.branches, approval.branches);
    assert_ptr_not_equal(copy.objects, approval.objects);
    assert_good(approval_digest(&approval, &a, &error), &error);
    assert_good(approval_digest(&copy, &b, &error), &error);
    assert_true(digest_equal(&a, &b));
    approval_remove_branch(&copy, 0);
    assert_int_equal(approval.branch_count, 3);
}

static void branches_end_at_the_limit(void **state)
{
    cleanup(approval_free) struct approval approval = sample_empty();
    struct branch branch = sample_boot("one too many");

    (void)state;
    for (int i = 0; i < APPROVAL_MAX_BRANCHES; i++)
        sample_add(&approval, branch);
    assert_error(approval_add_branch(&approval, &branch, &error), &error, ERROR_REFUSED, "128 branches");
    assert_non_null(strstr(error.remedy, "reseal --commit"));
    assert_int_equal(approval.branch_count, APPROVAL_MAX_BRANCHES);
}

static void objects_end_at_the_limit(void **state)
{
    cleanup(approval_free) struct approval approval = sample_empty();
    struct object_name object = sample_object(64);

    (void)state;
    for (unsigned i = 0; i < APPROVAL_MAX_OBJECTS; i++)
        sample_add_object(&approval, i);
    assert_error(approval_add_object(&approval, &object, &error), &error, ERROR_REFUSED, "64 protectors");
    assert_non_null(strstr(error.remedy, "bootseal remove"));
    assert_int_equal(approval.object_count, APPROVAL_MAX_OBJECTS);
}

static void labels_are_cleaned(void **state)
{
    cleanup(approval_free) struct approval approval = sample_empty();
    struct branch branch = sample_boot("a\033[31mred\nline");

    (void)state;
    sample_add(&approval, branch);
    assert_string_equal(approval.branches[0].label, "a?[31mred?line");
    memset(branch.label, 'x', sizeof(branch.label));
    sample_add(&approval, branch);
    assert_int_equal(strlen(approval.branches[1].label), BRANCH_LABEL_MAX);
}

static void removing_keeps_the_order(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct object_name second = sample_object(2);

    (void)state;
    approval_remove_branch(&approval, 1);
    assert_int_equal(approval.branch_count, 2);
    assert_int_equal(approval.branches[0].kind, BRANCH_BOOT);
    assert_int_equal(approval.branches[1].kind, BRANCH_AUTHORITY);
    approval_remove_branch(&approval, 2); /* there is none */
    assert_int_equal(approval.branch_count, 2);
    approval_remove_object(&approval, 0);
    assert_int_equal(approval.object_count, 1);
    assert_true(object_name_equal(&approval.objects[0], &second));
    approval_remove_object(&approval, 1);
    assert_int_equal(approval.object_count, 1);
}

static void finding(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    const struct object_name second = sample_object(2), third = sample_object(3);

    (void)state;
    sample_add(&approval, sample_boot("second"));
    assert_int_equal(approval_find_branch(&approval, BRANCH_BOOT), 0);
    assert_int_equal(approval_find_branch(&approval, BRANCH_AUTHORITY), 2);
    approval_remove_branch(&approval, 1);
    assert_int_equal(approval_find_branch(&approval, BRANCH_SUSPEND), -1);
    assert_int_equal(approval_find_object(&approval, &second), 1);
    assert_int_equal(approval_find_object(&approval, &third), -1);
}

static void mismatch_names_exactly_what_changed(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct pcr_values now = sample_values(HASH_SHA256, SAMPLE_PCRS | 1u << 9);
    int branch;

    (void)state;
    assert_int_equal(approval_mismatch(&approval, &now, &branch), 0);
    assert_int_equal(branch, 0);
    now.value[9][0] ^= 1; /* not in the selection */
    assert_int_equal(approval_mismatch(&approval, &now, NULL), 0);
    now.value[7][31] ^= 1;
    assert_int_equal(approval_mismatch(&approval, &now, &branch), 1u << 7);
    now.value[4][0] ^= 1;
    assert_int_equal(approval_mismatch(&approval, &now, &branch), 1u << 7 | 1u << 4);
    now.mask &= ~(1u << 12); /* not known is not equal */
    assert_int_equal(approval_mismatch(&approval, &now, &branch), SAMPLE_PCRS);
    assert_int_equal(branch, 0);
}

static void mismatch_is_to_the_nearest_branch(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct branch other = sample_boot("other kernel");
    struct pcr_values now;
    int branch;

    (void)state;
    other.values.value[4][0] ^= 1;
    other.values.value[7][0] ^= 1;
    sample_add(&approval, other);
    now = other.values;
    assert_int_equal(approval_mismatch(&approval, &now, &branch), 0);
    assert_int_equal(branch, 3);
    now.value[12][0] ^= 1;
    assert_int_equal(approval_mismatch(&approval, &now, &branch), 1u << 12);
    assert_int_equal(branch, 3);
}

static void mismatch_without_a_boot_branch(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct pcr_values now = sample_values(HASH_SHA256, SAMPLE_PCRS);
    int branch = 5;

    (void)state;
    now.bank = HASH_SHA384; /* another bank says nothing about this one */
    assert_int_equal(approval_mismatch(&approval, &now, &branch), SAMPLE_PCRS);
    assert_int_equal(branch, -1);
    now.bank = HASH_SHA256;
    approval_remove_branch(&approval, 0);
    assert_int_equal(approval_mismatch(&approval, &now, &branch), SAMPLE_PCRS);
    assert_int_equal(branch, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_empties),
        cmocka_unit_test(a_copy_is_its_own),
        cmocka_unit_test(branches_end_at_the_limit),
        cmocka_unit_test(objects_end_at_the_limit),
        cmocka_unit_test(labels_are_cleaned),
        cmocka_unit_test(removing_keeps_the_order),
        cmocka_unit_test(finding),
        cmocka_unit_test(mismatch_names_exactly_what_changed),
        cmocka_unit_test(mismatch_is_to_the_nearest_branch),
        cmocka_unit_test(mismatch_without_a_boot_branch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
