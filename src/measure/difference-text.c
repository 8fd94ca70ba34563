#include "measure/difference-text.h"

#include "base/cleanup.h"
#include "measure/align.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 1024 /* more than a command line of 2048 bytes has */
#define SHORT_MAX 100  /* bytes of a command that is shown whole: "[ 1>2 ]" says more than "1>2" */

/* A text cut at its blanks; points into it. */
struct words {
    struct word {
        const char *start;
        size_t length;
    } items[WORDS_MAX];
    size_t count;
};

static void cut_words(const char *text, struct words *ret)
{
    ret->count = 0;
    while (*text && ret->count < WORDS_MAX) {
        size_t length = ret->count == WORDS_MAX - 1 ? strlen(text) : strcspn(text, " ");

        if (length > 0)
            ret->items[ret->count++] = (struct word){ text, length };
        text += length + (text[length] == ' ');
    }
}

struct texts {
    struct words before, after;
};

static bool same_word(const void *context, size_t i, size_t j)
{
    const struct texts *texts = context;
    const struct word *a = &texts->before.items[i], *b = &texts->after.items[j];

    return a->length == b->length && memcmp(a->start, b->start, a->length) == 0;
}

/* The words from `first` up to `last`, as they stand in the text. */
static void put_words(FILE *stream, const struct words *words, size_t first, size_t last)
{
    fputc('`', stream);
    for (size_t i = first; i < last; i++)
        fprintf(stream, "%s%.*s", i > first ? " " : "", (int)words->items[i].length, words->items[i].start);
    fputc('`', stream);
}

/* One place at which words differ: [i, i_end) became [j, j_end). */
static void put_change(FILE *stream, const struct texts *texts, size_t i, size_t i_end, size_t j, size_t j_end)
{
    if (i == i_end) {
        put_words(stream, &texts->after, j, j_end);
        fputs(" was added", stream);
        return;
    }
    put_words(stream, &texts->before, i, i_end);
    if (j == j_end) {
        fputs(" was taken away", stream);
        return;
    }
    fputs(" became ", stream);
    put_words(stream, &texts->after, j, j_end);
}

static void put_changes(FILE *stream, const struct texts *texts, const size_t *partner)
{
    const char *comma = "";
    size_t i = 0, j = 0;

    while (i < texts->before.count || j < texts->after.count) {
        size_t i_end = i, j_end;

        while (i_end < texts->before.count && partner[i_end] == ALIGN_NONE)
            i_end++;
        j_end = i_end < texts->before.count ? partner[i_end] : texts->after.count;
        if (i_end > i || j_end > j) {
            fputs(comma, stream);
            put_change(stream, texts, i, i_end, j, j_end);
            comma = ", ";
        }
        i = i_end + 1;
        j = j_end + 1;
    }
}

/* Which words differ; false when memory is short. */
static bool put_word_changes(FILE *stream, const char *before, const char *after)
{
    cleanup(free_ptr) struct texts *texts = malloc(sizeof(*texts));
    cleanup(free_ptr) size_t *partner = calloc(WORDS_MAX, sizeof(*partner));
    struct error error;

    if (!texts || !partner)
        return false;
    cut_words(before, &texts->before);
    cut_words(after, &texts->after);
    if (align(texts->before.count, texts->after.count, same_word, texts, partner, &error))
        return false;
    put_changes(stream, texts, partner);
    return true;
}

/* How a change of its value is told. */
enum manner { MANNER_CONTENT, MANNER_VALUE, MANNER_WORDS, MANNER_COMMAND };

static enum manner manner_of(enum component_kind kind)
{
    switch (kind) {
    case COMPONENT_KERNEL_COMMAND_LINE:
        return MANNER_WORDS;
    case COMPONENT_GRUB_COMMAND:
        return MANNER_COMMAND;
    case COMPONENT_SECURE_BOOT:
    case COMPONENT_FIRMWARE_SETTING:
    case COMPONENT_FIRMWARE:
    case COMPONENT_KEY_LIST:
    case COMPONENT_OWNER_KEYS:
    case COMPONENT_PARTITION_TABLE:
    case COMPONENT_SEPARATOR:
        return MANNER_VALUE;
    default:
        return MANNER_CONTENT;
    }
}

static const char *or_nothing(const char *value)
{
    return value[0] ? value : "nothing";
}

/* Both names are told: the one that was, the one that is. */
static void put_renamed(FILE *stream, const struct component *before, const struct component *after)
{
    component_put_subject(stream, &(struct component){ .kind = after->kind, .name = "" });
    fprintf(stream, ": `%s` became `%s`", before->name, after->name);
}

/* A GRUB command: whole when it is short, else the words that differ. */
static bool put_command(FILE *stream, const struct component *before, const struct component *after)
{
    if (strlen(before->value) > SHORT_MAX || strlen(after->value) > SHORT_MAX) {
        component_put_subject(stream, after);
        fputs(": ", stream);
        return put_word_changes(stream, before->value, after->value);
    }
    component_put_subject(stream, &(struct component){ .kind = after->kind, .name = "" });
    fprintf(stream, ": `%s` became `%s`", before->value, after->value);
    return true;
}

static bool put_changed(FILE *stream, const struct component *before, const struct component *after, bool hidden)
{
    enum manner manner = manner_of(after->kind);
    bool same_value = strcmp(before->value, after->value) == 0;

    if (!hidden && strcmp(before->name, after->name) != 0) {
        put_renamed(stream, before, after);
        return true;
    }
    if (!hidden && !same_value && manner == MANNER_COMMAND)
        return put_command(stream, before, after);
    component_put_subject(stream, after);
    fputs(": ", stream);
    if (hidden)
        fputs("other content than the event log says", stream);
    else if (same_value || manner == MANNER_CONTENT)
        fputs("other content", stream);
    else if (manner == MANNER_WORDS)
        return put_word_changes(stream, before->value, after->value);
    else
        fprintf(stream, "%s (was %s)", or_nothing(after->value), or_nothing(before->value));
    return true;
}

static bool put_difference(FILE *stream, const struct difference *difference, bool hidden)
{
    const struct component *component = difference->after ? difference->after : difference->before;

    if (difference->change == CHANGE_CHANGED && difference->before && difference->after)
        return put_changed(stream, difference->before, difference->after, hidden);
    fprintf(stream, "%s: ", change_name(difference->change));
    component_put(stream, component);
    if (hidden)
        fputs(" (so the event log says, but something else was measured)", stream);
    return true;
}

char *difference_text(const struct difference *difference, bool hidden)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    bool good;

    if (!stream)
        return NULL;
    good = put_difference(stream, difference, hidden);
    if (fclose(stream) == 0 && good)
        return text;
    free(text);
    return NULL;
}
