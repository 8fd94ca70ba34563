/* --variable NAME+=FILE and NAME=FILE of `predict` and `reseal --predict`: updates of firmware variables that are about
 * to be written. */
#pragma once

#include "cli/verb.h"
#include "measure/predict/variable-stages.h"

#define VARIABLE_OPTION "variable"
#define VARIABLE_OPTION_ARGUMENT "NAME[+]=FILE"

struct variable_options {
    struct variable_change changes[VARIABLE_CHANGES_MAX];
    size_t count;
    char *names[VARIABLE_CHANGES_MAX], *files[VARIABLE_CHANGES_MAX]; /* owned, the changes point there */
};

/* Reads the files. ERROR_USAGE for what is no such option, ERROR_FAILED for a file that cannot be read,
 * ERROR_METADATA for one that holds no update. Whatever happened, variable_options_free() cleans up. */
int variable_options_read(const struct call *call, struct variable_options *ret, struct error *error);
void variable_options_free(struct variable_options *options);
