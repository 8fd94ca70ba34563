#include "measure/predict/uki-extras.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "measure/predict/image-file.h"
#include "measure/predict/initrd-archive.h"

#include <stdio.h>
#include <string.h>

struct kind {
    const char *suffix;
    bool global; /* from the file system's own folder of credentials, not from beside the image */
    const char *target;
    uint32_t folder_mode, file_mode;
    unsigned pcr;
    const char *words;
};

#define GLOBAL_FOLDER "/loader/credentials"

static const struct kind kinds[] = {
    { ".cred", false, ".extra/credentials", 0500, 0400, PCR_COMMAND_LINE, "credentials" },
    { ".cred", true, ".extra/global_credentials", 0500, 0400, PCR_COMMAND_LINE, "global credentials" },
    { ".raw", false, ".extra/sysext", 0555, 0444, PCR_EXTENSIONS, "system extensions" },
};

/* "/EFI/Linux/<name at start>.extra.d" */
static char *beside(const struct image_start *start)
{
    const char *slash = strrchr(start->path, '/');
    char *path = NULL;
    int n;

    if (start->name_at_start)
        n = asprintf(&path, "%.*s/%s.extra.d", slash ? (int)(slash - start->path) : 0, start->path,
                     start->name_at_start);
    else
        n = asprintf(&path, "%s.extra.d", start->path);
    return n < 0 ? NULL : path;
}

static bool is_ascii(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name > 0x7f)
            return false;
    return true;
}

/* Before an archive is put behind the initrd. */
static int begin(struct combined_initrd *initrd, struct error *error)
{
    return initrd->archives++ > 0 ? 0 : hash_add(initrd->state, "\0\0\0", (size_t)(-initrd->size & 3), error);
}

struct packing {
    const struct image_start *start;
    const struct kind *kind;
    const char *folder;
    struct initrd_archive archive;
    struct boot_prediction *prediction;
};

static int add_file(struct packing *packing, const char *name, struct error *error)
{
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
    cleanup(free_ptr) char *path = file_path(packing->folder, name);
    struct hash_state *const *states = packing->archive.sinks.states;
    struct digest sha256;
    int r = path ? boot_file_open(packing->start->folder, path, &file, error) : error_no_memory(error);

    if (!r && file.fd < 0)
        return error_set(error, ERROR_FAILED, "\"%s%s\" is gone all at once; run this again", packing->start->folder,
                         path);
    r = r ?: initrd_archive_file(&packing->archive, name, (uint32_t)file.size, error);
    if (!r) {
        const struct stretch stretches[] = { { 0, file.size, .state = states[0] },
                                             { 0, file.size, .state = states[1] } };

        r = one_pass_read(file.fd, file.path, file.size, stretches, 2, &sha256, error);
    }
    r = r ?: initrd_archive_pad(&packing->archive, file.size, error);
    return r ?: extend_list_add_source(&packing->prediction->extends, file.path, &sha256, error);
}

/* The archive with its folders, files and end; *ret_count is how many files. Without any it stays empty. */
static int pack(struct packing *packing, struct combined_initrd *initrd, size_t *ret_count, struct error *error)
{
    cleanup(boot_names_free) struct boot_names names = { 0 };
    int r = boot_folder_names(packing->start->folder, packing->folder, packing->kind->suffix, &names, error);

    *ret_count = 0;
    for (size_t i = 0; !r && i < names.count; i++) {
        if (!is_ascii(names.items[i])) /* the stub leaves these out */
            continue;
        if ((*ret_count)++ == 0)
            r = begin(initrd, error) ?: initrd_archive_start(&packing->archive, packing->kind->folder_mode, error);
        r = r ?: add_file(packing, names.items[i], error);
    }
    return r || *ret_count == 0 ? r : initrd_archive_end(&packing->archive, error);
}

static int predict_kind(struct packing *packing, struct combined_initrd *initrd, struct error *error)
{
    cleanup(hash_state_free) struct hash_state *state = NULL;
    size_t count;
    int r = hash_start(packing->start->bank, &state, error);

    packing->archive = (struct initrd_archive){ .sinks = { { state, initrd->state } },
                                                .folder = packing->kind->target,
                                                .file_mode = packing->kind->file_mode };
    r = r ?: pack(packing, initrd, &count, error);
    if (r || count == 0)
        return r;
    return add_hash(packing->prediction, packing->kind->pcr, state, error, "%zu %s in %s", count, packing->kind->words,
                    packing->folder);
}

int uki_extras_predict(const struct image_start *start, struct combined_initrd *initrd,
                       struct boot_prediction *prediction, struct error *error)
{
    cleanup(free_ptr) char *folder = beside(start);
    struct packing packing = { .start = start, .prediction = prediction };
    int r = folder ? 0 : error_no_memory(error);

    for (size_t i = 0; !r && i < array_size(kinds); i++) {
        packing.kind = &kinds[i];
        packing.folder = kinds[i].global ? GLOBAL_FOLDER : folder;
        r = predict_kind(&packing, initrd, error);
    }
    return r;
}

int uki_section_archive(const char *name, const uint8_t *bytes, size_t size, struct combined_initrd *initrd,
                        struct error *error)
{
    struct initrd_archive archive = { .sinks = { { initrd->state } }, .folder = ".extra", .file_mode = 0444 };
    int r = begin(initrd, error) ?: initrd_archive_start(&archive, 0555, error);

    r = r ?: initrd_archive_file(&archive, name, (uint32_t)size, error);
    r = r ?: hash_sinks_add(&archive.sinks, bytes, size, error);
    r = r ?: initrd_archive_pad(&archive, size, error);
    return r ?: initrd_archive_end(&archive, error);
}
