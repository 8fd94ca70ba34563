/*
 * Running another program: by absolute path, with an environment of PATH, LANG and what is given, the usual umask,
 * nothing inherited but stdin, stdout and stderr, and its exit status told.
 */
#pragma once

#include "base/error.h"
#include "base/secret.h"

struct process {
    const char *const *argv;        /* argv[0] is an absolute path; NULL at the end */
    const char *const *environment; /* "NAME=value" beside PATH and LANG, NULL at the end; or NULL */
    const char *stdin_path;         /* opened read-write as stdin; NULL: /dev/null */
};

/* Runs it, with its stdout going to our stderr (results are ours to print), and waits. An exit status other than 0, or
 * a signal, is ERROR_FAILED. */
int process_run(const struct process *process, struct error *error);

/* The same with its stdout read into a secret, at most `max` bytes. */
int process_read(const struct process *process, size_t max, struct secret *ret, struct error *error);
