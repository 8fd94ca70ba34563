/* Several volumes in one boot: who shares a question, and what one that is given up means for the others. */
#include "protect/person.h"

#include "base/cleanup.h"

static void test_two_volumes_one_pin(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN } };
    struct outcome *outcome;

    machine_enroll(machine, machine_add_volume(machine), MACHINE_PIN);
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, 0);
    assert_int_equal(person.asked, 1);
    assert_string_equal(person.prompts[0], "PIN for volume0, volume1 (3 tries left)");
    assert_true(outcome->report.volumes[0].opened);
    assert_true(outcome->report.volumes[1].opened);
    initramfs_expect_capped(machine, outcome);
}

static void test_two_volumes_two_pins(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN, MACHINE_OTHER_PIN } };
    struct outcome *outcome;

    machine_enroll(machine, machine_add_volume(machine), MACHINE_OTHER_PIN);
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, 0);
    assert_int_equal(person.asked, 2);
    assert_string_equal(person.prompts[0], "PIN for volume0 (3 tries left)");
    assert_string_equal(person.prompts[1], "PIN for volume1 (3 tries left)");
    assert_int_equal(initramfs_wrong_pins(machine), 0);
    initramfs_expect_capped(machine, outcome);
}

static void test_one_of_two_given_up(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "", MACHINE_OTHER_PIN } };
    struct outcome *outcome;

    machine_enroll(machine, machine_add_volume(machine), MACHINE_OTHER_PIN);
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_WRONG_PIN);
    assert_false(outcome->report.volumes[0].opened);
    assert_true(outcome->report.volumes[1].opened);
    initramfs_expect_capped(machine, outcome);
}

/* A TPM holds three objects; the volumes past the second are prepared when their turn comes. */
static void test_three_volumes_one_pin(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN } };
    struct outcome *outcome;

    machine_enroll(machine, machine_add_volume(machine), MACHINE_PIN);
    machine_enroll(machine, machine_add_volume(machine), MACHINE_PIN);
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, 0);
    assert_int_equal(person.asked, 1);
    for (size_t i = 0; i < 3; i++)
        assert_true(outcome->report.volumes[i].opened);
    initramfs_expect_capped(machine, outcome);
}

static void test_three_volumes_three_pins(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN, MACHINE_OTHER_PIN, "556677" } };
    struct outcome *outcome;

    machine_enroll(machine, machine_add_volume(machine), MACHINE_OTHER_PIN);
    machine_enroll(machine, machine_add_volume(machine), "556677");
    outcome = initramfs_run(machine, &person);
    if (person.asked != 3)
        fail_msg("asked %zu times; volume2: %s", person.asked, outcome->report.volumes[2].reason);
    assert_int_equal(outcome->r, 0);
    initramfs_expect_capped(machine, outcome);
}

/* What is given up must not keep its place in the TPM. */
static void test_fourth_volume_after_three_given_up(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "", "", "", "889900" } };
    struct outcome *outcome;

    machine_enroll(machine, machine_add_volume(machine), MACHINE_OTHER_PIN);
    machine_enroll(machine, machine_add_volume(machine), "556677");
    machine_enroll(machine, machine_add_volume(machine), "889900");
    outcome = initramfs_run(machine, &person);
    if (!outcome->report.volumes[3].opened)
        fail_msg("asked %zu times; volume3: %s", person.asked, outcome->report.volumes[3].reason);
    initramfs_expect_capped(machine, outcome);
}

static void test_missing_volume(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { MACHINE_PIN } };
    struct outcome *outcome;

    machine_enroll(machine, machine_add_volume(machine), MACHINE_PIN);
    assert_return_code(rename(machine->volumes[0].path, scratch_path(&machine->scratch, "unplugged")), 0);
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_FAILED);
    assert_string_equal(person.prompts[0], "PIN for volume1 (3 tries left)");
    assert_false(outcome->report.volumes[0].opened);
    assert_true(outcome->report.volumes[1].opened);
    initramfs_expect_capped(machine, outcome);
    assert_return_code(rename(scratch_path(&machine->scratch, "unplugged"), machine->volumes[0].path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_two_volumes_one_pin),      enrolled_test(test_two_volumes_two_pins),
        enrolled_test(test_one_of_two_given_up),      enrolled_test(test_three_volumes_one_pin),
        enrolled_test(test_three_volumes_three_pins), enrolled_test(test_fourth_volume_after_three_given_up),
        enrolled_test(test_missing_volume),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
