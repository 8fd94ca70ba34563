/*
 * Words for people, on stderr. Only the programs (src/cli, src/unlock) and src/ask call these; the layers below return
 * a struct error instead. Results never come here: they go to stdout.
 */
#pragma once

#include "base/error.h"

enum log_level { LOG_QUIET, LOG_NORMAL, LOG_VERBOSE };

/* Sets the level (LOG_NORMAL at the start) and the prefix of each line, a string that stays valid: "bootseal". */
void log_setup(enum log_level level, const char *prefix);

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Shown at every level. */
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Text and remedy of an error, on one line each. Returns its kind. */
int log_error(const struct error *error);
