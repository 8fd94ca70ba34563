#include "cli/stdout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int stdout_failed(struct error *error)
{
    return error_set(error, ERROR_FAILED, "cannot write to standard output");
}

int stdout_write(const void *bytes, size_t size, struct error *error)
{
    const char *next = bytes;

    if (fflush(stdout) != 0)
        return stdout_failed(error);
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, next, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return stdout_failed(error);
        next += n;
        size -= (size_t)n;
    }
    return 0;
}

/* The last one: what comes before it in the document may be anybody's words. */
static const char *find_last(const char *text, const char *part)
{
    const char *found = NULL;

    for (const char *next = strstr(text, part); next; next = strstr(next + 1, part))
        found = next;
    return found;
}

int stdout_write_json(struct json_object *object, const char *placeholder, const struct secret *secret,
                      struct error *error)
{
    const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
    const char *place = text && placeholder ? find_last(text, placeholder) : NULL;
    int r = 0;

    if (!text)
        return error_no_memory(error);
    if (place) {
        r = stdout_write(text, (size_t)(place - text), error);
        r = r ?: stdout_write(secret->bytes, secret->size, error);
        text = place + strlen(placeholder);
    }
    r = r ?: stdout_write(text, strlen(text), error);
    return r ?: stdout_write("\n", 1, error);
}
