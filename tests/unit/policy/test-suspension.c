/* The suspension in an approval: set, found, dropped, and how much of it is left. */
#include "policy/suspension.h"
#include "sample.h"

#include "base/cleanup.h"

#define CAP 12

static struct approval with_boots(size_t count)
{
    struct approval approval = { .bank = HASH_SHA256, .pcrs = 1u << 7 | 1u << CAP, .cap = CAP };
    struct error error;

    for (size_t i = 0; i < count; i++) {
        struct branch branch = { .kind = BRANCH_BOOT, .values = { .bank = HASH_SHA256, .mask = approval.pcrs } };

        branch.values.value[CAP][0] = (uint8_t)i;
        assert_int_equal(approval_add_branch(&approval, &branch, &error), 0);
    }
    return approval;
}

static size_t count(const struct approval *approval)
{
    size_t found = 0;

    for (size_t i = 0; i < approval->branch_count; i++)
        found += approval->branches[i].kind == BRANCH_SUSPEND;
    return found;
}

static void set_find_drop(void **state)
{
    const struct suspension made = { .after = 4,
                                     .until = 6,
                                     .has_clock = true,
                                     .clock_ms = 9,
                                     .purpose = SUSPEND_FIRMWARE,
                                     .then_reseal = true,
                                     .without_pin = true };
    cleanup(approval_free) struct approval approval = with_boots(2);
    struct suspension found;
    struct error error;

    (void)state;
    assert_false(suspension_find(&approval, &found));
    assert_false(suspension_drop(&approval));
    assert_int_equal(suspension_set(&approval, &made, NULL, 0, &error), 0);
    assert_int_equal(count(&approval), 2); /* zero is the first boot's value too */
    assert_true(suspension_find(&approval, &found));
    assert_memory_equal(&found, &made, sizeof(found));
    assert_int_equal(suspension_set(&approval, &made, NULL, 0, &error), 0);
    assert_int_equal(count(&approval), 2);
    assert_true(suspension_drop(&approval));
    assert_int_equal(approval.branch_count, 2);
}

static void values_of_the_cap(void **state)
{
    const struct suspension made = { .after = 4, .until = 6 };
    cleanup(approval_free) struct approval approval = with_boots(20);
    struct pcr_values running = { .bank = HASH_SHA256, .mask = 1u << CAP | 1u << 4 };
    struct error error;
    int first;

    (void)state;
    running.value[CAP][0] = 99;
    assert_int_equal(suspension_set(&approval, &made, &running, 1, &error), 0);
    assert_int_equal(count(&approval), SUSPEND_MAX_CAPS);
    first = approval_find_branch(&approval, BRANCH_SUSPEND);
    assert_int_equal(approval.branches[first].values.value[CAP][0], 99);
    assert_int_equal(approval.branches[first].values.mask, 1u << CAP);
    running.mask = 1u << 4;
    assert_int_equal(suspension_set(&approval, &made, &running, 1, &error), ERROR_FAILED);
    running = (struct pcr_values){ .bank = HASH_SHA1, .mask = 1u << CAP };
    assert_int_equal(suspension_set(&approval, &made, &running, 1, &error), ERROR_FAILED);
}

static void what_is_left(void **state)
{
    const struct suspension reboots = { .after = 4, .until = 6 };
    const struct suspension timed = { .after = 4, .until = 6, .has_clock = true, .clock_ms = 1000 };
    static const struct {
        uint32_t resets;
        unsigned left;
        bool covers;
    } rows[] = { { 3, 2, false }, { 4, 2, false }, { 5, 1, true },
                 { 6, 0, true },  { 7, 0, false }, { UINT32_MAX, 0, false } };

    (void)state;
    for (size_t i = 0; i < array_size(rows); i++) {
        const struct suspension_time now = { rows[i].resets, 1000 }, late = { rows[i].resets, 1001 };

        assert_int_equal(suspension_reboots_left(&reboots, &late), rows[i].left);
        assert_int_equal(suspension_covers_running(&reboots, &late), rows[i].covers);
        assert_int_equal(suspension_reboots_left(&timed, &now), rows[i].left);
        assert_int_equal(suspension_covers_running(&timed, &now), rows[i].covers);
        assert_int_equal(suspension_reboots_left(&timed, &late), 0);
        assert_false(suspension_covers_running(&timed, &late));
    }
}

static void as_json(void **state)
{
    const struct suspension made = {
        .after = 4, .until = 6, .purpose = SUSPEND_UPDATE, .then_reseal = true, .without_pin = true
    };
    cleanup(approval_free) struct approval approval = with_boots(1);
    cleanup(approval_free) struct approval read = { 0 };
    cleanup(json_free) struct json_object *object = json_object_new_object();
    struct json_view view = { .source = "test", .kind = ERROR_METADATA };
    struct suspension found;
    struct error error;

    (void)state;
    assert_int_equal(suspension_set(&approval, &made, NULL, 0, &error), 0);
    assert_int_equal(approval_to_json(&approval, NULL, object, &error), 0);
    view.object = object;
    assert_int_equal(approval_from_json(&view, &read, NULL, NULL, &error), 0);
    assert_true(suspension_find(&read, &found));
    assert_memory_equal(&found, &made, sizeof(found));
    approval.branches[approval_find_branch(&approval, BRANCH_SUSPEND)].purpose = (enum suspend_purpose)9;
    assert_int_equal(approval_to_json(&approval, NULL, object, &error), ERROR_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_find_drop),
        cmocka_unit_test(values_of_the_cap),
        cmocka_unit_test(what_is_left),
        cmocka_unit_test(as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
