/* What the kernel tells about device-mapper devices under /sys/block/dm-N/dm: no ioctl, no device node, no root. */
#include "luks/internal.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <glob.h>
#include <string.h>

#define ATTRIBUTE_MAX 256

const struct system_folders system_folders = { "/sys", "/dev", "/dev/disk/by-uuid" };

char *mapping_attribute(const char *folder, const char *attribute)
{
    cleanup(free_ptr) char *path = NULL;
    struct error ignored;
    char *text = NULL;

    if (asprintf(&path, "%s/dm/%s", folder, attribute) < 0) {
        path = NULL;
        return NULL;
    }
    if (file_read(path, ATTRIBUTE_MAX, &text, NULL, &ignored)) /* gone since it was listed, or no mapping */
        return strdup("");
    text[strcspn(text, "\n")] = '\0';
    return text;
}

int mapping_find(const struct system_folders *folders, const char *name, char **ret, struct error *error)
{
    cleanup(free_ptr) char *pattern = NULL;
    cleanup(globfree) glob_t found = { 0 };
    int code;

    *ret = NULL;
    if (asprintf(&pattern, "%s/block/dm-*", folders->sysfs) < 0) {
        pattern = NULL;
        return error_no_memory(error);
    }
    code = glob(pattern, GLOB_NOSORT, NULL, &found);
    if (code == GLOB_NOMATCH)
        return 0;
    if (code)
        return error_set(error, ERROR_FAILED, "cannot list \"%s\"", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        cleanup(free_ptr) char *its_name = mapping_attribute(found.gl_pathv[i], "name");

        if (!its_name)
            return error_no_memory(error);
        if (strcmp(its_name, name) == 0) {
            *ret = strdup(found.gl_pathv[i]);
            return *ret ? 0 : error_no_memory(error);
        }
    }
    return 0;
}

/* What the dm UUIDs of a volume's mappings start with; at most 45 bytes. */
#define PREFIX_TEXT sizeof("CRYPT-LUKS2-0123456789abcdef0123456789abcdef-")

static void format_prefix(const char *uuid, char ret[PREFIX_TEXT])
{
    char digits[VOLUME_UUID_TEXT - 4] = "";
    size_t length = 0;

    for (const char *p = uuid; *p && length < sizeof(digits) - 1; p++)
        if (*p != '-')
            digits[length++] = *p;
    digits[length] = '\0';
    snprintf(ret, PREFIX_TEXT, "CRYPT-LUKS2-%s-", digits);
}

void volume_mapping_uuid(const char *name, const char *uuid, char ret[MAPPING_UUID_TEXT])
{
    char prefix[PREFIX_TEXT];

    format_prefix(uuid, prefix);
    snprintf(ret, MAPPING_UUID_TEXT, "%s%s", prefix, name); /* libcryptsetup cuts longer ones too */
}

int mapping_state(const struct system_folders *folders, const char *name, const char *uuid, enum mapping_state *ret,
                  struct error *error)
{
    cleanup(free_ptr) char *folder = NULL;
    cleanup(free_ptr) char *its_uuid = NULL;
    char our_uuid[MAPPING_UUID_TEXT];
    int r = mapping_find(folders, name, &folder, error);

    if (r)
        return r;
    if (!folder) {
        *ret = MAPPING_ABSENT;
        return 0;
    }
    its_uuid = mapping_attribute(folder, "uuid");
    if (!its_uuid)
        return error_no_memory(error);
    volume_mapping_uuid(name, uuid, our_uuid);
    *ret = strcmp(its_uuid, our_uuid) == 0 ? MAPPING_OURS : MAPPING_FOREIGN;
    return 0;
}

int volume_mapping_state(const char *name, const char *uuid, enum mapping_state *ret, struct error *error)
{
    return mapping_state(&system_folders, name, uuid, ret, error);
}

void mapping_names_free(struct mapping_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    names->count = 0;
}

static int add_name(struct mapping_names *names, const char *folder, const char *prefix, struct error *error)
{
    cleanup(free_ptr) char *uuid = mapping_attribute(folder, "uuid");

    if (!uuid)
        return error_no_memory(error);
    if (strncmp(uuid, prefix, strlen(prefix)) != 0)
        return 0;
    if (names->count == MAPPINGS_MAX)
        return error_set(error, ERROR_FAILED, "more than %d mappings to close", MAPPINGS_MAX);
    names->names[names->count] = mapping_attribute(folder, "name");
    return names->names[names->count++] ? 0 : error_no_memory(error);
}

int mapping_list(const struct system_folders *folders, const char *uuid, struct mapping_names *ret, struct error *error)
{
    cleanup(free_ptr) char *pattern = NULL;
    cleanup(globfree) glob_t found = { 0 };
    char prefix[PREFIX_TEXT] = "CRYPT-";
    int code, r = 0;

    ret->count = 0;
    if (uuid)
        format_prefix(uuid, prefix);
    if (asprintf(&pattern, "%s/block/dm-*", folders->sysfs) < 0) {
        pattern = NULL;
        return error_no_memory(error);
    }
    code = glob(pattern, GLOB_NOSORT, NULL, &found);
    if (code && code != GLOB_NOMATCH)
        return error_set(error, ERROR_FAILED, "cannot list \"%s\"", pattern);
    for (size_t i = 0; !r && !code && i < found.gl_pathc; i++)
        r = add_name(ret, found.gl_pathv[i], prefix, error);
    return r;
}

uint64_t mapping_size_sectors(const char *folder)
{
    cleanup(free_ptr) char *path = file_path(folder, "size");
    cleanup(free_ptr) char *text = NULL;
    struct error ignored;

    if (!path || file_read(path, ATTRIBUTE_MAX, &text, NULL, &ignored))
        return 0;
    return strtoull(text, NULL, 10);
}

static int add_holder(const char *folder, unsigned depth, struct mapping_names *ret, struct error *error);

static int add_holders(const char *folder, unsigned depth, struct mapping_names *ret, struct error *error)
{
    cleanup(free_ptr) char *pattern = file_path(folder, "holders/dm-*");
    cleanup(globfree) glob_t found = { 0 };
    int code, r = 0;

    if (!pattern)
        return error_no_memory(error);
    code = glob(pattern, GLOB_NOSORT, NULL, &found);
    if (code && code != GLOB_NOMATCH)
        return error_set(error, ERROR_FAILED, "cannot list \"%s\"", pattern);
    for (size_t i = 0; !r && !code && i < found.gl_pathc; i++)
        r = add_holder(found.gl_pathv[i], depth + 1, ret, error);
    return r;
}

/* What lies on it comes before it. One that is reached on two ways is listed twice. */
static int add_holder(const char *folder, unsigned depth, struct mapping_names *ret, struct error *error)
{
    int r = depth < BLOCKDEV_MAX_DEPTH ? add_holders(folder, depth, ret, error)
                                       : error_set(error, ERROR_FAILED, "too many mappings on each other");

    if (r)
        return r;
    if (ret->count == MAPPINGS_MAX)
        return error_set(error, ERROR_FAILED, "more than %d mappings on each other", MAPPINGS_MAX);
    ret->names[ret->count] = mapping_attribute(folder, "name");
    return ret->names[ret->count++] ? 0 : error_no_memory(error);
}

int mapping_holders(const char *folder, struct mapping_names *ret, struct error *error)
{
    ret->count = 0;
    return add_holders(folder, 0, ret, error);
}
