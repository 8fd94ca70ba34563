/* The entries that systemd-boot makes of unified kernel images by itself. */
#include "measure/predict/systemd-boot-config.h"

#include "base/cleanup.h"
#include "measure/pe-image.h"
#include "measure/predict/wide.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNIFIED "/EFI/Linux"

/* Its place in the file is read, not in memory, and the last section counts whose name starts so. */
static int read_section(const struct pe_image *image, const char *name, struct span *ret, char **ret_bytes,
                        struct error *error)
{
    const struct pe_section *found = NULL;
    size_t done = 0;

    *ret = (struct span){ 0 };
    *ret_bytes = NULL;
    for (size_t i = 0; i < image->section_count; i++)
        if (strncmp(image->sections[i].name, name, strlen(name)) == 0)
            found = &image->sections[i];
    if (!found || found->memory_size == 0)
        return 0;
    if (found->memory_size > found->content.size || found->memory_size > SYSTEMD_BOOT_CONFIG_MAX)
        return error_set(error, ERROR_METADATA, "\"%s\" has a section %s of a strange size", image->path, name);
    *ret_bytes = calloc(1, found->memory_size + 1);
    if (!*ret_bytes)
        return error_no_memory(error);
    while (done < found->memory_size) {
        ssize_t n =
            pread(image->fd, *ret_bytes + done, found->memory_size - done, (off_t)(found->content.start + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set(error, ERROR_FAILED, "cannot read \"%s\"", image->path);
        done += (size_t)n;
    }
    *ret = (struct span){ *ret_bytes, done };
    return 0;
}

/* os-release(5): the first of the names that there is, in words for people; the same for version and order. */
static int read_os_release(char *text, struct systemd_boot_entry *entry, struct error *error)
{
    enum { PRETTY_NAME, IMAGE_ID, NAME, ID, IMAGE_VERSION, VERSION, VERSION_ID, BUILD_ID, COUNT };
    static const char *const keys[COUNT] = { "PRETTY_NAME",   "IMAGE_ID", "NAME",       "ID",
                                             "IMAGE_VERSION", "VERSION",  "VERSION_ID", "BUILD_ID" };
    static const struct {
        size_t keys[4], count;
    } choices[] = { { { PRETTY_NAME, IMAGE_ID, NAME, ID }, 4 },
                    { { IMAGE_VERSION, VERSION, VERSION_ID, BUILD_ID }, 4 },
                    { { IMAGE_ID, ID }, 2 } };
    char **const fields[] = { &entry->title, &entry->version, &entry->sort_key };
    const char *values[COUNT] = { 0 };
    char *key, *value;
    int r = 0;

    while (systemd_boot_next_line(&text, "=", &key, &value))
        for (size_t i = 0; i < COUNT; i++)
            if (strcmp(key, keys[i]) == 0)
                values[i] = value[0] ? value : NULL;
    for (size_t i = 0; !r && i < array_size(choices); i++)
        for (size_t j = 0; !r && !*fields[i] && j < choices[i].count; j++)
            if (values[choices[i].keys[j]])
                r = wide_normalize(values[choices[i].keys[j]], strlen(values[choices[i].keys[j]]), fields[i], error);
    return r;
}

static int read_options(struct span section, struct systemd_boot_entry *entry, struct error *error)
{
    cleanup(wide_free) struct wide wide = { 0 };
    int r;

    if (section.size == 0)
        return 0;
    r = wide_from_utf8(section.bytes, section.size, &wide, error);
    if (r)
        return r;
    wide_clean_command_line(&wide);
    return wide_to_utf8(&wide, &entry->options, error);
}

static int read_image(const struct systemd_boot_place *place, const struct boot_file_handle *file,
                      struct systemd_boot_entry *entry, struct error *error)
{
    cleanup(pe_image_free) struct pe_image image = { 0 };
    cleanup(free_ptr) char *os_release = NULL;
    cleanup(free_ptr) char *command_line = NULL;
    struct span section;
    int r = pe_image_parse(file->fd, file->path, 0, file->size, &image, error);

    if (r || image.machine != place->pe_machine)
        return r;
    r = read_section(&image, ".osrel", &section, &os_release, error);
    if (r || !os_release)
        return r;
    r = read_os_release(os_release, entry, error);
    r = r ?: read_section(&image, ".cmdline", &section, &command_line, error);
    return r ?: read_options(section, entry, error);
}

/* What does not even start as a program does is left out. */
static bool is_program(const struct boot_file_handle *file)
{
    char magic[2];

    return pread(file->fd, magic, 2, 0) == 2 && memcmp(magic, "MZ", 2) == 0;
}

int systemd_boot_read_unified(const struct systemd_boot_place *place, const char *name, struct systemd_boot_entry *ret,
                              bool *ret_listed, struct error *error)
{
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
    int r;

    *ret = (struct systemd_boot_entry){ .folder = place->folder, .kind = SYSTEMD_BOOT_UNIFIED };
    *ret_listed = false;
    if (asprintf(&ret->image, UNIFIED "/%s", name) < 0) {
        ret->image = NULL;
        return error_no_memory(error);
    }
    r = boot_file_open(place->folder, ret->image, &file, error);
    if (r || file.fd < 0 || !is_program(&file))
        return r;
    r = read_image(place, &file, ret, error);
    if (r || !ret->title)
        return r;
    *ret_listed = true;
    return systemd_boot_set_id(ret, name, ".efi", error);
}
