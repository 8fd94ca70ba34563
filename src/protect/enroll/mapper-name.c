#include "protect/enroll/mapper-name.h"
#include "protect/unlock/crypttab.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define CRYPTTAB "/etc/crypttab"
#define SYSFS_LINE_MAX 512

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

/* One line of sysfs; false when there is none. */
static bool read_line(const char *folder, const char *entry, const char *file, char ret[SYSFS_LINE_MAX])
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(free_ptr) char *text = NULL;
    struct error ignored;

    if (asprintf(&path, "%s/%s/dm/%s", folder, entry, file) < 0) {
        path = NULL;
        return false;
    }
    if (file_read(path, SYSFS_LINE_MAX - 1, &text, NULL, &ignored))
        return false;
    text[strcspn(text, "\n")] = '\0';
    strcpy(ret, text);
    return true;
}

/* The dm-crypt mapping that holds the device now. */
static bool find_active(const char *device, char *ret, size_t size)
{
    cleanup(free_ptr) char *holders = NULL;
    cleanup(close_folder) DIR *folder = NULL;
    char uuid[SYSFS_LINE_MAX], name[SYSFS_LINE_MAX];
    struct dirent *entry;
    struct stat status;

    if (stat(device, &status) < 0 || !S_ISBLK(status.st_mode))
        return false;
    if (asprintf(&holders, "/sys/dev/block/%u:%u/holders", major(status.st_rdev), minor(status.st_rdev)) < 0) {
        holders = NULL;
        return false;
    }
    folder = opendir(holders);
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.' && read_line(holders, entry->d_name, "uuid", uuid) &&
            strncmp(uuid, "CRYPT-LUKS2-", 12) == 0 && read_line(holders, entry->d_name, "name", name) &&
            strlen(name) < size) {
            strcpy(ret, name);
            return true;
        }
    return false;
}

static bool is_mapper_name(const char *name, size_t size)
{
    return name[0] && strlen(name) < size && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int mapper_name_find(const char *device, const char *uuid, const char *wanted, char *ret, size_t size,
                     struct error *error)
{
    if (wanted) {
        if (!is_mapper_name(wanted, size))
            return error_set(error, ERROR_USAGE, "\"%s\" cannot be a /dev/mapper name: 1 to %zu bytes, no slash",
                             wanted, size - 1);
        strcpy(ret, wanted);
        return 0;
    }
    if (!find_active(device, ret, size) &&
        (!crypttab_name(CRYPTTAB, device, uuid, ret, size) || !is_mapper_name(ret, size)))
        snprintf(ret, size, "luks-%s", uuid);
    return 0;
}
