#include "measure/predict/grub/environment.h"

#include <string.h>

#define FIRST_LINE "# GRUB Environment Block\n"
#define FIRST_LINE_BYTES (sizeof FIRST_LINE - 1)

bool environment_is_good(const struct environment *environment)
{
    return environment->size > FIRST_LINE_BYTES && memcmp(environment->bytes, FIRST_LINE, FIRST_LINE_BYTES) == 0;
}

/* Where the line ends: at the newline, over those that a backslash stands before. May be behind the end. */
static size_t line_end(const struct environment *environment, size_t at)
{
    while (at < environment->size && environment->bytes[at] != '\n')
        at += environment->bytes[at] == '\\' ? 2 : 1;
    return at;
}

static void copy_value(const struct environment *environment, size_t from, size_t to, char *value)
{
    while (from < to) {
        from += environment->bytes[from] == '\\';
        *value++ = environment->bytes[from++];
    }
    *value = '\0';
}

bool environment_next(const struct environment *environment, size_t *offset, char *name, char *value)
{
    size_t at = *offset ? *offset : FIRST_LINE_BYTES;

    for (; at < environment->size; at = line_end(environment, at) + 1) {
        const char *start = environment->bytes + at, *equals;
        size_t end;

        if (*start == '#')
            continue;
        equals = memchr(start, '=', environment->size - at);
        if (!equals)
            return false;
        end = line_end(environment, (size_t)(equals + 1 - environment->bytes));
        if (end >= environment->size)
            return false;
        memcpy(name, start, (size_t)(equals - start));
        name[equals - start] = '\0';
        copy_value(environment, (size_t)(equals + 1 - environment->bytes), end, value);
        *offset = end + 1;
        return true;
    }
    return false;
}

/* The offset of the line that starts with "NAME=", below `limit`; `limit` when there is none. */
static size_t find_line(const struct environment *environment, const char *name, size_t limit)
{
    size_t length = strlen(name);

    for (size_t at = FIRST_LINE_BYTES; at + length + 1 < limit; at = line_end(environment, at) + 1)
        if (memcmp(environment->bytes + at, name, length) == 0 && environment->bytes[at + length] == '=')
            return at;
    return limit;
}

static size_t escaped_length(const char *value)
{
    size_t length = 0;

    for (; *value; value++)
        length += *value == '\\' || *value == '\n' ? 2 : 1;
    return length;
}

static void put_value(char *to, const char *value)
{
    for (; *value; value++) {
        if (*value == '\\' || *value == '\n')
            *to++ = '\\';
        *to++ = *value;
    }
    *to = '\n';
}

/* Gives the value at `at`, which ends at `end`, another length; `free_from` is where the filling starts. */
static bool resize_value(struct environment *environment, size_t at, size_t end, size_t length, size_t free_from)
{
    char *bytes = environment->bytes;
    size_t now = end - at;

    if (end >= environment->size)
        return false;
    if (length > now && environment->size - free_from < length - now)
        return false;
    if (length < now) {
        memmove(bytes + at + length, bytes + end, environment->size - end);
        memset(bytes + free_from - (now - length), '#', now - length);
    } else {
        memmove(bytes + at + length, bytes + end, environment->size - (at + length));
    }
    return true;
}

bool environment_set(struct environment *environment, const char *name, const char *value)
{
    size_t free_from = environment->size, name_length = strlen(name), length = escaped_length(value), at;

    while (free_from > 0 && environment->bytes[free_from - 1] == '#')
        free_from--;
    if (free_from < FIRST_LINE_BYTES || environment->bytes[free_from - 1] != '\n')
        return false;
    at = find_line(environment, name, free_from);
    if (at < free_from) {
        at += name_length + 1;
        if (!resize_value(environment, at, line_end(environment, at), length, free_from))
            return false;
        put_value(environment->bytes + at, value);
        return true;
    }
    if (environment->size - free_from < name_length + 1 + length + 1)
        return false;
    memcpy(environment->bytes + free_from, name, name_length);
    environment->bytes[free_from + name_length] = '=';
    put_value(environment->bytes + free_from + name_length + 1, value);
    return true;
}

void environment_remove(struct environment *environment, const char *name)
{
    size_t at = find_line(environment, name, environment->size), end = line_end(environment, at) + 1;

    if (at >= environment->size || end > environment->size)
        return;
    memmove(environment->bytes + at, environment->bytes + end, environment->size - end);
    memset(environment->bytes + environment->size - (end - at), '#', end - at);
}
