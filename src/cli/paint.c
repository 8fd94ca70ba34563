#include "cli/paint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_wanted(void)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !(none && none[0]) && term && strcmp(term, "dumb") != 0;
}

const char *paint(enum paint colour)
{
    static const char *const codes[] = {
        /* ECMA-48, SGR */
        [PAINT_PLAIN] = "\033[0m",
        [PAINT_GOOD] = "\033[32m",
        [PAINT_WARNING] = "\033[33m",
        [PAINT_BAD] = "\033[31m",
    };

    return is_wanted() ? codes[colour] : "";
}
