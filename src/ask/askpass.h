/*
 * The distribution's askpass program. It blocks every signal and changes the console: echo off, kernel messages off.
 * Killed, it leaves both behind, so they are saved before and restored after it.
 */
#pragma once

#include "ask/ask.h"

/* Runs the program with `prompt` as its argument and the console as its stdin. Errors as ask_secret(). */
int askpass_ask(const char *program, const char *console, const char *prompt, struct secret *ret, struct error *error);
