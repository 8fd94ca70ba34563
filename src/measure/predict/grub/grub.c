#include "measure/predict/grub/grub.h"

#include "base/cleanup.h"
#include "measure/predict/grub/run.h"

#include <stdlib.h>
#include <string.h>

void grub_boot_free(struct grub_boot *boot)
{
    extend_list_free(&boot->extends);
    for (size_t i = 0; i < boot->menu_count; i++) {
        free(boot->menu[i].path);
        free(boot->menu[i].title);
    }
    for (size_t i = 0; i < boot->initrd_count; i++)
        free(boot->initrds[i]);
    for (size_t i = 0; i < boot->written_count; i++) {
        free(boot->written[i].path);
        free(boot->written[i].bytes);
    }
    free(boot->menu);
    free(boot->initrds);
    free(boot->written);
    free(boot->kernel);
    free(boot->command_line);
    *boot = (struct grub_boot){ 0 };
}

static void free_run(struct run *run)
{
    pool_free(&run->pool);
}

static int hand_out_file(const struct grub_file *file, struct grub_written_file *ret, struct error *error)
{
    *ret = (struct grub_written_file){ .path = strdup(file->path), .bytes = malloc((size_t)file->size + 1) };
    if (!ret->path || !ret->bytes)
        return error_no_memory(error);
    memcpy(ret->bytes, file->bytes, (size_t)file->size);
    ret->size = (size_t)file->size;
    return 0;
}

static int hand_out_files(const struct run *run, struct error *error)
{
    size_t count = 0;
    int r = 0;

    for (const struct grub_file *file = run->files.items; file; file = file->next)
        count += file->written;
    if (count == 0)
        return 0;
    run->boot->written = calloc(count, sizeof *run->boot->written);
    if (!run->boot->written)
        return error_no_memory(error);
    for (const struct grub_file *file = run->files.items; !r && file; file = file->next)
        if (file->written)
            r = hand_out_file(file, &run->boot->written[run->boot->written_count++], error);
    return r;
}

static int predict(struct run *run, struct error *error)
{
    int r = run_open_context(run, error) ?: run_set_first(run, error) ?: run_file(run, run->request->config, error);

    if (!r && run->boot->extends.count == 0)
        return error_set(error, ERROR_FAILED, "GRUB's configuration \"%s\" is not there", run->request->config);
    if (!r && !run->booted && run->context->count > 0)
        r = run_menu(run, error);
    if (!r && !run->booted)
        return run_refuse(run, error, "the configuration starts no kernel");
    if (!r && run->choice)
        return error_set(error, ERROR_USAGE, "GRUB shows no menu with an entry \"%.200s\"", run->choice);
    return r ?: hand_out_files(run, error);
}

int grub_predict(const struct grub_request *request, struct grub_boot *ret, struct error *error)
{
    cleanup(free_run) struct run run = { .request = request, .boot = ret, .choice = request->choice };
    int r;

    *ret = (struct grub_boot){ 0 };
    run.files = (struct grub_files){ .request = request, .pool = &run.pool };
    if (!request->config || !request->prefix || !request->cmdpath || !request->root || !request->places)
        return error_set(error, ERROR_USAGE, "GRUB's configuration, prefix, cmdpath, root and places must be given");
    r = extend_list_init(&ret->extends, request->bank, error) ?: predict(&run, error);
    if (r)
        grub_boot_free(ret);
    return r;
}
