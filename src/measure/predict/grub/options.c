#include "measure/predict/grub/options.h"

#include <string.h>

/* GRUB also takes the start of an option's name; here it must be the whole. */
static const struct option_row *find_long(const struct option_reader *reader, const char *name, size_t length)
{
    for (size_t i = 0; i < reader->row_count; i++)
        if (strlen(reader->rows[i].name) == length && strncmp(reader->rows[i].name, name, length) == 0)
            return &reader->rows[i];
    return NULL;
}

static const struct option_row *find_short(const struct option_reader *reader, char letter)
{
    for (size_t i = 0; i < reader->row_count; i++)
        if (reader->rows[i].letter == letter && letter != '\0')
            return &reader->rows[i];
    return NULL;
}

/* The next word as a value, when it is none that looks like an option. */
static const char *following_value(struct option_reader *reader)
{
    if (reader->at >= reader->arguments->count || reader->arguments->items[reader->at][0] == '-')
        return NULL;
    return reader->arguments->items[reader->at++];
}

static int read_value(struct option_reader *reader, const struct option_row *row, const char **value,
                      struct error *error)
{
    if (row->kind == OPTION_FLAG)
        return *value ? run_refuse(reader->run, error, "a value for the option \"--%s\"", row->name) : 0;
    if (!*value)
        *value = following_value(reader);
    if (!*value && row->kind == OPTION_VALUE)
        return run_refuse(reader->run, error, "the option \"--%s\" without a value", row->name);
    return 0;
}

static bool is_word(const struct option_reader *reader, const char *word)
{
    return reader->only_words || word[0] != '-' || word[1] == '\0';
}

int option_next(struct option_reader *reader, const struct option_row **row, const char **value, bool *more,
                struct error *error)
{
    const char *word;
    size_t length;

    *row = NULL;
    *more = reader->at < reader->arguments->count;
    if (!*more)
        return 0;
    *value = word = reader->arguments->items[reader->at++];
    if (is_word(reader, word))
        return 0;
    if (strcmp(word, "--") == 0) {
        reader->only_words = true;
        return option_next(reader, row, value, more, error);
    }
    if (word[1] == '-') {
        length = strcspn(word + 2, "=");
        *row = find_long(reader, word + 2, length);
        *value = *row && word[2 + length] ? word + 3 + length : NULL;
    } else {
        *row = word[2] == '\0' ? find_short(reader, word[1]) : NULL;
        *value = NULL;
    }
    if (*row)
        return read_value(reader, *row, value, error);
    return run_refuse(reader->run, error, "the option \"%.60s\"", word);
}
