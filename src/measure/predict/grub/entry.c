#include "measure/predict/grub/options.h"

#include "base/cleanup.h"

#include <string.h>

/* What was given to menuentry or submenu. */
struct definition {
    const char *id;
    bool unrestricted, users;
    struct arguments words; /* title and further arguments, then the block */
};

static const struct option_row rows[] = {
    { "class", '\0', OPTION_VALUE },  { "users", '\0', OPTION_VALUE },       { "hotkey", '\0', OPTION_VALUE },
    { "source", '\0', OPTION_VALUE }, { "unrestricted", '\0', OPTION_FLAG }, { "id", '\0', OPTION_VALUE },
};

static int take_option(struct run *run, struct definition *definition, const char *option, const char *value,
                       struct error *error)
{
    if (strcmp(option, "source") == 0)
        return run_refuse(run, error, "a menu entry with --source");
    if (strcmp(option, "id") == 0)
        definition->id = value;
    definition->users = definition->users || strcmp(option, "users") == 0;
    definition->unrestricted = definition->unrestricted || strcmp(option, "unrestricted") == 0;
    return 0;
}

static int read_definition(struct run *run, const struct arguments *arguments, struct definition *ret,
                           struct error *error)
{
    struct option_reader reader = { run, rows, array_size(rows), arguments, 1, false };
    bool more = true;
    int r = 0;

    *ret = (struct definition){ .words.items = pool_new(&run->pool, arguments->count * sizeof *ret->words.items) };
    if (!ret->words.items)
        return pool_error(&run->pool, error);
    while (!r && more) {
        const struct option_row *row;
        const char *value;

        r = option_next(&reader, &row, &value, &more, error);
        if (!r && more && row)
            r = take_option(run, ret, row->name, value, error);
        else if (!r && more)
            ret->words.items[ret->words.count++] = arguments->items[reader.at - 1];
    }
    if (!r && (!arguments->block || ret->words.count < 2))
        return run_refuse(run, error, "a menu entry without a title or a body");
    return r;
}

/* The word in single quotes, and those in it escaped. */
static int put_quoted(struct run *run, struct pool_text *text, const char *word, struct error *error)
{
    int r = pool_text_put(&run->pool, text, " '", 2, error);

    while (!r && *word) {
        size_t length = strcspn(word, "'");

        r = pool_text_put(&run->pool, text, word, length, error);
        word += length;
        if (!r && *word) {
            r = pool_text_put(&run->pool, text, "'\\''", 4, error);
            word++;
        }
    }
    return r ?: pool_text_put(&run->pool, text, "'", 1, error);
}

/* What GRUB will execute: setparams with the title, on a line of its own, then what is between the braces. */
static int make_source(struct run *run, const struct entry *entry, const char *block, const char **ret,
                       struct error *error)
{
    struct pool_text text = { 0 };
    int r = pool_text_put(&run->pool, &text, "setparams", 9, error);

    for (size_t i = 0; !r && i < entry->argument_count; i++)
        r = put_quoted(run, &text, entry->arguments[i], error);
    r = r ?: pool_text_put(&run->pool, &text, "\n", 1, error);
    r = r ?: pool_text_put(&run->pool, &text, block + 1, strlen(block) - 2, error);
    r = r ?: pool_text_put(&run->pool, &text, "\n", 1, error);
    *ret = text.bytes;
    return r;
}

int command_menuentry(struct run *run, const struct arguments *arguments, struct error *error)
{
    struct entry *entry = pool_new(&run->pool, sizeof *entry);
    struct definition definition = { 0 };
    int r = entry ? read_definition(run, arguments, &definition, error) : pool_error(&run->pool, error);

    if (r)
        return r;
    if (run->context->count == RUN_MAX_MENU)
        return run_refuse(run, error, "more than %d menu entries", RUN_MAX_MENU);
    *entry = (struct entry){
        .title = definition.words.items[0],
        .id = definition.id ? definition.id : definition.words.items[0],
        .arguments = definition.words.items,
        .argument_count = definition.words.count - 1,
        .submenu = arguments->items[0][0] == 's',
        .restricted = definition.users || !definition.unrestricted,
    };
    r = make_source(run, entry, definition.words.items[definition.words.count - 1], &entry->source, error);
    *run->context->end = entry;
    run->context->end = &entry->next;
    run->context->count++;
    run->status = STATUS_GOOD;
    return r;
}
