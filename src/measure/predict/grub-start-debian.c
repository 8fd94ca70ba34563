#include "measure/predict/grub-start.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define FOLDER "/EFI/debian" /* the prefix in Debian's image */

static int add_command(struct grub_start *start, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int add_command(struct grub_start *start, struct error *error, const char *format, ...)
{
    static const char event[] = "grub_cmd: ";
    cleanup(free_ptr) char *text = NULL;
    cleanup(free_ptr) char *whole = NULL;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        text = NULL;
    else if (asprintf(&whole, "%s%s", event, text) < 0)
        whole = NULL;
    if (!whole)
        return error_no_memory(error);
    return extend_list_add_data(&start->commands, 8, text, (size_t)length, whole, error);
}

static bool exists(const struct boot_place *place, const char *name)
{
    cleanup(free_ptr) char *path = NULL;
    struct stat status;

    if (asprintf(&path, "%s%s", place->folder, name) < 0) {
        path = NULL;
        return false;
    }
    return lstat(path, &status) == 0;
}

static int set_variables(const struct boot_place *place, const char *folder, struct grub_start *ret,
                         struct error *error)
{
    if (asprintf(&ret->root, "hd%u%s%s", place->disk, place->partition[0] ? "," : "", place->partition) < 0)
        ret->root = NULL;
    else if (asprintf(&ret->prefix, "(%s)" FOLDER, ret->root) < 0)
        ret->prefix = NULL;
    else if (asprintf(&ret->cmdpath, "(%s)%s", ret->root, folder) < 0)
        ret->cmdpath = NULL;
    return ret->root && ret->prefix && ret->cmdpath ? 0 : error_no_memory(error);
}

/* The first of these that is there, else the one beside GRUB's program. */
static int find_config(const struct boot_place *place, struct grub_start *ret, struct error *error)
{
    static const char *const names[] = { FOLDER "/x86_64-efi/grub.cfg", FOLDER "/grub.cfg" };
    bool found = false;
    int r = 0;

    for (size_t i = 0; !r && !found && i < array_size(names); i++) {
        found = exists(place, names[i]);
        r = add_command(ret, error, "[ -e (%s)%s ]", ret->root, names[i]);
        if (!r && found && asprintf(&ret->config, "(%s)%s", ret->root, names[i]) < 0)
            ret->config = NULL;
    }
    if (!r && !found && asprintf(&ret->config, "%s/grub.cfg", ret->cmdpath) < 0)
        ret->config = NULL;
    if (!r && !ret->config)
        return error_no_memory(error);
    return r ?: add_command(ret, error, "source %s", ret->config);
}

int grub_start_debian(enum hash_algorithm bank, const struct boot_place *place, const char *folder,
                      struct grub_start *ret, struct error *error)
{
    int r;

    *ret = (struct grub_start){ 0 };
    if (!exists(place, FOLDER))
        return error_set(error, ERROR_FAILED, "GRUB does not find \"%s" FOLDER "\" and searches all disks",
                         place->folder);
    r = extend_list_init(&ret->commands, bank, error);
    r = r ?: set_variables(place, folder, ret, error);
    r = r ?: add_command(ret, error, "[ -z %s -o ! -e %s ]", ret->prefix, ret->prefix);
    r = r ?: find_config(place, ret, error);
    if (r)
        grub_start_free(ret);
    return r;
}
