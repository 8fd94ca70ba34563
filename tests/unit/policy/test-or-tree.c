#include "sample.h"

#include "policy/digest.h"
#include "policy/or-tree.h"

static const size_t counts[] = { 1, 2, 7, 8, 9, 16, 17, 64, 65, 512 };

static struct digest leaves[OR_MAX_LEAVES + 1];
static struct error error;

static int fill_leaves(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(leaves); i++)
        if (digest_compute(&leaves[i], &(struct span){ &i, sizeof(i) }, 1, &error))
            return -1;
    return 0;
}

/* What the TPM does on the way: each PolicyOR accepts only a digest that its list has. */
static struct digest fold(struct digest digest, const struct or_path *path)
{
    for (size_t i = 0; i < path->count; i++) {
        const struct or_step *step = &path->steps[i];
        bool listed = false;

        for (size_t k = 0; k < step->count; k++)
            listed = listed || digest_equal(&step->list[k], &digest);
        assert_true(listed);
        assert_good(policy_digest_or(&digest, step->list, step->count, &error), &error);
    }
    return digest;
}

static void every_leaf_leads_to_the_root(void **state)
{
    (void)state;
    for (size_t n = 0; n < array_size(counts); n++) {
        struct digest root;

        assert_good(or_tree_root(leaves, counts[n], &root, &error), &error);
        for (size_t leaf = 0; leaf < counts[n]; leaf++) {
            struct or_path path;
            struct digest end;

            assert_good(or_tree_path(leaves, counts[n], leaf, &path, &error), &error);
            end = fold(leaves[leaf], &path);
            assert_true(digest_equal(&end, &root));
        }
    }
}

static void one_leaf_is_the_root(void **state)
{
    struct or_path path;
    struct digest root;

    (void)state;
    assert_good(or_tree_root(leaves, 1, &root, &error), &error);
    assert_true(digest_equal(&root, &leaves[0]));
    assert_good(or_tree_path(leaves, 1, 0, &path, &error), &error);
    assert_int_equal(path.count, 0);
}

static void eight_are_one_policy_or(void **state)
{
    struct digest root, expected;

    (void)state;
    assert_good(or_tree_root(leaves, 8, &root, &error), &error);
    assert_good(policy_digest_or(&expected, leaves, 8, &error), &error);
    assert_true(digest_equal(&root, &expected));
}

static void a_group_of_one_moves_up_unchanged(void **state)
{
    struct digest top[3], root, expected;
    struct or_path path;

    (void)state;
    assert_good(policy_digest_or(&top[0], leaves, 8, &error), &error);
    assert_good(policy_digest_or(&top[1], leaves + 8, 8, &error), &error);
    top[2] = leaves[16];
    assert_good(policy_digest_or(&expected, top, 3, &error), &error);
    assert_good(or_tree_root(leaves, 17, &root, &error), &error);
    assert_true(digest_equal(&root, &expected));

    assert_good(or_tree_path(leaves, 17, 16, &path, &error), &error);
    assert_int_equal(path.count, 1);
    assert_int_equal(path.steps[0].count, 3);
    assert_good(or_tree_path(leaves, 17, 15, &path, &error), &error);
    assert_int_equal(path.count, 2);
    assert_int_equal(path.steps[0].count, 8);
}

static void a_group_of_one_moves_up_twice(void **state)
{
    struct or_path path;

    (void)state;
    assert_good(or_tree_path(leaves, 65, 64, &path, &error), &error);
    assert_int_equal(path.count, 1);
    assert_int_equal(path.steps[0].count, 2);
    assert_true(digest_equal(&path.steps[0].list[1], &leaves[64]));
    assert_good(or_tree_path(leaves, 65, 63, &path, &error), &error);
    assert_int_equal(path.count, OR_MAX_LEVELS);
}

static void order_and_contents_count(void **state)
{
    struct digest swapped[9], root, other;

    (void)state;
    memcpy(swapped, leaves, sizeof(swapped));
    swapped[0] = leaves[1];
    swapped[1] = leaves[0];
    assert_good(or_tree_root(leaves, 9, &root, &error), &error);
    assert_good(or_tree_root(swapped, 9, &other, &error), &error);
    assert_false(digest_equal(&root, &other));
    assert_good(or_tree_root(leaves, 10, &other, &error), &error);
    assert_false(digest_equal(&root, &other));
}

static void counts_out_of_range_are_refused(void **state)
{
    struct or_path path;
    struct digest root;

    (void)state;
    assert_error(or_tree_root(leaves, 0, &root, &error), &error, ERROR_METADATA, "not 0");
    assert_error(or_tree_root(leaves, 513, &root, &error), &error, ERROR_METADATA, "not 513");
    assert_error(or_tree_path(leaves, 0, 0, &path, &error), &error, ERROR_METADATA, "not 0");
    assert_error(or_tree_path(leaves, 513, 0, &path, &error), &error, ERROR_METADATA, "not 513");
    assert_error(or_tree_path(leaves, 9, 9, &path, &error), &error, ERROR_METADATA, "branch 9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_leaf_leads_to_the_root),    cmocka_unit_test(one_leaf_is_the_root),
        cmocka_unit_test(eight_are_one_policy_or),         cmocka_unit_test(a_group_of_one_moves_up_unchanged),
        cmocka_unit_test(a_group_of_one_moves_up_twice),   cmocka_unit_test(order_and_contents_count),
        cmocka_unit_test(counts_out_of_range_are_refused),
    };

    return cmocka_run_group_tests(tests, fill_leaves, NULL);
}
