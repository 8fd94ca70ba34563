#include "unlock/actions.h"

#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "protect/unlock/cap-record.h"
#include "protect/unlock/check-root.h"
#include "protect/unlock/unlock-all.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define ROOT_RECORD_NAME "root"
#define ROOT_RECORD "checked\n"

static struct ask_way way_of(const struct arguments *arguments)
{
    return arguments->terminal ? ask_way_terminal() : ask_way_initramfs();
}

static void show(void *context, const char *line)
{
    ask_show(context, "bootseal: %s", line);
}

static int ask_pin(void *context, const char *prompt, struct secret *ret, struct error *error)
{
    return ask_secret(context, prompt, ret, error);
}

static int ask_number(void *context, const char *prompt, struct secret *ret, struct error *error)
{
    return ask_visible(context, prompt, ret, error);
}

static int ask_key(void *context, const char *prompt, struct secret *ret, struct error *error)
{
    return ask_recovery_key(context, prompt, ret, error);
}

/* In the initramfs stderr is the console, where nobody may be looking: a splash screen is before it, or the person sits
 * at another one. */
static bool is_console(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 1);
}

static int tell(const struct arguments *arguments, const struct error *error)
{
    struct ask_way way = way_of(arguments);

    if (!is_console(STDERR_FILENO))
        return log_error(error);
    show(&way, error->text);
    if (error->remedy[0])
        ask_show(&way, "bootseal: what to do: %s", error->remedy);
    return (int)error->kind;
}

int action_all(const struct arguments *arguments)
{
    cleanup(free_ptr) struct report *report = calloc(1, sizeof(*report));
    struct ask_way way = way_of(arguments);
    const struct unlock_all_request request = {
        .pins_path = arguments->pins_path,
        .tcti = arguments->tcti,
        .report_path = arguments->report_path,
        .run = arguments->run_folder,
        .crypttab = arguments->crypttab_path,
        .wait_s = arguments->wait_s,
        .test = arguments->test,
        .ui = { .show = show,
                .detail = arguments->verbose ? show : NULL,
                .ask = ask_pin,
                .ask_number = ask_number,
                .ask_recovery_key = ask_key,
                .context = &way },
    };
    struct error error;
    int r;

    if (!report) {
        error_no_memory(&error);
        return tell(arguments, &error);
    }
    r = unlock_all(&request, report, &error);
    if (arguments->verbose && secret_lock_failed())
        show(&way, "some secrets could not be locked into memory: they might reach a swap");
    return r;
}

int action_cap(const struct arguments *arguments)
{
    const struct cap_request request = {
        .pins_path = arguments->pins_path,
        .tcti = arguments->tcti,
        .run = arguments->run_folder,
        .wait_s = arguments->wait_s,
    };
    struct error error;

    return cap_now(&request, &error) ? tell(arguments, &error) : 0;
}

static int record_root(const char *run_folder, struct error *error)
{
    cleanup(free_ptr) char *path = file_path(run_folder, ROOT_RECORD_NAME);
    int r = path ? file_make_folder(run_folder, 0700, error) : error_no_memory(error);

    return r ? r : file_write(path, ROOT_RECORD, strlen(ROOT_RECORD), 0600, error);
}

static struct check_root_request check_request(const struct arguments *arguments)
{
    return (struct check_root_request){ .pins_path = arguments->pins_path, .crypttab = arguments->crypttab_path };
}

int action_check_root(const struct arguments *arguments)
{
    const struct check_root_request request = check_request(arguments);
    struct error error;
    int r = check_root(&request, arguments->checked, &error);

    if (!r && arguments->run_folder)
        r = record_root(arguments->run_folder, &error);
    return r ? tell(arguments, &error) : 0;
}

int action_check_resume(const struct arguments *arguments)
{
    const struct check_root_request request = check_request(arguments);
    struct error error;

    return check_resume(&request, arguments->checked, &error) ? tell(arguments, &error) : 0;
}

int action_close(const struct arguments *arguments)
{
    const struct close_request request = {
        .which = arguments->which,
        .pins_path = arguments->pins_path,
        .report_path = arguments->report_path,
        .force = arguments->force,
    };
    struct error error;
    unsigned count;
    int r = close_opened(&request, &count, &error);

    if (count > 0)
        log_info("%u %s closed again", count, count == 1 ? "volume was" : "volumes were");
    return r ? tell(arguments, &error) : 0;
}
