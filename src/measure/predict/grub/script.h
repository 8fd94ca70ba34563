/*
 * GRUB's script language, parsed as GRUB 2.06 does (its script/yylex.l and script/parser.y were read for the rules): a
 * script is taken piece by piece, each piece the shortest run of whole lines that is complete; GRUB executes one before
 * it reads the next.
 *
 * All that is parsed lives in the pool and points into the source's text.
 */
#pragma once

#include "measure/predict/grub/pool.h"

#include <stdbool.h>

#define SCRIPT_MAX_BYTES (1024 * 1024) /* grub-mkconfig's longest files have some hundred KiB */
#define SCRIPT_MAX_DEPTH 48            /* of parsing: constructs within each other; GRUB executes up to 64 */

/* Lines of text without carriage returns, each with a newline at its end. */
struct source {
    const char *name; /* for messages: "(hd0,gpt2)/grub/grub.cfg" */
    const char *text;
    size_t size;
    const unsigned *lines; /* number of each line in the file; NULL: 1, 2, 3, … */
};

enum part_kind {
    PART_TEXT,     /* unquoted */
    PART_QUOTED,   /* makes a word even when it is empty */
    PART_VARIABLE, /* unquoted: its value falls into words */
    PART_QUOTED_VARIABLE,
    PART_BLOCK, /* { … }, as it stands, with the braces */
};

struct part {
    enum part_kind kind;
    const char *text; /* without quotes and escapes; of a variable the name */
    bool wild;        /* an unquoted * or ? */
    struct part *next;
};

struct word {
    struct part *parts; /* none: an empty unquoted word, which vanishes */
    struct word *next;
};

enum node_kind { NODE_COMMAND, NODE_IF, NODE_FOR, NODE_WHILE, NODE_UNTIL };

struct node {
    enum node_kind kind;
    const struct source *source;
    unsigned line;
    const char *name;       /* for: the variable */
    struct word *words;     /* command: name and arguments; for: what it goes through */
    struct node *condition; /* a list, as the next two: if, while, until */
    struct node *body;      /* if: then */
    struct node *otherwise; /* if: else or elif */
    struct node *next;      /* in its list */
};

struct function {
    const char *name;
    struct node *body;
    struct function *next;
};

struct parser {
    struct pool *pool;
    const struct source *source;
    size_t offset;               /* of what was not read yet */
    size_t line;                 /* index of its line */
    struct function **functions; /* the newest first; a definition holds from the moment that it is read */
};

/* The source for a file's bytes: carriage returns and lines that start with "#" are left out, as GRUB does when it
 * reads a configuration file. Bytes that are no text are ERROR_FAILED. */
int source_from_file(struct pool *pool, const char *name, const char *bytes, size_t size, struct source *ret,
                     struct error *error);

/* The next piece as a list, NULL for one without commands. *more is false at the end of the source. What GRUB would not
 * take either, and what is not known here, is ERROR_FAILED with file and line. */
int script_next(struct parser *parser, struct node **ret, bool *more, struct error *error);

/* The file's line of one of the source's. */
unsigned source_line(const struct source *source, size_t index);

/* ERROR_FAILED: this place of a configuration cannot be followed, and why. */
int script_refuse(const struct source *source, unsigned line, struct error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* For clang's analyzer, as in error.h. */
#if defined(__clang_analyzer__) && !defined(SCRIPT_IMPLEMENTATION)
#define script_refuse(...) (script_refuse(__VA_ARGS__), (int)ERROR_FAILED)
#endif
