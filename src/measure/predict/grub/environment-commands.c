#include "measure/predict/grub/environment.h"
#include "measure/predict/grub/options.h"

#include "base/cleanup.h"

#include <string.h>

static const struct option_row rows[] = {
    { "file", 'f', OPTION_VALUE },
    { "skip-sig", 's', OPTION_FLAG },
};

/* load_env [-f FILE] [-s] [VARIABLE …] and save_env alike. */
struct call {
    const char *file;
    bool skips; /* the signature check, and with it the measurement */
    const char **names;
    size_t count;
};

static int read_call(struct run *run, const struct arguments *arguments, struct call *ret, struct error *error)
{
    struct option_reader reader = { run, rows, array_size(rows), arguments, 1, false };
    const char *prefix = run_get(run, "prefix");
    bool more = true;

    *ret = (struct call){ .names = pool_new(&run->pool, arguments->count * sizeof *ret->names) };
    ret->file = pool_print(&run->pool, "%s/grubenv", prefix ? prefix : "");
    if (!ret->names || !ret->file)
        return pool_error(&run->pool, error);
    while (more) {
        const struct option_row *row;
        const char *value;
        int r = option_next(&reader, &row, &value, &more, error);

        if (r)
            return r;
        if (more && !row)
            ret->names[ret->count++] = value;
        else if (more && row->letter == 'f')
            ret->file = value;
        else if (more)
            ret->skips = true;
    }
    return 0;
}

/* Opens it, with or without being measured, and reads it; *ret is NULL when it is not there. */
static int open_block(struct run *run, const struct call *call, bool measured, struct grub_file **ret,
                      struct error *error)
{
    int r;

    if (measured) {
        r = run_open_file(run, call->file, ret, error);
    } else {
        r = run_find_file(run, call->file, ret, error);
        if (!r && (*ret)->kind != GRUB_FILE_REGULAR)
            *ret = NULL;
    }
    if (r || !*ret)
        return r;
    r = run_refuse_inner(run, grub_file_load(&run->files, *ret, error), error);
    return r ?: run_note_file(run, *ret, error);
}

static bool is_wanted(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->count; i++)
        if (strcmp(call->names[i], name) == 0)
            return true;
    return call->count == 0;
}

int command_load_env(struct run *run, const struct arguments *arguments, struct error *error)
{
    struct environment environment;
    struct grub_file *file = NULL;
    struct call call;
    size_t offset = 0;
    char *name, *value;
    int r = read_call(run, arguments, &call, error) ?: open_block(run, &call, !call.skips, &file, error);

    run->status = STATUS_FAILED;
    if (r || !file)
        return r;
    environment = (struct environment){ file->bytes, (size_t)file->size };
    if (!environment_is_good(&environment))
        return 0;
    name = pool_new(&run->pool, environment.size + 1);
    value = pool_new(&run->pool, environment.size + 1);
    if (!name || !value)
        return pool_error(&run->pool, error);
    while (!r && environment_next(&environment, &offset, name, value))
        if (is_wanted(&call, name))
            r = run_set(run, name, value, error);
    run->status = STATUS_GOOD;
    return r;
}

/* The block with the variables as they are now; *ret stays NULL where GRUB would write nothing. */
static int make_block(struct run *run, const struct call *call, const struct grub_file *file, char **ret,
                      struct error *error)
{
    struct environment environment = { pool_copy(&run->pool, file->bytes, (size_t)file->size), (size_t)file->size };

    *ret = NULL;
    if (!environment.bytes)
        return pool_error(&run->pool, error);
    if (!environment_is_good(&environment))
        return 0;
    for (size_t i = 0; i < call->count; i++) {
        const char *value = run_get(run, call->names[i]);

        if (value && !environment_set(&environment, call->names[i], value))
            return 0;
        if (!value)
            environment_remove(&environment, call->names[i]);
    }
    *ret = environment.bytes;
    return 0;
}

int command_save_env(struct run *run, const struct arguments *arguments, struct error *error)
{
    struct grub_file *file = NULL;
    struct call call;
    char *block = NULL;
    int r;

    if (run->silent)
        return run_refuse(run, error, "save_env in a submenu that is not entered");
    r = read_call(run, arguments, &call, error) ?: open_block(run, &call, false, &file, error);
    run->status = STATUS_FAILED;
    if (r || !file || call.count == 0)
        return r;
    r = make_block(run, &call, file, &block, error);
    if (r || !block)
        return r;
    run->status = STATUS_GOOD;
    return grub_file_write(&run->files, file, block, error);
}
