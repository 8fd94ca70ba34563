/* Within predict/grub: GRUB's options, "--file NAME", "--file=NAME" and "-f NAME". */
#pragma once

#include "measure/predict/grub/run.h"

enum option_kind { OPTION_FLAG, OPTION_VALUE, OPTION_MAYBE_VALUE };

struct option_row {
    const char *name;
    char letter; /* '\0' without */
    enum option_kind kind;
};

struct option_reader {
    struct run *run;
    const struct option_row *rows;
    size_t row_count;
    const struct arguments *arguments;
    size_t at;       /* starts at 1, behind the command */
    bool only_words; /* behind "--" */
};

/* The next option or word: *row is NULL for a word; *value is the word, or the option's value (NULL for none). False in
 * *more at the end. An option that is not in the rows cannot be followed: GRUB takes some for words, others for
 * abbreviations. */
int option_next(struct option_reader *reader, const struct option_row **row, const char **value, bool *more,
                struct error *error);
