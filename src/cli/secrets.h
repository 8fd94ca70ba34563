/* Secrets of a call: from the option's file (or stdin for "-"), else from the person at the terminal. */
#pragma once

#include "cli/verb.h"
#include "policy/document.h"

/* Reads --OPTION's file as it stands, or asks with `prompt`. No terminal: ERROR_USAGE that names the option. */
int secret_from_call(const struct call *call, const char *option, const char *prompt, size_t max, struct secret *ret,
                     struct error *error);

/* The same for the i-th of several that may be given. */
int secret_from_call_at(const struct call *call, const char *option, size_t i, const char *prompt, size_t max,
                        struct secret *ret, struct error *error);

/* A PIN: the same, without a newline at the file's end. Longer than any PIN: ERROR_WRONG_PIN when it
 * was typed, ERROR_USAGE when it is in a file. */
int pin_from_call(const struct call *call, const char *option, struct secret *ret, struct error *error);

/* A new PIN by --OPTION or asked twice, and checked against the rules. */
int new_pin_from_call(const struct call *call, const char *option, const struct pin_rules *rules, struct secret *ret,
                      struct error *error);

/* True when the option was given: then there is one try, and nobody to ask again. */
bool secret_is_given(const struct call *call, const char *option);
