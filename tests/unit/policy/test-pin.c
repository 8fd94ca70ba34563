#include "sample.h"

#include "policy/document.h"

static const struct pin_rules digits = { .min_length = 6, .max_length = 20, .digits_only = true };
static const struct pin_rules simple = { .min_length = 4, .max_length = 20, .digits_only = true, .allow_simple = true };
static const struct pin_rules short_digits = { .min_length = 4, .max_length = 20, .digits_only = true };
static const struct pin_rules any = { .min_length = 6, .max_length = 20, .digits_only = false };

static struct error error;

static int check(const struct pin_rules *rules, const char *text, size_t size)
{
    cleanup(secret_free) struct secret pin = { 0 };

    assert_good(secret_copy(&pin, text, size, &error), &error);
    return policy_pin_check(rules, &pin, &error);
}

static void assert_refused(const struct pin_rules *rules, const char *text, const char *part)
{
    assert_error(check(rules, text, strlen(text)), &error, ERROR_USAGE, part);
    assert_null(strstr(error.text, text));
}

static void good_pins_pass(void **state)
{
    (void)state;
    assert_good(check(&digits, "481526", 6), &error);
    assert_good(check(&digits, "48152604937160825379", 20), &error);
    assert_good(check(&any, "pass wörd", strlen("pass wörd")), &error);
}

static void test_threat_21_length_is_checked(void **state)
{
    const struct pin_rules long_rules = { 4, 1000, .digits_only = true, .allow_simple = true };
    char text[PIN_MAX_BYTES + 2] = "";

    (void)state;
    assert_refused(&digits, "12345", "too short: the policy wants 6");
    assert_refused(&digits, "012345678901234567890", "too long: the policy allows 20");
    memset(text, '1', PIN_MAX_BYTES);
    assert_good(check(&long_rules, text, PIN_MAX_BYTES), &error);
    text[PIN_MAX_BYTES] = '1';
    assert_refused(&long_rules, text, "allows 256");
}

static void test_threat_21_characters_are_checked(void **state)
{
    (void)state;
    assert_refused(&digits, "12345a", "digits only");
    assert_refused(&digits, "12345 ", "digits only");
    assert_refused(&digits, "12345\xb2\xb3", "digits only");
    assert_refused(&digits, "123456\r", "control character");
    assert_refused(&any, "password\r", "control character");
    assert_refused(&any, "pass\177word", "control character");
    assert_error(check(&any, "pass\0word", 9), &error, ERROR_USAGE, "control character");
}

/* Prompts never send such input to the TPM. */
static void the_form_of_a_recovery_key_is_no_pin(void **state)
{
    const struct pin_rules long_rules = { .min_length = 4, .max_length = 100, .digits_only = true };
    const struct pin_rules any_rules = { .min_length = 4, .max_length = 100 };

    (void)state;
    assert_refused(&long_rules, "471207278498422125177177561902537405468006693451", "looks like a recovery key");
    assert_good(check(&long_rules, "47120727849842212517717756190253740546800669345", 47), &error);
    assert_refused(&any_rules, "1 2 3 4 5 6 7 8", "looks like a recovery key");
}

static void first_guesses_are_refused(void **state)
{
    static const char *const repeats[] = { "111111", "0000", "121212", "1212", "481481", "48154815" };
    static const char *const sequences[] = { "123456", "654321", "567890", "890123",         "210987",
                                             "0123",   "135791", "246802", "012345678901234" };
    static const char *const years[] = { "1987",     "2031",    "198712", "061987", "24121987",
                                         "19871224", "2024061", "198799", "71987",  "1061987" };

    (void)state;
    for (size_t i = 0; i < array_size(repeats); i++) {
        assert_refused(&short_digits, repeats[i], "repeats itself");
        assert_good(check(&simple, repeats[i], strlen(repeats[i])), &error);
    }
    for (size_t i = 0; i < array_size(sequences); i++) {
        assert_refused(&short_digits, sequences[i], "is a sequence");
        assert_good(check(&simple, sequences[i], strlen(sequences[i])), &error);
    }
    for (size_t i = 0; i < array_size(years); i++) {
        assert_refused(&short_digits, years[i], "with a year");
        assert_good(check(&simple, years[i], strlen(years[i])), &error);
    }
    assert_refused(&any, "abcdefgh", "is a sequence");
    assert_refused(&any, "fedcba", "is a sequence");
    assert_refused(&any, "abcabc", "repeats itself");
    assert_refused(&any, "tttttt", "repeats itself");
}

/* One step away from each of those. */
static void others_are_not_refused(void **state)
{
    static const char *const good[] = { "112111", "1213",   "123457", "123465",   "1876",     "2187",
                                        "9871",   "481482", "819874", "730914",   "41987206", "198712241",
                                        "531970", "321987", "001987", "32011987", "01002024", "53197086425319708642" };

    (void)state;
    for (size_t i = 0; i < array_size(good); i++)
        assert_good(check(&short_digits, good[i], strlen(good[i])), &error);
    assert_good(check(&any, "abcdeg", 6), &error);
    assert_good(check(&any, "acegik", 6), &error);
    assert_good(check(&any, "x198712", 7), &error);
}

static void no_pin_is_too_short(void **state)
{
    const struct secret none = { 0 };

    (void)state;
    assert_error(policy_pin_check(&digits, &none, &error), &error, ERROR_USAGE, "too short");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_pins_pass),
        cmocka_unit_test(test_threat_21_length_is_checked),
        cmocka_unit_test(test_threat_21_characters_are_checked),
        cmocka_unit_test(the_form_of_a_recovery_key_is_no_pin),
        cmocka_unit_test(first_guesses_are_refused),
        cmocka_unit_test(others_are_not_refused),
        cmocka_unit_test(no_pin_is_too_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
