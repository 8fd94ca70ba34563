#include "ask/plymouth.h"

#include "base/cleanup.h"
#include "base/process.h"

const char *plymouth_find(void)
{
    static const char *const places[] = { "/bin/plymouth", "/usr/bin/plymouth" };

    for (size_t i = 0; i < array_size(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

static int run(const char *const *argv)
{
    const struct process process = { .argv = argv };
    struct error error;

    return process_run(&process, &error);
}

void plymouth_show(const char *program, const char *text)
{
    cleanup(free_ptr) char *option = NULL;

    if (asprintf(&option, "--text=%s", text) < 0) {
        option = NULL;
        return;
    }
    if (run((const char *const[]){ program, "--ping", NULL }) == 0)
        (void)run((const char *const[]){ program, "display-message", option, NULL });
}
