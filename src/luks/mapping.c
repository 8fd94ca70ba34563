/* What the kernel tells about device-mapper devices under /sys/block/dm-N/dm: no ioctl, no device node, no root. */
#include "luks/internal.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <glob.h>
#include <string.h>

#define ATTRIBUTE_MAX 256
#define UUID_TEXT 129 /* DM_UUID_LEN of linux/dm-ioctl.h: libcryptsetup cuts longer ones */

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

/* CRYPT-LUKS2-, the volume's UUID without its dashes, -, the name. */
static void format_uuid(const char *uuid, const char *name, char ret[UUID_TEXT])
{
    char digits[VOLUME_UUID_TEXT];
    size_t length = 0;

    for (const char *p = uuid; *p && length < sizeof(digits) - 1; p++)
        if (*p != '-')
            digits[length++] = *p;
    digits[length] = '\0';
    snprintf(ret, UUID_TEXT, "CRYPT-LUKS2-%s-%s", digits, name);
}

int mapping_state(const struct system_folders *folders, const char *name, const char *uuid, enum mapping_state *ret,
                  struct error *error)
{
    cleanup(free_ptr) char *folder = NULL;
    cleanup(free_ptr) char *its_uuid = NULL;
    char our_uuid[UUID_TEXT];
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
    format_uuid(uuid, name, our_uuid);
    *ret = strcmp(its_uuid, our_uuid) == 0 ? MAPPING_OURS : MAPPING_FOREIGN;
    return 0;
}

int volume_mapping_state(const char *name, const char *uuid, enum mapping_state *ret, struct error *error)
{
    return mapping_state(&system_folders, name, uuid, ret, error);
}
