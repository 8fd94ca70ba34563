/* A temporary folder for one test, and the paths in it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct scratch {
    char folder[200];
    char path[256]; /* of the last scratch_path() */
};

void scratch_make(struct scratch *ret);

/* Removes the folder and all that is in it. */
void scratch_remove(struct scratch *scratch);

/* FOLDER/NAME, good until the next call. */
const char *scratch_path(struct scratch *scratch, const char *name);

/* A file with this text. Returns its path. */
const char *scratch_write(struct scratch *scratch, const char *name, const char *text);

/* Fails the test unless the file holds exactly this text. */
void scratch_expect(struct scratch *scratch, const char *name, const char *text);
