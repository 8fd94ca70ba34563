/*
 * Getting a secret from a person. Where it comes from is decided once, by the struct ask_way:
 *
 *   - the distribution's askpass program, in the initramfs: it speaks to the console, plymouth and a FIFO at once. Its
 *     stdin must be /dev/console (it prints what was typed in clear otherwise), its environment is empty but for PATH
 *     and LANG. It may be killed; the console's state and the kernel's log level come back all the same.
 *   - else a terminal: /dev/console in the initramfs, the controlling terminal or stdin for the command line. Echo is
 *     off while the person types and comes back however this ends.
 *
 * Messages go where the prompt is, to the machine's other consoles when that is /dev/console, and to plymouth when it
 * runs. For programs with one thread: signals are held back while the terminal is changed, and take effect once it is
 * as it was.
 */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <stdbool.h>

#define ASK_MAX_BYTES 512 /* longer input is read to its end and is no PIN: ERROR_WRONG_PIN */

struct ask_way {
    const char *askpass; /* absolute path of askpass, or NULL: a terminal */
    const char *console; /* the terminal's path: "/dev/console" in the initramfs, "/dev/tty" for the command line */
};

/* The way of an initramfs: askpass when it is there, else the console. */
struct ask_way ask_way_initramfs(void);

/* The way of the command line: the controlling terminal, or stdin when there is none but stdin is a terminal. */
struct ask_way ask_way_terminal(void);

/*
 * Shows `prompt` (one short line, without ": " at the end) and reads one line, without its newline. End of input, no
 * terminal, or a program that fails: ERROR_USAGE, and the caller says which option would have been the answer. An empty
 * line is a secret of size 0; any byte but the newline is part of the secret.
 */
int ask_secret(const struct ask_way *way, const char *prompt, struct secret *ret, struct error *error);

/* Asks twice, for a new secret; different input is ERROR_USAGE. */
int ask_new_secret(const struct ask_way *way, const char *prompt, struct secret *ret, struct error *error);

/*
 * Asks for a recovery key, as ask_secret(): what is returned is still to be parsed (base/recovery-key-text.h), or
 * empty. On a terminal each group is looked at as it is typed, and one with a typo is named at once and typed again;
 * asterisks stand for the digits. By askpass the whole line is typed first.
 */
int ask_recovery_key(const struct ask_way *way, const char *prompt, struct secret *ret, struct error *error);

/* Asks for a line that is no secret, as ask_secret(): with echo on a terminal; askpass shows it as it can. */
int ask_visible(const struct ask_way *way, const char *prompt, struct secret *ret, struct error *error);

/* The same on the terminal alone, never by askpass. */
int ask_text(const struct ask_way *way, const char *prompt, struct secret *ret, struct error *error);

/* Whether a question can be asked: there is a terminal, or askpass. */
bool ask_is_possible(const struct ask_way *way);

/*
 * Asks on the terminal (never by askpass) "QUESTION [y/N]", with echo. An empty line is no. What is neither yes nor no
 * is asked again, twice; then, at the end of input and without a terminal: ERROR_USAGE, with *ret false.
 */
int ask_yes_no(const struct ask_way *way, const char *question, bool *ret, struct error *error);

/* Something that will be over in a while. */
struct ask_wait {
    const char *text; /* one short line, shown with the time that is left */
    unsigned seconds;
    bool (*is_over)(void *context); /* asked each second: it may end earlier. NULL: it does not */
    void *context;
};

/*
 * Counts down on the terminal, in place. *ret_over is true when the time has passed or is_over() says so, false when
 * the person has pressed Enter and does not wait. No terminal: ERROR_USAGE.
 */
int ask_wait(const struct ask_way *way, const struct ask_wait *wait, bool *ret_over, struct error *error);

/* Shows a line to the person before a prompt: on the console, which is every console of the machine, and through
 * plymouth. Never fails: it is a courtesy. */
void ask_show(const struct ask_way *way, const char *format, ...) __attribute__((format(printf, 2, 3)));
