/* Several PINs on one volume: whose PIN it is, before the PIN. */
#include "protect/person.h"

#include "base/cleanup.h"
#include "protect/seal/approve.h"

#define BERTS_PIN MACHINE_OTHER_PIN
#define WRONG_PIN "602937"

static void enroll_as(struct machine *machine, size_t i, unsigned operator_number, const char *label, const char *pin)
{
    struct enroll_request request = machine_request(machine, i);
    struct protector protector;
    struct error error;

    request.operator_number = operator_number;
    request.label = label;
    assert_good(machine_try_enroll(&request, pin, &protector, &error), &error);
}

/* Volume 0 is of two operators: number 1 with MACHINE_PIN, and Bert. */
static int setup_two(void **state)
{
    machine_setup_enrolled(state);
    enroll_as(*state, 0, 2, "Bert", BERTS_PIN);
    return 0;
}

static void expect(struct machine *machine, struct person *person, int r, size_t asked, uint32_t wrong_pins)
{
    struct outcome *outcome = initramfs_run(machine, person);

    if (outcome->r != r || person->asked != asked)
        fail_msg("%d after %zu questions:\n%s", outcome->r, person->asked, person->lines);
    assert_int_equal(initramfs_wrong_pins(machine), wrong_pins);
    initramfs_expect_capped(machine, outcome);
}

static void test_number_and_pin(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "2", BERTS_PIN } };
    struct outcome *outcome = initramfs_run(machine, &person);
    const struct report_volume *volume = &outcome->report.volumes[0];

    assert_int_equal(outcome->r, 0);
    assert_string_equal(person.prompts[0], "Operator (1, 2 Bert)");
    assert_string_equal(person.prompts[1], "PIN of operator 2 for volume0 (3 tries left)");
    assert_true(volume->opened && volume->operator_number == 2);
    assert_int_equal(strlen(volume->protector), VOLUME_UUID_TEXT - 1);
    initramfs_expect_capped(machine, outcome);
}

static void test_number_changes(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "1", BERTS_PIN, "2", WRONG_PIN, "", BERTS_PIN } };

    expect(machine, &person, 0, 6, 2);
    assert_string_equal(person.prompts[4], "Operator (1, 2 Bert, Enter for 2)");
    assert_string_equal(person.prompts[5], "PIN of operator 2 for volume0 (1 try left)");
}

static void test_tries_are_counted_together(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "1", WRONG_PIN, "2", WRONG_PIN, "2", WRONG_PIN, "2", BERTS_PIN } };

    expect(machine, &person, ERROR_WRONG_PIN, 6, 3);
}

/* The lockout that the TPM counts, not the policy. */
static void test_lockout(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "1", WRONG_PIN, "2", WRONG_PIN, "1" } };

    machine_set_max_tries(machine, 2);
    expect(machine, &person, ERROR_LOCKOUT, 4, 2);
}

/* A prompt that answers by itself, again and again, comes to an end. */
static void test_no_number_ever(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "", "3", "x", "1x", "too long", "", "0", "99", "-", "?", "1", MACHINE_PIN } };

    expect(machine, &person, ERROR_WRONG_PIN, 10, 0);
    assert_non_null(strstr(person.lines, "nobody said whose PIN it is"));
}

static void test_nobody_is_there(void **state)
{
    struct machine *machine = *state;
    struct person nobody = { .answers = { NULL } }, leaves = { .answers = { "2", NULL } };

    expect(machine, &nobody, ERROR_USAGE, 0, 0);
    machine_reboot(machine);
    expect(machine, &leaves, ERROR_USAGE, 1, 0);
}

/* Nothing was typed for a PIN: the volume is left to other ways, whoever was meant. */
static void test_empty_pin(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "2", "" } };

    expect(machine, &person, ERROR_WRONG_PIN, 2, 0);
}

/* Two operators here, one there: who has none there leaves it closed, and it is said. */
static void test_volume_of_one(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "2", BERTS_PIN } };
    struct outcome *outcome;

    enroll_as(machine, machine_add_volume(machine), 1, NULL, MACHINE_PIN);
    outcome = initramfs_run(machine, &person);
    assert_int_equal(outcome->r, ERROR_NO_PROTECTOR);
    assert_true(outcome->report.volumes[0].opened && !outcome->report.volumes[1].opened);
    assert_non_null(strstr(person.lines, "volume1: operator 2 has no PIN for \"volume1\""));
    initramfs_expect_capped(machine, outcome);
}

/* A TPM keeps three objects: those that were prepared for another number make room. */
static void test_room_in_the_tpm(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "1", WRONG_PIN, "2", BERTS_PIN } };

    for (int i = 0; i < 3; i++)
        enroll_as(machine, machine_add_volume(machine), 2, NULL, BERTS_PIN);
    enroll_as(machine, 2, 1, NULL, MACHINE_PIN);
    expect(machine, &person, 0, 4, 1);
}

/* A token that is not in force any more: the number is asked for again. */
static void test_number_of_a_dead_protector(void **state)
{
    struct machine *machine = *state;
    struct person person = { .answers = { "2", "1", MACHINE_PIN } };
    struct state changing = machine_state(machine);
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(protector_list_free) struct protector_list list = { 0 };
    struct object_name name;
    struct error error;

    assert_good(volume_open(&volume, machine->volumes[0].path, &error), &error);
    assert_good(protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, &error), &error);
    assert_good(sealed_name(&list.items[1].sealed, &name, &error), &error);
    assert_good(tpm_srk_use(machine->tpm, &changing.pins.srk, &error), &error);
    assert_good(tpm_index_use(machine->tpm, &changing.pins.index, &error), &error);
    assert_good(approve_withdraw(machine->tpm, &changing, &name, 1, &error), &error);
    state_close(&changing);
    expect(machine, &person, 0, 3, 0);
    assert_non_null(strstr(person.lines, "not in force"));
}

#define two_test(test) cmocka_unit_test_setup_teardown(test, setup_two, machine_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        two_test(test_number_and_pin),
        two_test(test_number_changes),
        two_test(test_tries_are_counted_together),
        two_test(test_lockout),
        two_test(test_no_number_ever),
        two_test(test_nobody_is_there),
        two_test(test_empty_pin),
        two_test(test_volume_of_one),
        two_test(test_room_in_the_tpm),
        two_test(test_number_of_a_dead_protector),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
