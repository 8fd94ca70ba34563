/* Whose PIN it is, on the command line: --operator, else a question on the terminal. */
#pragma once

#include "cli/verb.h"
#include "protect/unlock/operators.h"

/* The number of --operator, 0 when it was not given. ERROR_USAGE for anything but 1 to PROTECTOR_OPERATOR_MAX. */
int operator_from_call(const struct call *call, unsigned *ret, struct error *error);

/*
 * Asks for one of the list; Enter alone is `preset`, unless that is 0. What is no such number is asked again, a few
 * times. A recovery key that was typed instead goes to `ret_key` if that is not NULL, with *ret 0. No terminal:
 * ERROR_USAGE that names the option.
 */
int operator_ask(const struct operator_list *list, unsigned preset, unsigned *ret, struct secret *ret_key,
                 struct error *error);
