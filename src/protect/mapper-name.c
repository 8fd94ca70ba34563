#include "protect/mapper-name.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define CRYPTTAB "/etc/crypttab"
#define CRYPTTAB_MAX_BYTES (256 * 1024)
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

static bool names_volume(const char *source, const char *device, const char *uuid)
{
    if (strncmp(source, "UUID=", 5) == 0)
        return strcmp(source + 5, uuid) == 0;
    if (strncmp(source, "/dev/disk/by-uuid/", 18) == 0)
        return strcmp(source + 18, uuid) == 0;
    return strcmp(source, device) == 0;
}

static bool find_in_crypttab(const char *device, const char *uuid, char *ret, size_t size)
{
    cleanup(free_ptr) char *text = NULL;
    struct error ignored;
    char *lines, *line;

    if (!file_exists(CRYPTTAB) || file_read(CRYPTTAB, CRYPTTAB_MAX_BYTES, &text, NULL, &ignored))
        return false;
    lines = text;
    while ((line = strsep(&lines, "\n"))) {
        char *words = NULL, *name = strtok_r(line, " \t", &words), *source = strtok_r(NULL, " \t", &words);

        if (name && source && name[0] != '#' && names_volume(source, device, uuid) && strlen(name) < size) {
            strcpy(ret, name);
            return true;
        }
    }
    return false;
}

int mapper_name_find(const char *device, const char *uuid, const char *wanted, char *ret, size_t size,
                     struct error *error)
{
    if (wanted) {
        if (!wanted[0] || strlen(wanted) >= size || strchr(wanted, '/') || strcmp(wanted, ".") == 0 ||
            strcmp(wanted, "..") == 0)
            return error_set(error, ERROR_USAGE, "\"%s\" cannot be a /dev/mapper name: 1 to %zu bytes, no slash",
                             wanted, size - 1);
        strcpy(ret, wanted);
        return 0;
    }
    if (!find_active(device, ret, size) && !find_in_crypttab(device, uuid, ret, size))
        snprintf(ret, size, "luks-%s", uuid);
    return 0;
}
