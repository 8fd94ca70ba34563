#include "protect/update/grub-environment.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <string.h>

#define ENVIRONMENT_BYTES 1024 /* grub-editenv(1) */
#define FIRST_LINE "# GRUB Environment Block\n"

static const char *const names[] = { "saved_entry", "next_entry", "prev_saved_entry", "boot_once", "recordfail" };

static bool is_allowed_name(const char *line, size_t length)
{
    for (size_t i = 0; i < array_size(names); i++)
        if (strlen(names[i]) == length && strncmp(names[i], line, length) == 0)
            return true;
    return false;
}

/* A value without control characters, and without GRUB's own escapes. */
static bool is_plain(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f || text[i] == '\\' || text[i] == '$')
            return false;
    return true;
}

static int check_line(const char *path, const char *line, size_t length, struct error *error)
{
    const char *equals = memchr(line, '=', length);

    if (line[0] == '#')
        return 0;
    if (!equals || !is_allowed_name(line, (size_t)(equals - line)) ||
        !is_plain(equals + 1, length - 1 - (size_t)(equals - line)))
        return error_set(error, ERROR_REFUSED, "\"%s\" says more than which menu entry is chosen: \"%.*s\"", path,
                         length < 60 ? (int)length : 60, line);
    return 0;
}

int grub_environment_check(const char *path, const struct digest *sha256, struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    struct digest now;
    size_t size = 0;
    int r = file_read(path, ENVIRONMENT_BYTES, &text, &size, error);

    r = r ?: digest_compute(&now, &(struct span){ text, size }, 1, error);
    if (r)
        return r;
    if (!digest_equal(&now, sha256))
        return error_set(error, ERROR_REFUSED, "\"%s\" was changed while it was read", path);
    if (size != ENVIRONMENT_BYTES || strlen(text) != size || strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0)
        return error_set(error, ERROR_REFUSED, "\"%s\" is no environment block of GRUB", path);
    for (const char *line = text; !r && *line;) {
        size_t length = strcspn(line, "\n");

        if (length > 0)
            r = check_line(path, line, length, error);
        line += length + (line[length] == '\n');
    }
    return r;
}
