#include "ask/consoles.h"

#include "ask/terminal.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <string.h>

#define ACTIVE_MAX_BYTES 256

void consoles_show_others(const char *active, const char *dev, const char *text)
{
    cleanup(free_ptr) char *names = NULL;
    struct error ignored;
    char *rest, *name, *next;

    if (!file_exists(active) || file_read(active, ACTIVE_MAX_BYTES, &names, NULL, &ignored))
        return;
    rest = names;
    name = strtok_r(rest, " \n", &rest);
    for (int i = 0; name && i < CONSOLES_MAX; i++, name = next) {
        cleanup(free_ptr) char *path = NULL;

        next = strtok_r(NULL, " \n", &rest);
        if (next && !strchr(name, '/') && (path = file_path(dev, name)))
            terminal_show(path, text);
    }
}
