#include "measure/predict/grub/run.h"

#include <stdio.h>
#include <string.h>

/* What expansion may make of a command's words: the longest are submenus. */
#define EXPAND_MAX_WORDS 4096
#define EXPAND_MAX_BYTES SCRIPT_MAX_BYTES

/* A command line while it is made: words, of which the last one may still grow. */
struct line {
    struct run *run;
    struct arguments *arguments;
    size_t capacity;
    size_t bytes;
    struct pool_text text; /* of the last word */
    bool open;             /* there is a last word */
};

static int push(struct line *line, struct error *error)
{
    struct arguments *arguments = line->arguments;

    if (!line->open)
        return 0;
    if (arguments->count == EXPAND_MAX_WORDS)
        return run_refuse(line->run, error, "more than %d words", EXPAND_MAX_WORDS);
    if (arguments->count == line->capacity) {
        size_t capacity = line->capacity ? 2 * line->capacity : 16;
        char **items = pool_new(&line->run->pool, (capacity + 1) * sizeof *items);

        if (!items)
            return pool_error(&line->run->pool, error);
        if (arguments->count)
            memcpy(items, arguments->items, arguments->count * sizeof *items);
        arguments->items = items;
        line->capacity = capacity;
    }
    arguments->items[arguments->count++] = line->text.bytes;
    line->text = (struct pool_text){ 0 };
    line->open = false;
    return 0;
}

/* Adds to the last word, which begins with this if need be: an empty text too makes it one. */
static int append(struct line *line, const char *text, size_t size, struct error *error)
{
    line->bytes += size;
    line->open = true;
    if (line->bytes > EXPAND_MAX_BYTES)
        return run_refuse(line->run, error, "words longer than %d bytes", EXPAND_MAX_BYTES);
    return pool_text_put(&line->run->pool, &line->text, text, size, error);
}

/* A value without quotes falls into words where it has blanks; those at its start and end separate nothing. */
static int append_split(struct line *line, const char *value, struct error *error)
{
    static const char blanks[] = "\n\r \t";
    int r = 0;

    if (strpbrk(value, "*?"))
        return run_refuse(line->run, error, "a \"*\" or \"?\" in \"%.60s\", which may stand for files", value);
    value += strspn(value, blanks);
    while (!r && *value) {
        size_t length = strcspn(value, blanks);

        r = append(line, value, length, error);
        value += length;
        value += strspn(value, blanks);
        if (!r && *value)
            r = push(line, error);
    }
    return r;
}

static int append_value(struct line *line, const char *value, bool quoted, struct error *error)
{
    return quoted ? append(line, value, strlen(value), error) : append_split(line, value, error);
}

/* $@ and $*: the second is one word between quotes. */
static int append_all(struct line *line, bool one, bool quoted, struct error *error)
{
    const struct scope *scope = line->run->scope;
    int r = 0;

    for (size_t i = 0; !r && scope && i < scope->count; i++) {
        if (i > 0)
            r = one && quoted ? append(line, " ", 1, error) : push(line, error);
        r = r ?: append_value(line, scope->arguments[i], quoted, error);
    }
    return r;
}

static int append_count(struct line *line, bool quoted, struct error *error)
{
    char number[24];

    if (!line->run->scope)
        return 0;
    snprintf(number, sizeof number, "%zu", line->run->scope->count);
    return append_value(line, number, quoted, error);
}

static int append_argument(struct line *line, const char *name, bool quoted, struct error *error)
{
    const struct scope *scope = line->run->scope;
    size_t number = 0;

    if (strlen(name) > 6)
        return run_refuse(line->run, error, "the parameter $%.20s", name);
    for (; *name; name++)
        number = 10 * number + (size_t)(*name - '0');
    if (!scope || number == 0 || number > scope->count)
        return 0;
    return append_value(line, scope->arguments[number - 1], quoted, error);
}

static int append_status(struct line *line, struct error *error)
{
    if (line->run->status == STATUS_GOOD)
        return append(line, "0", 1, error);
    return run_refuse(line->run, error, "the number in $? is not known");
}

static int append_variable(struct line *line, const char *name, bool quoted, struct error *error)
{
    const char *value;

    if (strcmp(name, "@") == 0 || strcmp(name, "*") == 0)
        return append_all(line, name[0] == '*', quoted, error);
    if (strcmp(name, "#") == 0)
        return append_count(line, quoted, error);
    if (strcmp(name, "?") == 0)
        return append_status(line, error);
    if (name[0] >= '0' && name[0] <= '9')
        return append_argument(line, name, quoted, error);
    value = run_get(line->run, name);
    return value && value[0] ? append_value(line, value, quoted, error) : 0;
}

static int append_part(struct line *line, const struct part *part, struct error *error)
{
    if (part->wild)
        return run_refuse(line->run, error, "a \"*\" or \"?\" without quotes, which may stand for files");
    if (part->kind == PART_VARIABLE || part->kind == PART_QUOTED_VARIABLE)
        return append_variable(line, part->text, part->kind == PART_QUOTED_VARIABLE, error);
    line->arguments->block = part->kind == PART_BLOCK;
    return append(line, part->text, strlen(part->text), error);
}

int run_expand(struct run *run, const struct word *words, struct arguments *ret, struct error *error)
{
    struct line line = { .run = run, .arguments = ret };
    int r = 0;

    *ret = (struct arguments){ 0 };
    for (const struct word *word = words; !r && word; word = word->next) {
        for (const struct part *part = word->parts; !r && part; part = part->next)
            r = append_part(&line, part, error);
        r = r ?: push(&line, error);
    }
    return r;
}
