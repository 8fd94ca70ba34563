#include "sample.h"

#include "policy/document.h"

#define BIT(pcr) (1u << (pcr))

static struct error error;

static void lists_are_parsed(void **state)
{
    uint32_t mask;

    (void)state;
    assert_good(policy_pcrs_parse("4,7,9", &mask, &error), &error);
    assert_int_equal(mask, BIT(4) | BIT(7) | BIT(9));
    assert_good(policy_pcrs_parse("23,0", &mask, &error), &error);
    assert_int_equal(mask, BIT(0) | BIT(23));
}

static void other_lists_are_refused(void **state)
{
    static const char *const lists[] = { "",           ",",      "4,",  ",4",   "4,,7", "24", "-1",  "+4",
                                         "4 ,7",       "4, 7",   "0x4", "four", "4-7",  "04", "4;7", "4.0",
                                         "4294967300", "7:sha1", "007", "all",  "4\n",  "100" };
    uint32_t mask = 0x5a;

    (void)state;
    for (size_t i = 0; i < array_size(lists); i++) {
        assert_error(policy_pcrs_parse(lists[i], &mask, &error), &error, ERROR_USAGE, "is not a list of PCR numbers");
        assert_int_equal(mask, 0x5a);
    }
    assert_error(policy_pcrs_parse("7,4,7", &mask, &error), &error, ERROR_USAGE, "PCR 7 twice");
}

static struct policy_document document_of(uint32_t pcrs)
{
    return (struct policy_document){ .bank = HASH_SHA256, .pcrs = pcrs, .cap = 12 };
}

static int check(enum hash_algorithm bank, uint32_t pcrs, unsigned cap)
{
    const struct policy_document document = { .bank = bank, .pcrs = pcrs, .cap = cap };

    return policy_document_check(&document, "--pcrs", &error);
}

static void good_selections_pass(void **state)
{
    (void)state;
    assert_good(check(HASH_SHA256, BIT(7) | BIT(12), 12), &error);
    assert_good(check(HASH_SHA384, BIT(8), 8), &error);
    assert_good(check(HASH_SHA512, BIT(15) | BIT(17), 15), &error);
}

static void bad_selections_are_refused(void **state)
{
    (void)state;
    assert_error(check(HASH_SHA1, BIT(12), 12), &error, ERROR_USAGE, "--pcrs: \"bank\": sha1 is refused");
    assert_error(check((enum hash_algorithm)0, BIT(12), 12), &error, ERROR_USAGE, "\"bank\": must be");
    assert_error(check(HASH_SHA256, 0, 12), &error, ERROR_USAGE, "--pcrs: \"pcrs\": must name one");
    assert_error(check(HASH_SHA256, BIT(12) | BIT(24), 12), &error, ERROR_USAGE, "from 0 to 23");
    assert_error(check(HASH_SHA256, BIT(12) | BIT(10), 12), &error, ERROR_USAGE, "PCR 10 is refused");
    assert_error(check(HASH_SHA256, BIT(12) | BIT(16), 12), &error, ERROR_USAGE, "PCR 16 is refused: any program");
    assert_error(check(HASH_SHA256, BIT(12) | BIT(23), 12), &error, ERROR_USAGE, "PCR 23 is refused: any program");
    assert_error(check(HASH_SHA256, BIT(7), 12), &error, ERROR_USAGE, "PCR 12 is not in \"pcrs\"");
    assert_error(check(HASH_SHA256, BIT(7), 7), &error, ERROR_USAGE, "\"cap\": must be");
    assert_error(check(HASH_SHA256, BIT(7), 10), &error, ERROR_USAGE, "\"cap\": must be");
    assert_error(check(HASH_SHA256, BIT(7), 99), &error, ERROR_USAGE, "\"cap\": must be");
}

