/* Secrets of a call: from the option's file (or stdin for "-"), else from the person at the terminal. */
#pragma once

#include "cli/verb.h"
#include "policy/document.h"

/* Reads --OPTION's file, or asks with `prompt`. No terminal: ERROR_USAGE that names the option. */
int secret_from_call(const struct call *call, const char *option, const char *prompt, size_t max, struct secret *ret,
                     struct error *error);

/* A new PIN by --OPTION or asked twice, and checked against the rules. */
int new_pin_from_call(const struct call *call, const char *option, const struct pin_rules *rules, struct secret *ret,
                      struct error *error);

/* True when the option was given: then there is one try, and nobody to ask again. */
bool secret_is_given(const struct call *call, const char *option);
