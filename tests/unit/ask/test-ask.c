#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "pty-asker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void ask_one(const char *console, struct pty_report *report)
{
    const struct ask_way way = { .console = console };
    cleanup(secret_free) struct secret secret = { 0 };
    struct error error;
    int r = ask_secret(&way, "PIN for \"pan\x1b[2Jel\"", &secret, &error);

    pty_report_secret(report, r, &secret, &error);
}

static void a_prompt_has_no_control_characters(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;
    char output[256];

    pty_start(pty, PTY_CONTROLLING, ask_one);
    pty_expect_output(pty, ": ", output, sizeof(output));
    assert_string_equal(output, "PIN for \"pan?[2Jel\": ");
    pty_type(pty, "12\n", 3);
    report = pty_wait(pty);
    assert_int_equal(report.kind, 0);
    assert_int_equal(report.size, 2);
    assert_memory_equal(report.bytes, "12", 2);
}

static void ask_new(const char *console, struct pty_report *report)
{
    const struct ask_way way = { .console = console };
    cleanup(secret_free) struct secret secret = { 0 };
    struct error error;
    int r = ask_new_secret(&way, "New PIN", &secret, &error);

    pty_report_secret(report, r, &secret, &error);
}

static struct pty_report answer_twice(struct pty *pty, const char *first, const char *second)
{
    pty_start(pty, PTY_CONTROLLING, ask_new);
    pty_expect_output(pty, "New PIN: ", NULL, 0);
    pty_type(pty, first, strlen(first));
    pty_expect_output(pty, "New PIN (again): ", NULL, 0);
    pty_type(pty, second, strlen(second));
    return pty_wait(pty);
}

static void the_same_input_twice_is_a_new_secret(void **state)
{
    struct pty_report report = answer_twice(*state, "481526\n", "481526\n");

    assert_int_equal(report.kind, 0);
    assert_int_equal(report.size, 6);
    assert_memory_equal(report.bytes, "481526", 6);
}

static void different_inputs_are_refused(void **state)
{
    struct pty_report report = answer_twice(*state, "481526\n", "481527\n");

    assert_int_equal(report.kind, ERROR_USAGE);
    assert_string_equal(report.text, "the two inputs differ");
}

static void a_longer_second_input_is_refused(void **state)
{
    struct pty_report report = answer_twice(*state, "481526\n", "4815260\n");

    assert_int_equal(report.kind, ERROR_USAGE);
}

static void ask_question(const char *console, struct pty_report *report)
{
    const struct ask_way way = { .askpass = "/nonexistent", .console = console };
    struct error error;

    report->yes = true;
    report->kind = ask_yes_no(&way, "Go on?", &report->yes, &error);
}

/* Types the answers, each after its prompt. */
static struct pty_report answer_question(struct pty *pty, const char *const *answers)
{
    pty_start(pty, PTY_CONTROLLING, ask_question);
    for (; *answers; answers++) {
        pty_expect_output(pty, "Go on? [y/N]: ", NULL, 0);
        pty_expect_echo(pty, true);
        pty_type(pty, *answers, strlen(*answers));
    }
    return pty_wait(pty);
}

static void expect_answer(struct pty *pty, const char *const *answers, int kind, bool yes)
{
    struct pty_report report = answer_question(pty, answers);

    assert_int_equal(report.event, PTY_ANSWERED);
    assert_int_equal(report.kind, kind);
    assert_int_equal(report.yes, yes);
}

static void y_is_yes(void **state)
{
    expect_answer(*state, (const char *const[]){ "y\n", NULL }, 0, true);
}

static void a_word_counts_too(void **state)
{
    expect_answer(*state, (const char *const[]){ "Yes\n", NULL }, 0, true);
}

static void n_is_no(void **state)
{
    expect_answer(*state, (const char *const[]){ "n\n", NULL }, 0, false);
}

static void an_empty_line_is_no(void **state)
{
    expect_answer(*state, (const char *const[]){ "\n", NULL }, 0, false);
}

static void an_unclear_answer_is_asked_again(void **state)
{
    expect_answer(*state, (const char *const[]){ "ye\n", "perhaps\n", "yes\n", NULL }, 0, true);
}

