#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"

#include <string.h>

#define ALL_PCRS ((1u << PCR_COUNT) - 1)

static void test_banks(void **state)
{
    struct bench *bench = *state;
    struct error error;
    uint32_t mask;

    bench_ok(tpm_bank_read(bench->tpm, HASH_SHA256, &mask, &error), &error);
    assert_int_equal(mask, ALL_PCRS);
    bench_ok(tpm_bank_read(bench->tpm, 0x0012 /* SM3 */, &mask, &error), &error);
    assert_int_equal(mask, 0);
}

static void test_event_extends_as_computed(void **state)
{
    static const enum hash_algorithm banks[] = { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512 };
    struct bench *bench = *state;
    struct pcr_values before[array_size(banks)], after;
    struct error error;

    for (size_t i = 0; i < array_size(banks); i++)
        bench_ok(tpm_pcr_read(bench->tpm, banks[i], 1u << 12, &before[i], &error), &error);
    bench_ok(tpm_pcr_event(bench->tpm, 12, "bootseal cap v1", 15, &error), &error);
    for (size_t i = 0; i < array_size(banks); i++) {
        bench_ok(tpm_pcr_read(bench->tpm, banks[i], 1u << 12, &after, &error), &error);
        assert_int_equal(pcr_values_differ(&before[i], &after, 1u << 12), 1u << 12);
        bench_ok(pcr_extend(&before[i], 12, "bootseal cap v1", 15, &error), &error);
        assert_int_equal(pcr_values_differ(&before[i], &after, 1u << 12), 0);
    }
}

static void test_reads_eight_a_command(void **state)
{
    struct bench *bench = *state;
    struct pcr_values values, one;
    struct error error;

    for (unsigned pcr = 0; pcr < 16; pcr++)
        bench_ok(tpm_pcr_event(bench->tpm, pcr, &pcr, sizeof(pcr), &error), &error);
    bus_tap(bench->tpm);
    bench_ok(tpm_pcr_read(bench->tpm, HASH_SHA256, ALL_PCRS, &values, &error), &error);
    assert_int_equal(bus_tap_count(), 3);
    assert_int_equal(values.mask, ALL_PCRS);
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        bench_ok(tpm_pcr_read(bench->tpm, HASH_SHA256, 1u << pcr, &one, &error), &error);
        assert_int_equal(pcr_values_differ(&values, &one, 1u << pcr), 0);
        assert_int_equal(pcr_value_is_reset(&values, pcr), pcr >= 16);
    }
}

static void test_refuses_what_is_not_there(void **state)
{
    struct bench *bench = *state;
    struct pcr_values values;
    struct error error;
    uint8_t big[2000] = { 0 };

    assert_int_equal(tpm_pcr_read(bench->tpm, HASH_SHA256, 1u << PCR_COUNT, &values, &error), ERROR_USAGE);
    assert_int_equal(tpm_pcr_read(bench->tpm, 0x1234, 1, &values, &error), ERROR_USAGE);
    assert_int_equal(tpm_pcr_event(bench->tpm, PCR_COUNT, "x", 1, &error), ERROR_USAGE);
    assert_int_equal(tpm_pcr_event(bench->tpm, 12, big, sizeof(big), &error), ERROR_USAGE);
}

static void test_selection_and_mask(void **state)
{
    const uint32_t mask = 1u << 0 | 1u << 9 | 1u << 23;
    TPML_PCR_SELECTION selection = tpm_selection(HASH_SHA384, mask);

    (void)state;
    assert_int_equal(tpm_selection_mask(&selection, HASH_SHA384), mask);
    assert_int_equal(tpm_selection_mask(&selection, HASH_SHA256), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(test_banks),
        bench_test(test_event_extends_as_computed),
        bench_test(test_reads_eight_a_command),
        bench_test(test_refuses_what_is_not_there),
        cmocka_unit_test(test_selection_and_mask),
    };

    return cmocka_run_group_tests_name("pcr", tests, NULL, NULL);
}
