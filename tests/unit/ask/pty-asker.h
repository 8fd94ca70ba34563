/*
 * A pseudo-terminal with someone asking on it. The asker runs in a process of its own, in the foreground of a session
 * whose leader watches it like a shell would; the test is the person at the other end of the line.
 */
#pragma once

#include "ask/ask.h"

#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

enum pty_event {
    PTY_ANSWERED, /* the asker's function came back */
    PTY_STOPPED,  /* a signal stopped it; pty_continue() has it go on */
    PTY_KILLED,   /* a signal ended it */
};

struct pty_report {
    enum pty_event event;
    int signal;
    int kind; /* what the function returned */
    bool yes;
    size_t size;
    uint8_t bytes[2 * ASK_MAX_BYTES];
    char text[256]; /* of the error */
};

struct pty {
    int master;
    int slave; /* held open, so that the modes outlive the asker */
    char path[64];
    pid_t leader;
    int reports;
    int orders;
};

/* Runs in the asker; puts what it got into the report. */
/* Fills in what became of a question: kind 0 with the secret, else the error. */
void pty_report_secret(struct pty_report *report, int kind, const struct secret *secret, const struct error *error);

typedef void (*pty_asker)(const char *console, struct pty_report *report);

/* cmocka fixtures: a fresh pseudo-terminal in *state. */
int pty_setup(void **state);
int pty_teardown(void **state);

/* Starts the asker; with or without the pseudo-terminal as its controlling terminal. */
enum pty_control { PTY_CONTROLLING, PTY_NOT_CONTROLLING };
void pty_start(struct pty *pty, enum pty_control control, pty_asker asker);

void pty_type(struct pty *pty, const void *bytes, size_t size);

/* Waits until the echo is on or off. */
void pty_expect_echo(struct pty *pty, bool on);

/* Reads until the output ends with `text`; the whole of what was read since the last call is in `ret` when not NULL. */
void pty_expect_output(struct pty *pty, const char *text, char *ret, size_t ret_size);

/* The next thing that happens to the asker. */
struct pty_report pty_wait(struct pty *pty);
void pty_continue(struct pty *pty);

/* Sends the asker a signal. */
void pty_signal(struct pty *pty, int number);
