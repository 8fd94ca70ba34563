#include "measure/predict/grub/run.h"

#include <stdlib.h>
#include <string.h>

/* A kernel's own limit is 2047 (COMMAND_LINE_SIZE), with "BOOT_IMAGE=" in front; GRUB cuts what is longer. */
#define COMMAND_LINE_MAX 2000

static int keep(char **slot, const char *text, struct error *error)
{
    *slot = strdup(text);
    return *slot ? 0 : error_no_memory(error);
}

/* One argument as GRUB hands it on: quotes and backslashes are escaped, one with a blank is put into quotes. */
static int put_argument(struct run *run, struct pool_text *text, const char *argument, struct error *error)
{
    bool quoted = strchr(argument, ' ') != NULL;
    int r = quoted ? pool_text_put(&run->pool, text, "\"", 1, error) : 0;

    for (; !r && *argument; argument++) {
        if (strchr("\\'\"", *argument))
            r = pool_text_put(&run->pool, text, "\\", 1, error);
        r = r ?: pool_text_put(&run->pool, text, argument, 1, error);
    }
    return r || !quoted ? r : pool_text_put(&run->pool, text, "\"", 1, error);
}

static int put_arguments(struct run *run, const struct arguments *arguments, size_t from, struct pool_text *text,
                         struct error *error)
{
    int r = pool_text_put(&run->pool, text, "", 0, error);

    for (size_t i = from; !r && i < arguments->count; i++) {
        if (i > from)
            r = pool_text_put(&run->pool, text, " ", 1, error);
        r = r ?: put_argument(run, text, arguments->items[i], error);
    }
    return r;
}

static int measure_command_line(struct run *run, const struct arguments *arguments, struct error *error)
{
    struct pool_text whole = { 0 }, kernels = { 0 };
    int r = put_arguments(run, arguments, 1, &whole, error) ?: put_arguments(run, arguments, 2, &kernels, error);

    if (!r && whole.size > COMMAND_LINE_MAX)
        return run_refuse(run, error, "a command line longer than %d characters", COMMAND_LINE_MAX);
    r = r ?: run_measure_text(run, "kernel_cmdline", whole.bytes, error);
    return r ?: keep(&run->boot->command_line, kernels.bytes, error);
}

int command_linux(struct run *run, const struct arguments *arguments, struct error *error)
{
    struct grub_file *file;
    int r;

    if (run->silent || run->boot->kernel || arguments->count < 2)
        return run_refuse(run, error, "a \"linux\" command without a file, a second one, or one outside of an entry");
    r = run_open_file(run, arguments->items[1], &file, error);
    if (!r && !file)
        return run_refuse(run, error, "there is no kernel \"%.100s\"", arguments->items[1]);
    if (r)
        return r;
    run->boot->kernel_index = run->boot->extends.count - 1;
    run->status = STATUS_GOOD;
    return keep(&run->boot->kernel, file->path, error) ?: measure_command_line(run, arguments, error);
}

static int load_initrd(struct run *run, const char *name, struct error *error)
{
    struct grub_boot *boot = run->boot;
    struct grub_file *file;
    int r;

    if (strncmp(name, "newc:", 5) == 0)
        return run_refuse(run, error, "an initrd that GRUB packs up itself (\"newc:\")");
    r = run_open_file(run, name, &file, error);
    if (!r && !file)
        return run_refuse(run, error, "there is no initrd \"%.100s\"", name);
    r = r ?: keep(&boot->initrds[boot->initrd_count], file->path, error);
    if (!r)
        boot->initrd_count++;
    return r;
}

int command_initrd(struct run *run, const struct arguments *arguments, struct error *error)
{
    int r = 0;

    if (run->silent || !run->boot->kernel || run->boot->initrds || arguments->count < 2)
        return run_refuse(run, error, "an \"initrd\" command without a file, a second one, or one without a kernel");
    run->boot->initrds = calloc(arguments->count, sizeof *run->boot->initrds);
    if (!run->boot->initrds)
        return error_no_memory(error);
    for (size_t i = 1; !r && i < arguments->count; i++)
        r = load_initrd(run, arguments->items[i], error);
    run->status = STATUS_GOOD;
    return r;
}

int command_boot(struct run *run, const struct arguments *arguments, struct error *error)
{
    (void)arguments;
    if (run->silent || !run->boot->kernel)
        return run_refuse(run, error, "\"boot\" without a kernel");
    run->booted = true;
    return 0;
}
