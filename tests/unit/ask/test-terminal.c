#include "ask/terminal.h"
#include "base/cleanup.h"
#include "pty-asker.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void ask(const char *console, struct pty_report *report)
{
    cleanup(secret_free) struct secret secret = { 0 };
    struct error error;
    int r = terminal_ask(console, "PIN: ", TERMINAL_NO_ECHO, &secret, &error);

    pty_report_secret(report, r, &secret, &error);
}

static void assert_answer(const struct pty_report *report, const char *text, size_t size)
{
    assert_int_equal(report->event, PTY_ANSWERED);
    if (report->kind)
        fail_msg("not answered: %s", report->text);
    assert_int_equal(report->size, size);
    assert_memory_equal(report->bytes, text, size);
}

static void reads_a_line_without_echo(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;
    char output[256];

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_echo(pty, false);
    pty_type(pty, "471100\n", 7);
    report = pty_wait(pty);
    assert_answer(&report, "471100", 6);
    pty_expect_echo(pty, true);
    pty_expect_output(pty, "\r\n", output, sizeof(output));
    assert_string_equal(output, "PIN: \r\n");
}

static bool over_at_the_second_look(void *context)
{
    return ++*(int *)context == 2;
}

static void wait_with(const char *console, unsigned seconds, bool (*is_over)(void *), struct pty_report *report)
{
    int looks = 0;
    const struct ask_wait wait = { .text = "locked", .seconds = seconds, .is_over = is_over, .context = &looks };
    struct error error;

    report->kind = terminal_wait(console, &wait, &report->yes, &error);
}

static void wait_until_it_is_over(const char *console, struct pty_report *report)
{
    wait_with(console, 5400, over_at_the_second_look, report);
}

static void wait_a_second(const char *console, struct pty_report *report)
{
    wait_with(console, 1, NULL, report);
}

static void wait_for_ever(const char *console, struct pty_report *report)
{
    wait_with(console, 598, NULL, report);
}

static void counts_down_until_it_is_over(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;
    char output[256];

    pty_start(pty, PTY_CONTROLLING, wait_until_it_is_over);
    report = pty_wait(pty);
    assert_true(report.event == PTY_ANSWERED && report.kind == 0 && report.yes);
    pty_expect_output(pty, "\r\n", output, sizeof(output));
    assert_string_equal(output, "\rlocked 1:30:00   \r\n");
    pty_expect_echo(pty, true);
}

static void counts_down_to_the_end(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_CONTROLLING, wait_a_second);
    report = pty_wait(pty);
    assert_true(report.event == PTY_ANSWERED && report.kind == 0 && report.yes);
}

static void enter_ends_the_countdown(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;
    char output[256];

    pty_start(pty, PTY_CONTROLLING, wait_for_ever);
    pty_expect_output(pty, ":58   ", output, sizeof(output));
    assert_string_equal(output, "\rlocked 9:58   ");
    pty_type(pty, "\n", 1);
    report = pty_wait(pty);
    assert_true(report.event == PTY_ANSWERED && report.kind == 0 && !report.yes);
    pty_expect_echo(pty, true);
}

static void no_countdown_without_a_terminal(void **state)
{
    const struct ask_wait wait = { .text = "locked", .seconds = 10 };
    struct error error;
    bool over = true;

    (void)state;
    assert_int_equal(terminal_wait("/dev/null", &wait, &over, &error), ERROR_USAGE);
    assert_false(over);
}

static void erasing_works(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_echo(pty, false);
    pty_type(pty,
             "12x\x7f"
             "3\n",
             6);
    report = pty_wait(pty);
    assert_answer(&report, "123", 3);
}

static void an_empty_line_is_an_empty_secret(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_echo(pty, false);
    pty_type(pty, "\n", 1);
    report = pty_wait(pty);
    assert_answer(&report, "", 0);
}

static void nul_bytes_are_bytes(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_echo(pty, false);
    pty_type(pty, "a\0b\n", 4);
    report = pty_wait(pty);
    assert_answer(&report, "a\0b", 3);
}

