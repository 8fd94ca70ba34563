/*
 * One line from a terminal. The terminal is opened by its path, changed, read and put back as it was found, on every
 * way out: signals that would end or stop the process are held back and get their effect only after that.
 *
 * While a line is read, the terminal is in canonical mode whatever it was in before (a program that was killed may have
 * left it raw), so that erasing works and the kernel hands out whole lines.
 */
#pragma once

#include "ask/ask.h"

#include <termios.h>

enum terminal_echo { TERMINAL_ECHO, TERMINAL_NO_ECHO };

/* Writes the prompt as it is and reads a line. Errors as ask_secret(), also where the prompt cannot be shown;
 * ERROR_FAILED when a signal, which the process survived, asked it to end. What was typed before the prompt is dropped.
 */
int terminal_ask(const char *path, const char *prompt, enum terminal_echo echo, struct secret *ret,
                 struct error *error);

/*
 * A line editor in the place of the kernel's: it gets each byte as it is typed and says what is to be shown, with the
 * echo off. start() is called before the first byte and after a signal, when the line begins anew.
 */
#define TERMINAL_SHOW_TEXT 512

enum terminal_edit {
    TERMINAL_EDIT_MORE,
    TERMINAL_EDIT_ANEW, /* and what was typed ahead is to be dropped */
    TERMINAL_EDIT_DONE, /* the line is complete */
    TERMINAL_EDIT_END,  /* the person ended the input */
};

struct terminal_editor {
    void (*start)(void *context);
    enum terminal_edit (*feed)(void *context, uint8_t byte, char ret_show[TERMINAL_SHOW_TEXT]);
    void *context;
};

/* Writes the prompt and feeds the editor until its line is complete. Errors as terminal_ask(). */
int terminal_edit(const char *path, const char *prompt, const struct terminal_editor *editor, struct error *error);

/* Writes text as it is. A terminal that is not there, or takes nothing for a second, is left alone. */
void terminal_show(const char *path, const char *text);

/* The modes of a terminal: false when there is none. */
bool terminal_save(const char *path, struct termios *ret);
void terminal_restore(const char *path, const struct termios *modes);

/* Shows the text and the time left, each second anew in the same line, until it is over, or a line is typed. Errors as
 * terminal_ask(). */
int terminal_wait(const char *path, const struct ask_wait *wait, bool *ret_over, struct error *error);
