#include "measure/predict/grub/options.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum search_kind { SEARCH_NONE, SEARCH_FILE, SEARCH_LABEL, SEARCH_UUID };

struct search {
    enum search_kind kind;
    const char *variable; /* NULL: the result is only shown */
    bool has_set;
    const char *set; /* --set's value */
    const char *key;
};

static const struct option_row rows[] = {
    { "file", 'f', OPTION_FLAG },
    { "label", 'l', OPTION_FLAG },
    { "fs-uuid", 'u', OPTION_FLAG },
    { "set", 's', OPTION_MAYBE_VALUE },
    { "no-floppy", 'n', OPTION_FLAG },
    { "hint", 'h', OPTION_VALUE },
    { "hint-ieee1275", '\0', OPTION_VALUE },
    { "hint-bios", '\0', OPTION_VALUE },
    { "hint-baremetal", '\0', OPTION_VALUE },
    { "hint-efi", '\0', OPTION_VALUE },
    { "hint-arc", '\0', OPTION_VALUE },
};

/* Hints say where to look first: they change nothing where only one file system can be meant. */
static void take_option(struct search *search, const struct option_row *row, const char *value)
{
    switch (row->letter) {
    case 'f':
        search->kind = SEARCH_FILE;
        break;
    case 'l':
        search->kind = SEARCH_LABEL;
        break;
    case 'u':
        search->kind = SEARCH_UUID;
        break;
    case 's':
        search->has_set = true;
        search->set = value;
        break;
    default:
        break;
    }
}

/* The command with options. */
static int read_search(struct run *run, const struct arguments *arguments, struct search *ret, struct error *error)
{
    struct option_reader reader = { run, rows, array_size(rows), arguments, 1, false };
    bool more = true;

    while (more) {
        const struct option_row *row;
        const char *value;
        int r = option_next(&reader, &row, &value, &more, error);

        if (r)
            return r;
        if (more && row)
            take_option(ret, row, value);
        else if (more && !ret->key)
            ret->key = value;
        else if (more)
            return run_refuse(run, error, "search with more than one name");
    }
    if (ret->has_set)
        ret->variable = ret->set ? ret->set : "root";
    if (!ret->key && ret->set) {
        ret->key = ret->set;
        ret->variable = "root";
    }
    return 0;
}

/* search.fs_uuid KEY [VARIABLE [HINT]] */
static int read_short_search(struct run *run, const struct arguments *arguments, struct search *ret,
                             struct error *error)
{
    const char *name = arguments->items[0];

    if (arguments->count < 2)
        return run_refuse(run, error, "search without a name");
    ret->kind = strcmp(name, "search.file") == 0       ? SEARCH_FILE
                : strcmp(name, "search.fs_label") == 0 ? SEARCH_LABEL
                                                       : SEARCH_UUID;
    ret->key = arguments->items[1];
    ret->variable = arguments->count > 2 ? arguments->items[2] : NULL;
    return 0;
}

/* "hd0,gpt2" */
static char *device_name(struct run *run, const struct boot_place *place)
{
    return pool_print(&run->pool, "hd%u%s%s", place->disk, place->partition[0] ? "," : "", place->partition);
}

static int matches(struct run *run, const struct search *search, const struct boot_place *place, bool *ret,
                   struct error *error)
{
    struct grub_file *file;
    int r;

    *ret = false;
    if (search->kind == SEARCH_UUID)
        *ret = place->uuid[0] && strcasecmp(place->uuid, search->key) == 0;
    if (search->kind == SEARCH_LABEL)
        *ret = place->label[0] && strcmp(place->label, search->key) == 0;
    if (search->kind != SEARCH_FILE)
        return 0;
    r = grub_files_find(&run->files, place, search->key, &file, error);
    *ret = !r && file->kind == GRUB_FILE_REGULAR;
    return run_refuse_inner(run, r, error);
}

/* The one place that is meant. One that is not found is on a disk that is not known here, or nowhere: then GRUB would
 * also try its modules. */
static int find_place(struct run *run, const struct search *search, const struct boot_place **ret, struct error *error)
{
    const struct boot_places *places = run->request->places;

    *ret = NULL;
    for (size_t i = 0; i < places->count; i++) {
        bool found;
        int r = matches(run, search, &places->items[i], &found, error);

        if (r)
            return r;
        if (found && *ret)
            return run_refuse(run, error, "more than one file system fits \"%.100s\"", search->key);
        if (found)
            *ret = &places->items[i];
    }
    return *ret ? 0 : run_refuse(run, error, "no known file system fits \"%.100s\"", search->key);
}

int command_search(struct run *run, const struct arguments *arguments, struct error *error)
{
    struct search search = { 0 };
    const struct boot_place *place = NULL;
    char *device;
    int r = strcmp(arguments->items[0], "search") == 0 ? read_search(run, arguments, &search, error)
                                                       : read_short_search(run, arguments, &search, error);

    if (!r && (search.kind == SEARCH_NONE || !search.key))
        return run_refuse(run, error, "search with these arguments");
    r = r ?: find_place(run, &search, &place, error);
    if (r)
        return r;
    device = device_name(run, place);
    if (!device)
        return pool_error(&run->pool, error);
    if (search.kind == SEARCH_FILE) { /* which opens it */
        char *name = pool_print(&run->pool, "(%s)%s", device, search.key);
        struct grub_file *file;

        r = name ? run_open_file(run, name, &file, error) : pool_error(&run->pool, error);
    }
    run->status = STATUS_GOOD;
    return r || !search.variable ? r : run_set(run, search.variable, device, error);
}
