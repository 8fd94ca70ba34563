/*
 * What the fuzz targets share. A target is one file, fuzz-NAME.c, with LLVMFuzzerTestOneInput(): the bytes are what an
 * attacker would have written. It never looks at them itself; it hands them to the code under test and goes through
 * what comes out. Beside what the sanitizers find, a promise of a header that is not kept is a finding:
 * fuzz_require().
 *
 * Each target is built twice: by clang with libFuzzer, to find inputs (tests/run fuzz), and by any compiler with
 * replay.c, to go through the inputs that are known (tests/run unit).
 */
#pragma once

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Before the first input; a target need not have it. */
int LLVMFuzzerInitialize(int *count, char ***arguments) __attribute__((weak));

/* Ends the program unless the condition holds. */
#define fuzz_require(condition)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fuzz_broken(__FILE__, __LINE__, #condition);                                                               \
    } while (0)

_Noreturn void fuzz_broken(const char *file, int line, const char *condition);

/* An input of several parts: FUZZ_SEPARATOR stands between them. Parts that are not there are empty; the last one has
 * all the rest. They point into the input. */
#define FUZZ_SEPARATOR "\n%%%%\n"
void fuzz_split(const uint8_t *bytes, size_t size, struct span *ret, size_t count);

/* A copy with a NUL at its end, which the caller frees. */
char *fuzz_text(struct span bytes);

/* The bytes as a private file; the same path each time. */
const char *fuzz_file(struct span bytes);

/* A folder of this process, and a file in it; folders on the way are made. An empty path is the folder itself. */
#define FUZZ_PATH 300
void fuzz_path(const char *name, char ret[FUZZ_PATH]);
void fuzz_write(const char *name, struct span bytes);

/* Parses the bytes as the JSON document of a token: errors are ERROR_METADATA. False when it is none; then *ret is
 * NULL. */
bool fuzz_json(struct span bytes, struct json_view *ret_view, struct json_object **ret);

/* For people, with BOOTSEAL_FUZZ_TELL in the environment: how far an input comes. */
void fuzz_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The error has a kind, and is one line of text: every failure says what failed. */
void fuzz_require_told(int r, const struct error *error);

/* A stream that forgets what is written to it. */
#include <stdio.h>
FILE *fuzz_nowhere(void);

static inline struct span fuzz_span(const void *bytes, size_t size)
{
    return (struct span){ bytes, size };
}