static void the_end_of_input_is_refused(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_echo(pty, false);
    pty_type(pty, "12\x04\x04", 4); /* the first hands out "12", the second is the end */
    report = pty_wait(pty);
    assert_int_equal(report.kind, ERROR_USAGE);
    assert_non_null(strstr(report.text, "ended"));
    pty_expect_echo(pty, true);
}

static void a_hang_up_is_refused(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_NOT_CONTROLLING, ask);
    pty_expect_echo(pty, false);
    close(pty->master);
    pty->master = -1;
    report = pty_wait(pty);
    assert_int_equal(report.event, PTY_ANSWERED);
    assert_int_equal(report.kind, ERROR_USAGE);
}

static void the_longest_line_is_taken(void **state)
{
    struct pty *pty = *state;
    char line[ASK_MAX_BYTES + 1];
    struct pty_report report;

    memset(line, '7', ASK_MAX_BYTES);
    line[ASK_MAX_BYTES] = '\n';
    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_echo(pty, false);
    pty_type(pty, line, sizeof(line));
    report = pty_wait(pty);
    line[ASK_MAX_BYTES] = '\0';
    assert_answer(&report, line, ASK_MAX_BYTES);
}

/* Asks twice: what was left of the first line would be the second one's beginning. */
static void ask_after_too_long(const char *console, struct pty_report *report)
{
    cleanup(secret_free) struct secret secret = { 0 };
    struct error error;
    int r = terminal_ask(console, "PIN: ", TERMINAL_NO_ECHO, &secret, &error);

    if (r != ERROR_WRONG_PIN || !strstr(error.text, "more than 512 bytes")) {
        report->kind = ERROR_FAILED;
        return;
    }
    r = terminal_ask(console, "Again: ", TERMINAL_NO_ECHO, &secret, &error);
    pty_report_secret(report, r, &secret, &error);
}

static void a_longer_line_is_drained_and_refused(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;
    char line[1000];

    memset(line, '7', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    pty_start(pty, PTY_CONTROLLING, ask_after_too_long);
    pty_expect_echo(pty, false);
    pty_type(pty, line, sizeof(line));
    pty_expect_output(pty, "Again: ", NULL, 0);
    pty_type(pty, "1\n", 2);
    report = pty_wait(pty);
    assert_answer(&report, "1", 1);
}

static void a_raw_terminal_is_put_right_and_back(void **state)
{
    struct pty *pty = *state;
    struct termios raw, after;
    struct pty_report report;

    assert_int_equal(tcgetattr(pty->slave, &raw), 0);
    cfmakeraw(&raw);
    raw.c_lflag |= ECHO;
    assert_int_equal(tcsetattr(pty->slave, TCSANOW, &raw), 0);
    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_echo(pty, false);
    pty_type(pty,
             "1x\x7f"
             "2\r",
             5);
    report = pty_wait(pty);
    assert_answer(&report, "12", 2);
    pty_expect_echo(pty, true);
    assert_int_equal(tcgetattr(pty->slave, &after), 0);
    assert_int_equal(after.c_lflag & ICANON, 0);
    assert_int_equal(after.c_iflag, raw.c_iflag);
}

static void assert_killed_with_echo_back(struct pty *pty, int number)
{
    struct pty_report report = pty_wait(pty);

    assert_int_equal(report.event, PTY_KILLED);
    assert_int_equal(report.signal, number);
    pty_expect_echo(pty, true);
}

static void the_interrupt_key_ends_it_with_echo_back(void **state)
{
    struct pty *pty = *state;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_output(pty, "PIN: ", NULL, 0);
    pty_expect_echo(pty, false);
    pty_type(pty, "12\x03", 3);
    assert_killed_with_echo_back(pty, SIGINT);
}

static void sigterm_ends_it_with_echo_back(void **state)
{
    struct pty *pty = *state;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_output(pty, "PIN: ", NULL, 0);
    pty_signal(pty, SIGTERM);
    assert_killed_with_echo_back(pty, SIGTERM);
}

static void sighup_ends_it_with_echo_back(void **state)
{
    struct pty *pty = *state;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_output(pty, "PIN: ", NULL, 0);
    pty_signal(pty, SIGHUP);
    assert_killed_with_echo_back(pty, SIGHUP);
}

static void the_stop_key_stops_it_with_echo_back(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_CONTROLLING, ask);
    pty_expect_output(pty, "PIN: ", NULL, 0);
    pty_type(pty, "99\x1a", 3);
    report = pty_wait(pty);
    assert_int_equal(report.event, PTY_STOPPED);
    assert_int_equal(report.signal, SIGTSTP);
    pty_expect_echo(pty, true);

    pty_continue(pty);
    pty_expect_output(pty, "PIN: ", NULL, 0);
    pty_expect_echo(pty, false);
    pty_type(pty, "12\n", 3);
    report = pty_wait(pty);
    assert_answer(&report, "12", 2);
    pty_expect_echo(pty, true);
}

