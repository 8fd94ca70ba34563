/* From what a person calls a device to the path of the device that holds the LUKS2 header. */
#include "luks/internal.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>

/* udev's links are the only list of UUIDs; the header that is opened then tells whether it is the one. */
static int resolve_uuid(const struct system_folders *folders, const char *uuid, char **ret, struct error *error)
{
    char lower[VOLUME_UUID_TEXT] = "";
    cleanup(free_ptr) char *link = NULL;

    if (!uuid_is_valid(uuid))
        return error_set(error, ERROR_USAGE, "\"UUID=%s\" holds no UUID", uuid);
    for (size_t i = 0; uuid[i]; i++)
        lower[i] = (char)tolower((unsigned char)uuid[i]);
    link = file_path(folders->by_uuid, lower);
    if (!link)
        return error_no_memory(error);
    *ret = realpath(link, NULL);
    if (*ret)
        return 0;
    error_errno(error, errno, "no device with the UUID %s", lower);
    return error_remedy(error, "see which UUIDs there are: lsblk -f");
}

/* The device below a mapping, from sysfs: "/dev/sda3" from .../slaves/sda3, where '!' stands for '/'. */
static int device_below(const struct system_folders *folders, const char *folder, char **ret, struct error *error)
{
    cleanup(free_ptr) char *pattern = file_path(folder, "slaves/*");
    cleanup(globfree) glob_t found = { 0 };
    char *name;

    if (!pattern)
        return error_no_memory(error);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) || found.gl_pathc != 1)
        return error_set(error, ERROR_NOT_LUKS2, "cannot tell which device is below \"%s\"", folder);
    name = basename(found.gl_pathv[0]);
    for (char *p = name; *p; p++)
        if (*p == '!')
            *p = '/';
    *ret = file_path(folders->dev, name);
    return *ret ? 0 : error_no_memory(error);
}

/* The sysfs folder of the mapping that a mapper name, or a path to its node, stands for; NULL: it is none. */
static int find_folder(const struct system_folders *folders, const char *device, char **ret, struct error *error)
{
    cleanup(free_ptr) char *mapper = file_path(folders->dev, "mapper/");
    cleanup(free_ptr) char *node = file_path(folders->dev, "dm-");
    cleanup(free_ptr) char *real = realpath(device, NULL);

    *ret = NULL;
    if (!mapper || !node)
        return error_no_memory(error);
    if (real && strncmp(real, node, strlen(node)) == 0) {
        if (asprintf(ret, "%s/block/dm-%s", folders->sysfs, real + strlen(node)) < 0)
            *ret = NULL;
        return *ret ? 0 : error_no_memory(error);
    }
    if (strncmp(device, mapper, strlen(mapper)) == 0)
        return mapping_find(folders, device + strlen(mapper), ret, error);
    if (!real && !strchr(device, '/'))
        return mapping_find(folders, device, ret, error);
    return 0;
}

int resolve_device(const struct system_folders *folders, const char *device, char **ret, struct error *error)
{
    cleanup(free_ptr) char *folder = NULL;
    cleanup(free_ptr) char *uuid = NULL;
    int r;

    if (strncmp(device, "UUID=", 5) == 0)
        return resolve_uuid(folders, device + 5, ret, error);
    r = find_folder(folders, device, &folder, error);
    if (r)
        return r;
    uuid = folder ? mapping_attribute(folder, "uuid") : NULL;
    if (folder && !uuid)
        return error_no_memory(error);
    /* a mapping of another kind (a logical volume) may itself hold the header */
    if (uuid && strncmp(uuid, "CRYPT-LUKS", 10) == 0)
        return device_below(folders, folder, ret, error);
    *ret = strdup(device);
    return *ret ? 0 : error_no_memory(error);
}
