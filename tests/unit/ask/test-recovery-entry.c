#include "ask/recovery-entry.h"
#include "base/cleanup.h"
#include "base/recovery-key-text.h"
#include "pty-asker.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define KEY "471207278498422125177177561902537405468006693451"
#define PROMPT "Key: "

struct typing {
    struct recovery_entry entry;
    char screen[4096];
    enum terminal_edit last;
    bool anew; /* some byte had the typed-ahead ones dropped */
};

static int setup(void **state)
{
    struct typing *typing = calloc(1, sizeof(*typing));
    struct error error;

    assert_non_null(typing);
    typing->entry.prompt = PROMPT;
    *state = typing;
    return secret_new(&typing->entry.digits, RECOVERY_KEY_DIGITS, &error);
}

static int teardown(void **state)
{
    struct typing *typing = *state;

    secret_free(&typing->entry.digits);
    free(typing);
    return 0;
}

static void type(struct typing *typing, const char *bytes)
{
    for (; *bytes; bytes++) {
        char show[TERMINAL_SHOW_TEXT];

        typing->last = recovery_entry_feed(&typing->entry, (uint8_t)*bytes, show);
        typing->anew |= typing->last == TERMINAL_EDIT_ANEW;
        strncat(typing->screen, show, sizeof(typing->screen) - strlen(typing->screen) - 1);
    }
}

static void expect_digits(const struct typing *typing, const char *digits)
{
    assert_int_equal(typing->entry.digits.size, strlen(digits));
    assert_memory_equal(typing->entry.digits.bytes, digits, strlen(digits));
}

static void dashes_come_by_themselves(void **state)
{
    struct typing *typing = *state;

    type(typing, KEY);
    assert_string_equal(typing->screen, "******-******-******-******-******-******-******-******");
    expect_digits(typing, KEY);
    type(typing, "1"); /* no 49th digit */
    assert_int_equal(typing->last, TERMINAL_EDIT_MORE);
    expect_digits(typing, KEY);
    type(typing, "\n");
    assert_int_equal(typing->last, TERMINAL_EDIT_DONE);
    assert_null(strpbrk(typing->screen, "0123456789"));
}

static void dashes_and_blanks_change_nothing(void **state)
{
    struct typing *typing = *state;

    type(typing, "471207-278498 4221-25");
    expect_digits(typing, "471207278498422125");
    assert_string_equal(typing->screen, "******-******-******-");
}

static void a_typo_is_named_at_once(void **state)
{
    struct typing *typing = *state;

    type(typing, "471207278498422126");
    assert_int_equal(typing->last, TERMINAL_EDIT_ANEW);
    assert_non_null(strstr(typing->screen, "\ngroup 3 has a typo: go on from there\n" PROMPT "******-******-"));
    expect_digits(typing, "471207278498");
    type(typing, "422125177177561902537405468006693451\n");
    assert_int_equal(typing->last, TERMINAL_EDIT_DONE);
    expect_digits(typing, KEY);
}

static void erasing_goes_back_over_dashes(void **state)
{
    struct typing *typing = *state;

    type(typing, "471207\x7f");
    assert_string_equal(typing->screen, "******-\b \b\b \b");
    expect_digits(typing, "47120");
    type(typing, "72\b\b\b\b\b\b\b\b\b");
    expect_digits(typing, "");
    type(typing, KEY "\x7f");
    assert_int_equal(typing->entry.digits.size, 47);
    type(typing, "1\n");
    assert_int_equal(typing->last, TERMINAL_EDIT_DONE);
    expect_digits(typing, KEY);
}

static void the_kill_key_starts_anew(void **state)
{
    struct typing *typing = *state;

    type(typing, "4712072\x15");
    expect_digits(typing, "");
    assert_non_null(strstr(typing->screen, "\n" PROMPT));
    for (size_t i = 0; i < RECOVERY_KEY_DIGITS; i++)
        assert_int_equal(typing->entry.digits.bytes[i], 0); /* wiped */
}

static void half_a_key_is_not_taken(void **state)
{
    struct typing *typing = *state;

    type(typing, "47120727\n");
    assert_int_equal(typing->last, TERMINAL_EDIT_MORE);
    assert_non_null(strstr(typing->screen, "group 2 is not complete"));
    expect_digits(typing, "47120727");
}

static void nothing_is_an_answer(void **state)
{
    struct typing *typing = *state;

    type(typing, "\n");
    assert_int_equal(typing->last, TERMINAL_EDIT_DONE);
    expect_digits(typing, "");
}