static void three_unclear_answers_are_an_error(void **state)
{
    expect_answer(*state, (const char *const[]){ "ye\n", "yess\n", "4711\n", NULL }, ERROR_USAGE, false);
}

static void the_end_of_input_is_no_answer(void **state)
{
    expect_answer(*state, (const char *const[]){ "\x04", NULL }, ERROR_USAGE, false);
}

static void a_program_is_asked_when_there_is_one(void **state)
{
    struct pty *pty = *state;
    const struct ask_way way = { .askpass = "/bin/echo", .console = pty->path };
    cleanup(secret_free) struct secret secret = { 0 };
    struct error error;

    assert_int_equal(ask_secret(&way, "PIN", &secret, &error), 0);
    assert_int_equal(secret.size, 5);
    assert_memory_equal(secret.bytes, "PIN: ", 5);
}

static void ask_number(const char *console, struct pty_report *report)
{
    const struct ask_way way = { .console = console };
    cleanup(secret_free) struct secret number = { 0 };
    struct error error;
    int r = ask_visible(&way, "Operator (1 Anna, 2 Bert)", &number, &error);

    pty_report_secret(report, r, &number, &error);
}

/* What is no secret is seen while it is typed, but for a program that asks in its own way. */
static void a_number_is_seen(void **state)
{
    struct pty *pty = *state;
    const struct ask_way by_program = { .askpass = "/bin/echo", .console = pty->path };
    cleanup(secret_free) struct secret number = { 0 };
    struct pty_report report;
    struct error error;

    assert_int_equal(ask_visible(&by_program, "Operator", &number, &error), 0);
    assert_memory_equal(number.bytes, "Operator: ", number.size);
    pty_start(pty, PTY_CONTROLLING, ask_number);
    pty_expect_output(pty, "Operator (1 Anna, 2 Bert): ", NULL, 0);
    pty_expect_echo(pty, true);
    pty_type(pty, "2\n", 2);
    report = pty_wait(pty);
    assert_int_equal(report.kind, 0);
    assert_int_equal(report.size, 1);
    assert_memory_equal(report.bytes, "2", 1);
}

static void a_message_is_one_clean_line(void **state)
{
    struct pty *pty = *state;
    const struct ask_way way = { .console = pty->path };
    char output[256];

    ask_show(&way, "%s tries left%c", "3", '\a');
    pty_expect_output(pty, "\n", output, sizeof(output));
    assert_string_equal(output, "3 tries left?\r\n");
}

static void a_long_message_is_cut(void **state)
{
    struct pty *pty = *state;
    const struct ask_way way = { .console = pty->path };
    char output[4096];

    ask_show(&way, "%03000d", 0);
    pty_expect_output(pty, "\n", output, sizeof(output));
    assert_int_equal(strlen(output), 2046 + strlen("\r\n"));
}

static void a_message_to_nowhere_is_dropped(void **state)
{
    const struct ask_way file = { .console = "/tmp/test-ask-no-terminal" };
    struct error error;

    (void)state;
    assert_int_equal(file_write(file.console, "", 0, 0600, &error), 0);
    ask_show(&file, "not for a file");
    ask_show(&(struct ask_way){ .console = "/nonexistent" }, "not there");
    cleanup(free_ptr) char *text = NULL;
    assert_int_equal(file_read(file.console, 100, &text, NULL, &error), 0);
    assert_string_equal(text, "");
    unlink(file.console);
}

int main(void)
{
#define on_pty(name) cmocka_unit_test_setup_teardown(name, pty_setup, pty_teardown)
    const struct CMUnitTest tests[] = {
        on_pty(a_prompt_has_no_control_characters),
        on_pty(the_same_input_twice_is_a_new_secret),
        on_pty(different_inputs_are_refused),
        on_pty(a_longer_second_input_is_refused),
        on_pty(y_is_yes),
        on_pty(a_word_counts_too),
        on_pty(n_is_no),
        on_pty(an_empty_line_is_no),
        on_pty(an_unclear_answer_is_asked_again),
        on_pty(three_unclear_answers_are_an_error),
        on_pty(the_end_of_input_is_no_answer),
        on_pty(a_program_is_asked_when_there_is_one),
        on_pty(a_number_is_seen),
        on_pty(a_message_is_one_clean_line),
        on_pty(a_long_message_is_cut),
        cmocka_unit_test(a_message_to_nowhere_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
