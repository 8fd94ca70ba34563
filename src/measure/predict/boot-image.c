#include "measure/predict/boot-image.h"

#include "base/cleanup.h"
#include "measure/predict/image-file.h"
#include "measure/predict/kernel-stub.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void stretches_free(struct stretches *stretches)
{
    free(stretches->items);
    *stretches = (struct stretches){ 0 };
}

int stretches_add(struct stretches *stretches, struct stretch stretch, struct error *error)
{
    struct stretch *items = reallocarray(stretches->items, stretches->count + 1, sizeof *items);

    if (!items)
        return error_no_memory(error);
    stretches->items = items;
    items[stretches->count++] = stretch;
    return 0;
}

int stretches_add_image(struct stretches *stretches, const struct pe_image *image, struct hash_state *state,
                        struct error *error)
{
    struct pe_range ranges[PE_MAX_RANGES];
    size_t count = pe_image_ranges(image, ranges);
    int r = stretches_add(stretches, (struct stretch){ image->base, image->headers_read, .expected = image->headers },
                          error);

    for (size_t i = 0; !r && i < count; i++)
        r = stretches_add(stretches, (struct stretch){ ranges[i].start, ranges[i].size, .state = state }, error);
    return r;
}

int add_hash(struct boot_prediction *prediction, unsigned pcr, struct hash_state *state, struct error *error,
             const char *format, ...)
{
    cleanup(free_ptr) char *text = NULL;
    uint8_t digest[HASH_MAX_BYTES];
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    if (!text)
        return error_no_memory(error);
    return hash_finish(state, digest, error) ?: extend_list_add(&prediction->extends, pcr, digest, text, error);
}

/* The initrds that the loader hands over go one after the other into *ret; it stays NULL when they have no bytes. */
static int hash_initrds(const struct image_start *start, struct boot_prediction *prediction, struct hash_state **ret,
                        struct error *error)
{
    cleanup(hash_state_free) struct hash_state *state = NULL;
    uint64_t total = 0;
    int r = hash_start(start->bank, &state, error);

    for (size_t i = 0; !r && i < start->initrd_count; i++) {
        cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
        struct digest sha256;

        r = boot_file_open(start->folder, start->initrds[i], &file, error);
        if (!r && file.fd < 0)
            return boot_prediction_give_up(prediction, BOOT_ALL_PCRS, error, "the initrd \"%s%s\" is not there",
                                           start->folder, start->initrds[i]);
        r = r
                ?: one_pass_read(file.fd, file.path, file.size, &(struct stretch){ 0, file.size, .state = state }, 1,
                                 &sha256, error);
        r = r ?: extend_list_add_source(&prediction->extends, file.path, &sha256, error);
        total += file.size;
    }
    if (!r && total > 0)
        *ret = take_ptr(state);
    return r;
}

static int kernel_predict(const struct image_start *start, const struct boot_file_handle *file,
                          const struct pe_image *image, struct boot_prediction *prediction, struct error *error)
{
    cleanup(hash_state_free) struct hash_state *state = NULL;
    cleanup(hash_state_free) struct hash_state *initrd = NULL;
    cleanup(stretches_free) struct stretches stretches = { 0 };
    struct digest sha256;
    int r = hash_start(start->bank, &state, error);

    r = r ?: stretches_add_image(&stretches, image, state, error);
    r = r ?: one_pass_read(file->fd, file->path, file->size, stretches.items, stretches.count, &sha256, error);
    r = r ?: extend_list_add_source(&prediction->extends, file->path, &sha256, error);
    r = r ?: add_hash(prediction, PCR_BOOT_PROGRAM, state, error, "the kernel %s", start->path);
    r = r ?: hash_initrds(start, prediction, &initrd, error);
    return r ?: kernel_stub_predict(image, start->options, initrd, prediction, error);
}

static int predict_image(const struct image_start *start, const struct boot_file_handle *file,
                         struct boot_prediction *prediction, struct error *error)
{
    cleanup(pe_image_free) struct pe_image image = { 0 };
    int r = pe_image_parse(file->fd, file->path, 0, file->size, &image, error);

    if (r)
        return r;
    if (pe_image_has_gaps(&image))
        return boot_prediction_give_up(prediction, BOOT_ALL_PCRS, error,
                                       "\"%s\" has gaps between its sections, which is not followed", file->path);
    if (start->secure_boot && start->through_shim)
        r = boot_prediction_give_up(prediction, 1u << PCR_BOOT_PROGRAM, error,
                                    "what shim measures of \"%s\" for another boot loader is not known", file->path);
    if (r)
        return r;
    if (image_is_unified(&image))
        return uki_predict(start, file, &image, prediction, error);
    if (kernel_is_x86(&image))
        return kernel_predict(start, file, &image, prediction, error);
    return boot_prediction_give_up(prediction, BOOT_ALL_PCRS, error,
                                   "\"%s\" is neither a unified kernel image nor a Linux kernel of x86; what it "
                                   "measures is not known",
                                   file->path);
}

int boot_image_predict(const struct image_start *start, struct boot_prediction *prediction, struct error *error)
{
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
    int r = boot_file_open(start->folder, start->path, &file, error);

    if (!r && file.fd < 0)
        r = boot_prediction_give_up(prediction, BOOT_ALL_PCRS, error, "\"%s%s\" is not there", start->folder,
                                    start->path);
    else if (!r)
        r = predict_image(start, &file, prediction, error);
    if (r == ERROR_METADATA) /* what the disk has is no good, and will not start */
        r = boot_prediction_give_up(prediction, BOOT_ALL_PCRS, error, "%s", error->text);
    return r;
}
