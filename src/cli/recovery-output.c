#include "cli/recovery-output.h"

#include "ask/ask.h"
#include "base/blockdev.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/recovery-key-text.h"
#include "cli/qr.h"
#include "cli/stdout.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define GROUPS_ASKED 2
#define TRIES 3

static bool is_typed_back(const struct call *call)
{
    return !call_flag(call, "yes") && !call_flag(call, "output");
}

int recovery_output_check(const struct call *call, struct error *error)
{
    const struct ask_way way = ask_way_terminal();
    const char *path = call_option(call, "output");

    if (call_flag(call, "qr") && (path || call_flag(call, "json")))
        return error_set(error, ERROR_USAGE, "--qr is for the terminal: it goes with neither --output nor --json");
    if (path && file_exists(path))
        return error_set(error, ERROR_USAGE, "--output: \"%s\" is there already and is not written over", path);
    if (is_typed_back(call) && !ask_is_possible(&way)) {
        error_set(error, ERROR_USAGE,
                  "two groups of the new recovery key are to be typed back, and there is no "
                  "terminal");
        return error_remedy(error, "without a terminal, use --yes or --output FILE");
    }
    return 0;
}

int recovery_output_check_place(const struct call *call, const char *uuid, struct error *error)
{
    const char *path = call_option(call, "output");

    return path ? recovery_key_check_place(BLOCKDEV_SYSFS, path, uuid, error) : 0;
}

/* ---- a file ---- */

static int sync_folder(const char *path, struct error *error)
{
    cleanup(free_ptr) char *copy = strdup(path);
    cleanup(close_fd) int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    return fd < 0 || fsync(fd) < 0 ? error_errno(error, errno, "cannot sync the folder of \"%s\"", path) : 0;
}

static int write_file(struct recovery_output *output, const char *path, const struct secret *text, struct error *error)
{
    cleanup(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errno(error, errno, "--output: cannot make \"%s\"", path);
    output->made_file = true;
    /* the umask can only take bits away: say it in full */
    if (fchmod(fd, 0600) < 0 || write(fd, text->bytes, text->size) != (ssize_t)text->size || write(fd, "\n", 1) != 1 ||
        fsync(fd) < 0)
        return error_errno(error, errno, "--output: cannot write \"%s\"", path);
    return sync_folder(path, error);
}

void recovery_output_take_back(const struct recovery_output *output)
{
    struct error ignored;

    if (output->made_file)
        (void)file_remove(call_option(output->call, "output"), &ignored);
}

/* ---- stdout ---- */

static int print_text(const struct recovery_output *output, const struct recovery *recovery, const struct secret *text,
                      struct error *error)
{
    const char *path = call_option(output->call, "output");
    int r;

    if (path) {
        printf("recovery key %s in %s\n", recovery->id, path);
        return fflush(stdout) == 0 ? 0 : stdout_failed(error);
    }
    printf("recovery key %s\n", recovery->id);
    r = stdout_write(text->bytes, text->size, error);
    r = r ?: stdout_write("\n", 1, error);
    if (!r && call_flag(output->call, "qr"))
        r = qr_print(text, error);
    return r;
}

static int add_text_or_null(struct json_object *object, const char *key, const char *text, struct error *error)
{
    if (text)
        return json_add(object, key, json_object_new_string(text), error);
    return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
}

/* The key itself does not go through json-c, which would leave copies behind: a placeholder stands for it. */
static int print_result(const struct recovery_output *output, const struct recovery *recovery,
                        const struct secret *text, struct error *error)
{
    static const char placeholder[] = "(the recovery key)";
    const char *path = call_option(output->call, "output");
    struct json_object *object = json_object_new_object();
    int r = json_add(output->result, "recovery_key", object, error);

    r = r ?: json_add(object, "id", json_object_new_string(recovery->id), error);
    r = r ?: json_add(object, "created", json_object_new_string(recovery->created), error);
    r = r ?: json_add(object, "keyslot", json_object_new_int(recovery->keyslot), error);
    r = r ?: add_text_or_null(object, "key", path ? NULL : placeholder, error);
    r = r ?: add_text_or_null(object, "file", path, error);
    return r ?: stdout_write_json(output->result, path ? NULL : placeholder, text, error);
}

/* ---- typing back ---- */

static int choose_groups(size_t ret[GROUPS_ASKED], struct error *error)
{
    uint8_t bytes[GROUPS_ASKED];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return error_set(error, ERROR_FAILED, "cannot get random bytes");
    ret[0] = bytes[0] % RECOVERY_KEY_GROUPS;
    ret[1] = (ret[0] + 1 + bytes[1] % (RECOVERY_KEY_GROUPS - 1)) % RECOVERY_KEY_GROUPS;
    return 0;
}

static int ask_group(size_t group, const struct secret *text, struct error *error)
{
    const struct ask_way way = ask_way_terminal();
    char prompt[64];

    snprintf(prompt, sizeof(prompt), "Group %zu of the recovery key", group + 1);
    for (int i = 0; i < TRIES; i++) {
        cleanup(secret_free) struct secret answer = { 0 };
        cleanup(secret_free) struct secret wanted = { 0 };
        int r = secret_copy(&wanted, text->bytes + group * (RECOVERY_KEY_GROUP_DIGITS + 1), RECOVERY_KEY_GROUP_DIGITS,
                            error);

        r = r ?: ask_secret(&way, prompt, &answer, error);
        if (r || secret_equal(&answer, &wanted))
            return r;
        log_info("that is not group %zu; the groups are numbered from the left", group + 1);
    }
    return error_set(error, ERROR_WRONG_PIN, "group %zu of the recovery key was not typed back", group + 1);
}

static int type_back(const struct secret *text, struct error *error)
{
    size_t groups[GROUPS_ASKED];
    int r = choose_groups(groups, error);

    if (!r)
        log_info("write the recovery key down now: it is not shown again. Then type two groups of it back");
    for (size_t i = 0; !r && i < GROUPS_ASKED; i++)
        r = ask_group(groups[i], text, error);
    return r;
}

static int take(void *context, const struct recovery *recovery, const struct secret *text, struct error *error)
{
    struct recovery_output *output = context;
    const char *path = call_option(output->call, "output");
    int r = path ? write_file(output, path, text, error) : 0;

    if (!r)
        r = call_flag(output->call, "json") ? print_result(output, recovery, text, error)
                                            : print_text(output, recovery, text, error);
    return r || !is_typed_back(output->call) ? r : type_back(text, error);
}

struct recovery_hand_over recovery_output_hand_over(struct recovery_output *output)
{
    return (struct recovery_hand_over){ take, output };
}
