#include "protect/unlock/cap.h"

#include "base/cleanup.h"
#include "protect/machine.h"

#define CAP_EVENT "bootseal cap v1"

static void test_apply(void **state)
{
    struct machine *machine = *state;
    struct pcr_values start = machine_pcrs(machine), before, expected = start, now;
    struct error error;

    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, &before, &error), &error);
    assert_int_equal(pcr_values_differ(&before, &start, 1u << MACHINE_CAP), 0);
    assert_good(pcr_extend(&expected, MACHINE_CAP, CAP_EVENT, strlen(CAP_EVENT), &error), &error);
    now = machine_pcrs(machine);
    assert_int_equal(pcr_values_differ(&expected, &now, 0xffff), 0); /* and no other PCR */
}

static void test_apply_reaches_every_bank(void **state)
{
    static const enum hash_algorithm banks[] = { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512 };
    struct machine *machine = *state;
    struct pcr_values before[array_size(banks)], after;
    struct error error;
    uint32_t active;
    size_t count = 0;

    for (size_t i = 0; i < array_size(banks); i++)
        assert_good(tpm_pcr_read(machine->tpm, banks[i], 1u << MACHINE_CAP, &before[i], &error), &error);
    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
    for (size_t i = 0; i < array_size(banks); i++) {
        assert_good(tpm_bank_read(machine->tpm, banks[i], &active, &error), &error);
        if (!active)
            continue;
        assert_good(tpm_pcr_read(machine->tpm, banks[i], 1u << MACHINE_CAP, &after, &error), &error);
        assert_true(cap_is_on(&before[i], &after, MACHINE_CAP));
        count++;
    }
    assert_true(count >= 2);
}

static void test_apply_twice(void **state)
{
    struct machine *machine = *state;
    struct pcr_values start = machine_pcrs(machine), second, now;
    struct error error;

    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, &second, &error), &error);
    now = machine_pcrs(machine);
    assert_true(cap_is_on(&start, &second, MACHINE_CAP));
    assert_true(cap_is_on(&start, &now, MACHINE_CAP));
    assert_true(cap_is_on(&second, &now, MACHINE_CAP));
    assert_false(cap_is_on(&now, &start, MACHINE_CAP));
}

static void test_another_pcr(void **state)
{
    struct machine *machine = *state;
    struct pcr_values start = machine_pcrs(machine), now;
    struct error error;

    assert_good(cap_apply(machine->tpm, HASH_SHA256, 4, NULL, &error), &error);
    now = machine_pcrs(machine);
    assert_true(cap_is_on(&start, &now, 4));
    assert_false(cap_is_on(&start, &now, MACHINE_CAP));
}

/* The bank of the pins is off: the event cannot be seen there, and that must not pass for a cap. */
static void test_a_bank_that_is_off(void **state)
{
    struct machine *machine = *state;
    struct error error;
    uint32_t active;

    machine_set_banks(machine, "sha256:none+sha384:all");
    assert_good(tpm_bank_read(machine->tpm, HASH_SHA256, &active, &error), &error);
    assert_int_equal(active, 0);
    assert_error(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error, ERROR_TPM, "read back");
    assert_good(cap_apply(machine->tpm, HASH_SHA384, MACHINE_CAP, NULL, &error), &error);
}

static void test_is_on(void **state)
{
    struct pcr_values before = { .bank = HASH_SHA256, .mask = 1u << 12 }, now = before, lacking = { 0 };
    struct error error;

    (void)state;
    assert_false(cap_is_on(&before, &now, 12));
    assert_good(pcr_extend(&now, 12, "something else", 14, &error), &error);
    assert_false(cap_is_on(&before, &now, 12));
    assert_good(pcr_extend(&now, 12, CAP_EVENT, strlen(CAP_EVENT), &error), &error);
    assert_false(cap_is_on(&before, &now, 12)); /* the cap on top of something else */
    now = before;
    for (int times = 1; times <= 8; times++) {
        assert_good(pcr_extend(&now, 12, CAP_EVENT, strlen(CAP_EVENT), &error), &error);
        assert_true(cap_is_on(&before, &now, 12));
    }
    assert_good(pcr_extend(&now, 12, "something else", 14, &error), &error);
    assert_false(cap_is_on(&before, &now, 12)); /* something else on top of the cap */
    lacking.bank = HASH_SHA256;
    assert_false(cap_is_on(&before, &lacking, 12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(test_apply),       machine_test(test_apply_reaches_every_bank), machine_test(test_apply_twice),
        machine_test(test_another_pcr), machine_test(test_a_bank_that_is_off),       cmocka_unit_test(test_is_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
