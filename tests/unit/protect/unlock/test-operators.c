#include "protect/unlock/operators.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct protector a_protector(unsigned operator_number, const char *label)
{
    struct protector protector = { .kind = PROTECTOR_TPM2_PIN, .operator_number = operator_number };

    snprintf(protector.label, sizeof(protector.label), "%s", label);
    return protector;
}

static void assert_prompt(const struct operator_list *list, unsigned preset, const char *expected)
{
    char prompt[OPERATOR_PROMPT_TEXT];

    operators_prompt(list, preset, prompt);
    assert_string_equal(prompt, expected);
}

/* Each number once and in order, the first label of each; who has no PIN has no number. */
static void test_list(void **state)
{
    struct protector first[] = { a_protector(12, "Carl"), a_protector(1, ""), a_protector(0, "no PIN") };
    struct protector second[] = { a_protector(2, "Bert"), a_protector(1, "Anna"), a_protector(12, "other") };
    struct operator_list list = { 0 };

    (void)state;
    first[2].kind = PROTECTOR_TPM2;
    operators_add(&list, &(struct protector_list){ first, array_size(first) });
    assert_prompt(&list, 0, "Operator (1, 12 Carl)");
    operators_add(&list, &(struct protector_list){ second, array_size(second) });
    assert_prompt(&list, 0, "Operator (1 Anna, 2 Bert, 12 Carl)");
    assert_prompt(&list, 12, "Operator (1 Anna, 2 Bert, 12 Carl, Enter for 12)");
    assert_true(operators_have(&list, 12) && !operators_have(&list, 11) && !operators_have(&list, 0));
    assert_int_equal(operators_smallest_free(&list), 3);
}

static void test_hostile_labels(void **state)
{
    struct protector protectors[] = { a_protector(1, "a\033[2Jb\xff"), a_protector(2, "\xc2\x9b"
                                                                                      "31m") };
    struct operator_list list = { 0 };

    (void)state;
    operators_add(&list, &(struct protector_list){ protectors, array_size(protectors) });
    assert_prompt(&list, 0, "Operator (1 a?[2Jb?, 2 ??31m)");
}

/* Not within a character. */
static void test_long_labels(void **state)
{
    struct protector protectors[] = { a_protector(1, "1234567890123456789ö12345"),
                                      a_protector(2, "123456789012345678ö12345") };
    struct operator_list list = { 0 };

    (void)state;
    operators_add(&list, &(struct protector_list){ protectors, array_size(protectors) });
    assert_prompt(&list, 0, "Operator (1 1234567890123456789, 2 123456789012345678ö)");
}

static void test_all_of_them(void **state)
{
    struct operator_list list = { 0 };
    char prompt[OPERATOR_PROMPT_TEXT];

    (void)state;
    for (unsigned number = PROTECTOR_OPERATOR_MAX; number >= 1; number--) {
        struct protector one = a_protector(number, "somebody with a long name");

        operators_add(&list, &(struct protector_list){ &one, 1 });
    }
    assert_int_equal(list.count, PROTECTOR_OPERATOR_MAX);
    assert_int_equal(operators_smallest_free(&list), 0);
    operators_prompt(&list, 99, prompt);
    assert_true(strlen(prompt) < OPERATOR_PROMPT_TEXT);
    assert_non_null(strstr(prompt, ", ..., Enter for 99)"));
}

static void test_parse(void **state)
{
    static const char *const bad[] = { "", " ", "0", "00", "100", "001", "1a", "a1", "1 2", "-1", "+1", "1\n", "\t1" };
    static const struct {
        const char *text;
        unsigned number;
    } good[] = { { "1", 1 }, { "99", 99 }, { " 7", 7 }, { "42  ", 42 }, { "07", 7 } };
    unsigned number = 1234;

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++)
        assert_false(operator_parse(bad[i], strlen(bad[i]), &number));
    assert_false(operator_parse("1\0", 2, &number));
    assert_int_equal(number, 1234);
    for (size_t i = 0; i < array_size(good); i++) {
        assert_true(operator_parse(good[i].text, strlen(good[i].text), &number));
        assert_int_equal(number, good[i].number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),        cmocka_unit_test(test_hostile_labels), cmocka_unit_test(test_long_labels),
        cmocka_unit_test(test_all_of_them), cmocka_unit_test(test_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
