/*
 * Typing a recovery key on a terminal: digits appear as asterisks, dashes come by themselves, a group with a typo is
 * named and typed again. Blanks and dashes may be typed too and change nothing; Backspace takes one digit back, Ctrl+U
 * all; Enter ends the line when there are no digits or all 48.
 */
#pragma once

#include "ask/terminal.h"

struct recovery_entry {
    const char *prompt;                                       /* shown again after a message */
    struct secret digits;                                     /* room for RECOVERY_KEY_DIGITS */
    enum { ENTRY_PLAIN, ENTRY_ESCAPE, ENTRY_SEQUENCE } state; /* cursor keys send several bytes, digits among them */
};

/* The editor's functions (terminal.h); the context is a struct recovery_entry. */
void recovery_entry_start(void *context);
enum terminal_edit recovery_entry_feed(void *context, uint8_t byte, char ret_show[TERMINAL_SHOW_TEXT]);

/* Asks on the terminal at `path`: no digits or 48. Errors as terminal_ask(). */
int recovery_entry_ask(const char *path, const char *prompt, struct secret *ret, struct error *error);