/* A machine that GRUB booted; PCR 5 was never extended, 17 has its reset value of ones. */
static struct pcr_values grub_values(void)
{
    struct pcr_values values = sample_values(HASH_SHA256, BIT(0) | BIT(4) | BIT(7) | BIT(8) | BIT(9));

    values.mask |= BIT(5) | BIT(12) | BIT(13) | BIT(14) | BIT(15) | BIT(17);
    memset(values.value[17], 0xff, DIGEST_BYTES);
    return values;
}

static void measured_pcrs_pass(void **state)
{
    struct policy_document document = document_of(BIT(4) | BIT(7) | BIT(12) | BIT(13) | BIT(14));
    struct pcr_values values = grub_values();

    (void)state;
    assert_good(policy_document_check_values(&document, &values, false, &error), &error);
    /* a cap that nothing extends before it */
    document = (struct policy_document){ .bank = HASH_SHA256, .pcrs = BIT(4) | BIT(15), .cap = 15 };
    assert_good(policy_document_check_values(&document, &values, false, &error), &error);
}

static void unmeasured_pcrs_are_refused(void **state)
{
    struct policy_document document = document_of(BIT(4) | BIT(5) | BIT(7) | BIT(12) | BIT(15) | BIT(17));
    struct pcr_values values = grub_values();

    (void)state;
    assert_error(policy_document_check_values(&document, &values, true, &error), &error, ERROR_REFUSED,
                 "PCR 5, 15, 17 of bank sha256");
    assert_string_not_equal(error.remedy, "");
}

static void values_that_are_not_known_are_refused(void **state)
{
    struct policy_document document = document_of(BIT(2) | BIT(4) | BIT(12));
    struct pcr_values values = grub_values();

    (void)state;
    assert_error(policy_document_check_values(&document, &values, true, &error), &error, ERROR_REFUSED, "for PCR 2");
    document.pcrs = BIT(4) | BIT(12);
    assert_good(policy_document_check_values(&document, &values, true, &error), &error);
    document.bank = HASH_SHA384;
    assert_error(policy_document_check_values(&document, &values, true, &error), &error, ERROR_REFUSED, "bank sha384");
}

static void a_selection_without_components_needs_no_grub_and_a_pin(void **state)
{
    struct policy_document document = document_of(BIT(7) | BIT(12));
    struct pcr_values values = grub_values();

    (void)state;
    assert_error(policy_document_check_values(&document, &values, true, &error), &error, ERROR_REFUSED, "GRUB");
    memset(values.value[8], 0, DIGEST_BYTES);
    assert_good(policy_document_check_values(&document, &values, true, &error), &error);
    assert_error(policy_document_check_values(&document, &values, false, &error), &error, ERROR_REFUSED, "no PIN");
    values.mask &= ~BIT(8);
    assert_good(policy_document_check_values(&document, &values, true, &error), &error);
    assert_error(policy_document_check_values(&document, &values, false, &error), &error, ERROR_REFUSED, "no PIN");
}

static void each_component_suffices(void **state)
{
    static const unsigned components[] = { 4, 8, 9, 11 };
    struct pcr_values values = sample_values(HASH_SHA256, BIT(4) | BIT(7) | BIT(8) | BIT(9) | BIT(11) | BIT(12));

    (void)state;
    for (size_t i = 0; i < array_size(components); i++) {
        const struct policy_document document = document_of(BIT(components[i]) | BIT(12));

        assert_good(policy_document_check_values(&document, &values, false, &error), &error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_parsed),
        cmocka_unit_test(other_lists_are_refused),
        cmocka_unit_test(good_selections_pass),
        cmocka_unit_test(bad_selections_are_refused),
        cmocka_unit_test(measured_pcrs_pass),
        cmocka_unit_test(unmeasured_pcrs_are_refused),
        cmocka_unit_test(values_that_are_not_known_are_refused),
        cmocka_unit_test(a_selection_without_components_needs_no_grub_and_a_pin),
        cmocka_unit_test(each_component_suffices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