static void ask_ignoring_interrupts(const char *console, struct pty_report *report)
{
    signal(SIGINT, SIG_IGN);
    ask(console, report);
}

static void an_ignored_signal_begins_the_line_anew(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_CONTROLLING, ask_ignoring_interrupts);
    pty_expect_output(pty, "PIN: ", NULL, 0);
    pty_type(pty, "99\x04", 3); /* hands out what is there */
    usleep(50000);
    pty_type(pty, "\x03", 1);
    pty_expect_output(pty, "PIN: ", NULL, 0);
    pty_type(pty, "12\n", 3);
    report = pty_wait(pty);
    assert_answer(&report, "12", 2);
}

static void do_nothing(int number)
{
    (void)number;
}

static void ask_handling_interrupts(const char *console, struct pty_report *report)
{
    signal(SIGINT, do_nothing);
    ask(console, report);
}

static void a_handled_signal_ends_the_question(void **state)
{
    struct pty *pty = *state;
    struct pty_report report;

    pty_start(pty, PTY_CONTROLLING, ask_handling_interrupts);
    pty_expect_output(pty, "PIN: ", NULL, 0);
    pty_type(pty, "\x03", 1);
    report = pty_wait(pty);
    assert_int_equal(report.event, PTY_ANSWERED);
    assert_int_equal(report.kind, ERROR_FAILED);
    assert_non_null(strstr(report.text, "interrupted"));
    pty_expect_echo(pty, true);
}

static void without_a_terminal_there_is_an_error(void **state)
{
    struct secret secret = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(terminal_ask("/nonexistent", "PIN: ", TERMINAL_NO_ECHO, &secret, &error), ERROR_USAGE);
    assert_non_null(strstr(error.text, "/nonexistent"));
    assert_int_equal(terminal_ask("/dev/null", "PIN: ", TERMINAL_NO_ECHO, &secret, &error), ERROR_USAGE);
    assert_non_null(strstr(error.text, "\"/dev/null\" is none"));
    assert_null(secret.bytes);
}

int main(void)
{
#define on_pty(name) cmocka_unit_test_setup_teardown(name, pty_setup, pty_teardown)
    const struct CMUnitTest tests[] = {
        on_pty(reads_a_line_without_echo),
        on_pty(counts_down_until_it_is_over),
        on_pty(counts_down_to_the_end),
        on_pty(enter_ends_the_countdown),
        on_pty(no_countdown_without_a_terminal),
        on_pty(erasing_works),
        on_pty(an_empty_line_is_an_empty_secret),
        on_pty(nul_bytes_are_bytes),
        on_pty(the_end_of_input_is_refused),
        on_pty(a_hang_up_is_refused),
        on_pty(the_longest_line_is_taken),
        on_pty(a_longer_line_is_drained_and_refused),
        on_pty(a_raw_terminal_is_put_right_and_back),
        on_pty(the_interrupt_key_ends_it_with_echo_back),
        on_pty(sigterm_ends_it_with_echo_back),
        on_pty(sighup_ends_it_with_echo_back),
        on_pty(the_stop_key_stops_it_with_echo_back),
        on_pty(an_ignored_signal_begins_the_line_anew),
        on_pty(a_handled_signal_ends_the_question),
        cmocka_unit_test(without_a_terminal_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
