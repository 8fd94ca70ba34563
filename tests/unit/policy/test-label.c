#include "sample.h"

#include "policy/label.h"

/* What becomes of a label; `expected` NULL: nothing. */
static void assert_clean(const char *text, const char *expected)
{
    char label[BRANCH_LABEL_MAX + 1] = "";

    assert_true(strlen(text) < sizeof(label));
    strcpy(label, text);
    assert_int_equal(branch_label_clean(label), expected == NULL);
    assert_string_equal(label, expected ? expected : text);
}

static void text_stays(void **state)
{
    (void)state;
    assert_clean("", NULL);
    assert_clean("linux 6.1.0-50-amd64 ~ {slot A}", NULL);
    assert_clean("\u00a0 \u00e9 \u07ff \u0800 \ud7ff \ue000 \uffff \U00010000 \U0010ffff", NULL);
}

static void controls_go(void **state)
{
    (void)state;
    assert_clean("\x01\x1f\x7f", "???");
    assert_clean("a\rb\tc", "a?b?c");
    assert_clean("\xc2\x80\xc2\x9f", "????"); /* C1 controls */
}

static void broken_sequences_go(void **state)
{
    (void)state;
    assert_clean("\x9b"
                 "2J",
                 "?2J");         /* a lone continuation byte is CSI to some terminals */
    assert_clean("a\xc3", "a?"); /* cut in the middle */
    assert_clean("a\xe2\x82", "a??");
    assert_clean("a\xf0\x9f\x98", "a???");
    assert_clean("\xc0\xaf\xc1\xbf", "????"); /* overlong */
    assert_clean("\xe0\x9f\xbf", "???");
    assert_clean("\xf0\x8f\xbf\xbf", "????");
    assert_clean("\xed\xa0\x80", "???");                /* a surrogate */
    assert_clean("\xf4\x90\x80\x80\xf5\xff", "??????"); /* past U+10FFFF */
    assert_clean("\xe2\x28\xa1", "?(?");
    assert_clean("\xf0\x9f\x28\x80", "?"
                                     "?(?");
}

static void the_end_is_kept(void **state)
{
    char label[BRANCH_LABEL_MAX + 1];

    (void)state;
    memset(label, 'x', sizeof(label)); /* no NUL */
    assert_false(branch_label_clean(label));
    assert_int_equal(strlen(label), BRANCH_LABEL_MAX);
    assert_true(branch_label_clean(label));
    label[BRANCH_LABEL_MAX - 1] = '\xe2'; /* a sequence that would go past the end */
    assert_false(branch_label_clean(label));
    assert_int_equal(label[BRANCH_LABEL_MAX - 1], '?');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_stays),
        cmocka_unit_test(controls_go),
        cmocka_unit_test(broken_sequences_go),
        cmocka_unit_test(the_end_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
