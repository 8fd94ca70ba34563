#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void set_drops_what_was_there(void **state)
{
    struct error error = { .kind = ERROR_TPM, .tpm_code = 0x98e, .text = "old", .remedy = "old" };

    (void)state;
    assert_int_equal(error_set(&error, ERROR_METADATA, "new %d", 7), 9);
    assert_int_equal(error.kind, ERROR_METADATA);
    assert_int_equal(error.tpm_code, 0);
    assert_string_equal(error.text, "new 7");
    assert_string_equal(error.remedy, "");
}

static void prefixes_come_outermost_first(void **state)
{
    struct error error;

    (void)state;
    error_set(&error, ERROR_WRONG_PIN, "cause");
    assert_int_equal(error_prefix(&error, "inner %s", "words"), ERROR_WRONG_PIN);
    assert_int_equal(error_prefix(&error, "outer"), ERROR_WRONG_PIN);
    assert_string_equal(error.text, "outer: inner words: cause");
}

static void prefix_keeps_remedy_and_code(void **state)
{
    struct error error;

    (void)state;
    error_set(&error, ERROR_TPM, "cause");
    error.tpm_code = 0x921;
    assert_int_equal(error_remedy(&error, "do %s", "it"), ERROR_TPM);
    error_prefix(&error, "outer");
    assert_string_equal(error.remedy, "do it");
    assert_int_equal(error.tpm_code, 0x921);
}

static void errno_becomes_words(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(error_errno(&error, ENOENT, "cannot open \"%s\"", "x"), ERROR_FAILED);
    assert_string_equal(error.text, "cannot open \"x\": No such file or directory");
    error_errno(&error, 99999, "cannot");
    assert_string_equal(error.text, "cannot: unknown error");
    assert_int_equal(error_no_memory(&error), ERROR_FAILED);
    assert_string_equal(error.text, "out of memory");
}

static void rekind_changes_the_kind_alone(void **state)
{
    struct error error;

    (void)state;
    error_set(&error, ERROR_FAILED, "cause");
    error_remedy(&error, "remedy");
    assert_int_equal(error_rekind(&error, ERROR_NOT_LUKS2), ERROR_NOT_LUKS2);
    assert_int_equal(error.kind, ERROR_NOT_LUKS2);
    assert_string_equal(error.text, "cause");
    assert_string_equal(error.remedy, "remedy");
}

static void hostile_text_is_made_harmless(void **state)
{
    static const struct {
        const char *input, *output;
    } rows[] = {
        { "a\x1b[31mb", "a?[31mb" },
        { "line\nline\r\ttab\x7f", "line?line??tab?" },
        { "\xc2\x9b"
          "31m",
          "??31m" }, /* CSI as one character */
        { "\x9b"
          "31m",
          "?31m" }, /* and as one byte */
        { "caf\xc3\xa9 \xe2\x80\xa6 \xf0\x9f\x94\x92", "caf\xc3\xa9 \xe2\x80\xa6 \xf0\x9f\x94\x92" },
        { "\xc2\xa0", "\xc2\xa0" },
        { "\xff\xfe", "??" },
        { "\xc3", "?" }, /* ends inside a character */
        { "\xe2\x80", "??" },
        { "\xe2\x80x", "??x" },
        { "\xc0\x9b", "??" }, /* too long a form of ESC, of U+0080 */
        { "\xe0\x82\x80", "???" },
        { "\xed\xa0\x80", "???" },      /* a surrogate */
        { "\xf4\x90\x80\x80", "????" }, /* past U+10FFFF */
        { "\xf8\x88\x80\x80\x80", "?????" },
    };
    struct error error;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        error_set(&error, ERROR_FAILED, "%s", rows[i].input);
        assert_string_equal(error.text, rows[i].output);
        error_set(&error, ERROR_FAILED, "x");
        error_prefix(&error, "%s", rows[i].input);
        assert_memory_equal(error.text, rows[i].output, strlen(rows[i].output));
        error_remedy(&error, "%s", rows[i].input);
        assert_string_equal(error.remedy, rows[i].output);
    }
}

static void long_text_is_cut(void **state)
{
    struct error error;
    char text[4096];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    error_set(&error, ERROR_FAILED, "%s", text);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
    error_remedy(&error, "%s", text);
    assert_int_equal(strlen(error.remedy), sizeof(error.remedy) - 1);
    error_errno(&error, ENOENT, "%s", text);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);

    error_set(&error, ERROR_FAILED, "cause");
    error_prefix(&error, "%s", text);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
    error_prefix(&error, "outer");
    assert_memory_equal(error.text, "outer: xxx", 10);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);

    /* cut in the middle of a character */
    memset(text, 'x', sizeof(error.text) - 2);
    memcpy(text + sizeof(error.text) - 2, "\xc3\xa9", 3);
    error_set(&error, ERROR_FAILED, "%s", text);
    assert_string_equal(error.text + sizeof(error.text) - 3, "x?");
}

static void kinds_are_exit_statuses_with_names(void **state)
{
    static const char *const names[] = { "none", "failed",       "usage",     "mismatch", "wrong-pin", "lockout",
                                         "tpm",  "no-protector", "not-luks2", "metadata", "refused" };

    (void)state;
    for (int i = 0; i <= 10; i++)
        assert_string_equal(error_kind_name((enum error_kind)i), names[i]);
    assert_string_equal(error_kind_name((enum error_kind)11), "unknown");
    assert_string_equal(error_kind_name((enum error_kind) - 1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_drops_what_was_there),
        cmocka_unit_test(prefixes_come_outermost_first),
        cmocka_unit_test(prefix_keeps_remedy_and_code),
        cmocka_unit_test(errno_becomes_words),
        cmocka_unit_test(rekind_changes_the_kind_alone),
        cmocka_unit_test(hostile_text_is_made_harmless),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(kinds_are_exit_statuses_with_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
