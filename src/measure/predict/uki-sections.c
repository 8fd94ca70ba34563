#include "measure/predict/uki-sections.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAGIC_SECTION ".sdmagic"

static const char *const names[UKI_SECTION_COUNT] = {
    [UKI_LINUX] = ".linux",      [UKI_OS_RELEASE] = ".osrel",   [UKI_COMMAND_LINE] = ".cmdline",
    [UKI_INITRD] = ".initrd",    [UKI_SPLASH] = ".splash",      [UKI_DEVICE_TREE] = ".dtb",
    [UKI_SIGNATURE] = ".pcrsig", [UKI_PUBLIC_KEY] = ".pcrpkey",
};

const char *uki_section_name(enum uki_section section)
{
    return names[section];
}

uint64_t uki_section_bytes(const struct pe_section *section)
{
    return section->content.size < section->memory_size ? section->content.size : section->memory_size;
}

static int say(char **ret_reason, struct error *error, const char *path, const char *what, const char *name)
{
    if (!*ret_reason && asprintf(ret_reason, "the unified kernel image \"%s\" %s%s", path, what, name) < 0) {
        *ret_reason = NULL;
        return error_no_memory(error);
    }
    return 0;
}

/* The stub compares the start of a section's name only, and takes the last one that fits. */
static int find(const struct pe_image *image, const char *name, const struct pe_section **ret, char **ret_reason,
                struct error *error)
{
    int r = 0;

    *ret = NULL;
    for (size_t i = 0; !r && i < image->section_count; i++) {
        const struct pe_section *section = &image->sections[i];

        if (strncmp(section->name, name, strlen(name)) != 0)
            continue;
        if (*ret || strcmp(section->name, name) != 0)
            r = say(ret_reason, error, image->path, "has more than one section whose name starts with ", name);
        *ret = section;
    }
    if (*ret && (*ret)->memory_size == 0)
        *ret = NULL;
    else if (*ret && (*ret)->memory_size - uki_section_bytes(*ret) > UKI_MAX_ZEROS)
        r = say(ret_reason, error, image->path, "is much larger in memory than in the file at ", name);
    return r;
}

/* Where sections overlap in memory, what is loaded last is what counts; so far nobody needs that. */
static bool overlap(const struct pe_image *image)
{
    for (size_t i = 0; i < image->section_count; i++) {
        const struct pe_section *a = &image->sections[i];

        if (a->memory_size > 0 && a->address < image->headers_size)
            return true;
        for (size_t j = 0; j < i; j++) {
            const struct pe_section *b = &image->sections[j];

            if (a->memory_size > 0 && b->memory_size > 0 && a->address < (uint64_t)b->address + b->memory_size &&
                b->address < (uint64_t)a->address + a->memory_size)
                return true;
        }
    }
    return false;
}

bool systemd_magic_version(const char *magic, const char *name, char *ret, size_t size)
{
    static const char start[] = "#### LoaderInfo: systemd-", end[] = " ####";
    size_t start_length = strlen(start), name_length = strlen(name);
    const char *version, *stop;

    if (strncmp(magic, start, start_length) != 0 || strncmp(magic + start_length, name, name_length) != 0 ||
        magic[start_length + name_length] != ' ')
        return false;
    version = magic + start_length + name_length + 1;
    stop = strstr(version, end);
    if (!stop || (size_t)(stop - version) >= size)
        return false;
    memcpy(ret, version, (size_t)(stop - version));
    ret[stop - version] = '\0';
    return true;
}

static int read_magic(const struct pe_image *image, struct uki_layout *layout, struct error *error)
{
    const struct pe_section *magic = layout->magic;
    ssize_t n;

    if (!magic || uki_section_bytes(magic) >= sizeof layout->stub)
        return 0;
    do
        n = pread(image->fd, layout->stub, (size_t)uki_section_bytes(magic), (off_t)magic->content.start);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_errno(error, errno, "cannot read \"%s\"", image->path);
    return 0; /* what is missing stays zero, and is no magic; the pass compares */
}

static int check_version(const struct pe_image *image, const struct uki_layout *layout, char **ret_reason,
                         struct error *error)
{
    char version[UKI_STUB_MAX];
    unsigned number;

    if (!systemd_magic_version(layout->stub, "stub", version, sizeof version))
        return say(ret_reason, error, image->path, "has another stub than systemd's", "");
    if (sscanf(version, "%4u", &number) != 1 || number != UKI_STUB_VERSION)
        return say(ret_reason, error, image->path, "has a stub whose measurements are not known: systemd-stub ",
                   version);
    return 0;
}

static int find_all(const struct pe_image *image, struct uki_layout *ret, char **ret_reason, struct error *error)
{
    int r = find(image, MAGIC_SECTION, &ret->magic, ret_reason, error);

    for (size_t i = 0; !r && i < UKI_SECTION_COUNT; i++)
        r = find(image, names[i], &ret->sections[i], ret_reason, error);
    return r;
}

int uki_layout_read(const struct pe_image *image, struct uki_layout *ret, char **ret_reason, struct error *error)
{
    int r;

    *ret = (struct uki_layout){ 0 };
    *ret_reason = NULL;
    r = find_all(image, ret, ret_reason, error);
    r = r ?: read_magic(image, ret, error);
    r = r ?: check_version(image, ret, ret_reason, error);
    if (!r && overlap(image))
        r = say(ret_reason, error, image->path, "has sections that overlap in memory", "");
    if (!r && !ret->sections[UKI_LINUX])
        r = say(ret_reason, error, image->path, "has no section .linux", "");
    else if (!r && uki_section_bytes(ret->sections[UKI_LINUX]) != ret->sections[UKI_LINUX]->memory_size)
        r = say(ret_reason, error, image->path, "has a section .linux that is larger in memory than in the file", "");
    return r;
}