static void the_end_of_input_needs_an_empty_line(void **state)
{
    struct typing *typing = *state;

    type(typing, "4\x04");
    assert_int_equal(typing->last, TERMINAL_EDIT_MORE);
    type(typing, "\x7f\x04");
    assert_int_equal(typing->last, TERMINAL_EDIT_END);
}

/* Letters, and the keys that send several bytes with digits among them: Delete, cursor keys, function keys. */
static void other_keys_are_no_digits(void **state)
{
    struct typing *typing = *state;

    type(typing, "x\xc3\xa9\x1b[3~\x1b[A\x1bOP\x1b[15;2~\x1b"
                 "1");
    expect_digits(typing, "");
    assert_null(strchr(typing->screen, '*'));
    type(typing, "4\x1b[\n7"); /* a sequence that was cut does not swallow the Enter key */
    expect_digits(typing, "47");
}

/* ---- on a pseudo-terminal ---- */

static void ask(const char *console, struct pty_report *report)
{
    cleanup(secret_free) struct secret secret = { 0 };
    struct error error;
    int r = recovery_entry_ask(console, PROMPT, &secret, &error);

    report->kind = r;
    if (r) {
        snprintf(report->text, sizeof(report->text), "%.200s", error.text);
        return;
    }
    report->size = secret.size;
    memcpy(report->bytes, secret.bytes, secret.size);
}

static void expect_key(struct pty *pty)
{
    struct pty_report report = pty_wait(pty);

    assert_int_equal(report.event, PTY_ANSWERED);
    assert_int_equal(report.kind, 0);
    assert_int_equal(report.size, RECOVERY_KEY_DIGITS);
    assert_memory_equal(report.bytes, KEY, RECOVERY_KEY_DIGITS);
}

static void a_terminal_names_the_typo(void **state)
{
    struct pty *pty = *state;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_output(pty, PROMPT, NULL, 0);
    pty_expect_echo(pty, false);
    /* pasted: what follows the typo is dropped, its line end too */
    pty_type(pty, "471207278489422125177177561902537405468006693451\n", 49);
    pty_expect_output(pty, "group 2 has a typo: go on from there\r\n" PROMPT "******-", NULL, 0);
    pty_type(pty, "278498422125177177561902537405468006693451\n", 43);
    expect_key(pty);
    pty_expect_echo(pty, true);
}

static void a_signal_is_obeyed_with_the_terminal_as_it_was(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_output(pty, PROMPT, NULL, 0);
    pty_type(pty, "4712", 4);
    pty_expect_output(pty, "****", NULL, 0);
    pty_type(pty, "\x1a", 1);
    report = pty_wait(pty);
    assert_int_equal(report.event, PTY_STOPPED);
    pty_expect_echo(pty, true);
    pty_continue(pty);
    pty_expect_output(pty, PROMPT, NULL, 0); /* the line begins anew */
    pty_type(pty, KEY "\n", 49);
    expect_key(pty);
}

static void the_end_of_input_is_refused(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_output(pty, PROMPT, NULL, 0);
    pty_type(pty, "\x04", 1);
    report = pty_wait(pty);
    assert_int_equal(report.kind, ERROR_USAGE);
    pty_expect_echo(pty, true);
}

static void a_hang_up_is_refused(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_NOT_CONTROLLING, ask);
    pty_expect_output(pty, PROMPT, NULL, 0);
    close(pty->master);
    pty->master = -1;
    report = pty_wait(pty);
    assert_int_equal(report.event, PTY_ANSWERED);
    assert_int_equal(report.kind, ERROR_USAGE);
}

int main(void)
{
#define typed(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define on_pty(name) cmocka_unit_test_setup_teardown(name, pty_setup, pty_teardown)
    const struct CMUnitTest tests[] = {
        typed(dashes_come_by_themselves),
        typed(dashes_and_blanks_change_nothing),
        typed(a_typo_is_named_at_once),
        typed(erasing_goes_back_over_dashes),
        typed(the_kill_key_starts_anew),
        typed(half_a_key_is_not_taken),
        typed(nothing_is_an_answer),
        typed(the_end_of_input_needs_an_empty_line),
        typed(other_keys_are_no_digits),
        on_pty(a_terminal_names_the_typo),
        on_pty(a_signal_is_obeyed_with_the_terminal_as_it_was),
        on_pty(the_end_of_input_is_refused),
        on_pty(a_hang_up_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
