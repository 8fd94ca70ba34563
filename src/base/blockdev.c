#include "base/blockdev.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define SYSFS_MAX_BYTES 4096 /* an attribute is one page at most */

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

/* FOLDER/NAME; an error instead of a path that was cut. */
static int join(char ret[PATH_MAX], const char *folder, const char *name, struct error *error)
{
    int length = snprintf(ret, PATH_MAX, "%s/%s", folder, name);

    if (length < 0 || length >= PATH_MAX)
        return error_set(error, ERROR_FAILED, "the path \"%.200s/…\" is too long", folder);
    return 0;
}

static int device_folder(const char *sysfs, struct blockdev device, char ret[PATH_MAX], struct error *error)
{
    char name[64];

    snprintf(name, sizeof(name), "dev/block/%u:%u", device.major, device.minor);
    return join(ret, sysfs, name, error);
}

/* Reads FOLDER/NAME, one line, without its newline. */
static int read_attribute(const char *folder, const char *name, char **ret, struct error *error)
{
    char path[PATH_MAX];
    int r = join(path, folder, name, error);

    if (!r)
        r = file_read(path, SYSFS_MAX_BYTES, ret, NULL, error);
    if (!r)
        (*ret)[strcspn(*ret, "\n")] = '\0';
    return r;
}

/* The number in FOLDER/dev. */
static int read_number(const char *folder, struct blockdev *ret, struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    int end = 0, r = read_attribute(folder, "dev", &text, error);

    if (r)
        return r;
    if (sscanf(text, "%9u:%9u%n", &ret->major, &ret->minor, &end) != 2 || text[end])
        return error_set(error, ERROR_FAILED, "\"%s/dev\" holds no device number: \"%s\"", folder, text);
    return 0;
}

static int add_device(struct blockdev_list *list, struct blockdev device, const char *folder, struct error *error)
{
    if (list->count == BLOCKDEV_MAX_DEVICES)
        return error_set(error, ERROR_FAILED, "\"%s\" lists more than %d devices", folder, BLOCKDEV_MAX_DEVICES);
    list->devices[list->count++] = device;
    return 0;
}

/* The devices that a folder of links to devices lists. A folder that is not there has none. */
static int read_links(const char *folder, struct blockdev_list *ret, struct error *error)
{
    cleanup(close_folder) DIR *links = opendir(folder);
    struct dirent *entry;
    int r = 0;

    ret->count = 0;
    if (!links)
        return errno == ENOENT ? 0 : error_errno(error, errno, "cannot open \"%s\"", folder);
    while (!r && (errno = 0, entry = readdir(links))) {
        struct blockdev device;
        char path[PATH_MAX];

        if (entry->d_name[0] == '.')
            continue;
        r = join(path, folder, entry->d_name, error);
        if (!r)
            r = read_number(path, &device, error);
        if (!r)
            r = add_device(ret, device, folder, error);
    }
    if (!r && errno)
        r = error_errno(error, errno, "cannot read \"%s\"", folder);
    return r;
}

int blockdev_of_btrfs(const char *sysfs, const char *uuid, struct blockdev_list *ret, struct error *error)
{
    char name[64], folder[PATH_MAX];
    int r;

    ret->count = 0;
    snprintf(name, sizeof(name), "fs/btrfs/%.36s/devices", uuid);
    r = join(folder, sysfs, name, error);
    if (!r)
        r = read_links(folder, ret, error);
    if (!r && ret->count == 0)
        r = error_set(error, ERROR_FAILED, "\"%s\" lists no devices", folder);
    return r;
}

/* A btrfs has a device number of its own, and each subvolume another: only the file system itself says who it is. */
static int btrfs_uuid(int fd, const char *path, char ret[37], struct error *error)
{
    static const size_t groups[] = { 4, 2, 2, 2, 6 };
    struct btrfs_ioctl_fs_info_args info = { 0 };
    const uint8_t *bytes = info.fsid;
    char *text = ret;

    if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
        return error_errno(error, errno, "cannot ask the btrfs of \"%s\" for its UUID", path);
    for (size_t i = 0; i < array_size(groups); i++) {
        hex_encode(bytes, groups[i], text);
        bytes += groups[i];
        text += 2 * groups[i];
        *text++ = '-';
    }
    text[-1] = '\0';
    return 0;
}

int blockdev_of_path(const char *sysfs, const char *path, struct blockdev_list *ret, struct error *error)
{
    cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct statfs system;
    struct stat status;
    char uuid[37];
    int r;

    ret->count = 0;
    if (fd < 0)
        return error_errno(error, errno, "cannot open \"%s\"", path);
    if (fstatfs(fd, &system) < 0 || fstat(fd, &status) < 0)
        return error_errno(error, errno, "cannot tell which file system holds \"%s\"", path);
    if ((unsigned long)system.f_type == BTRFS_SUPER_MAGIC) {
        r = btrfs_uuid(fd, path, uuid, error);
        return r ? r : blockdev_of_btrfs(sysfs, uuid, ret, error);
    }
    if (major(status.st_dev) != 0) /* 0 is the kernel's for file systems without a device */
        ret->devices[ret->count++] = (struct blockdev){ major(status.st_dev), minor(status.st_dev) };
    return 0;
}

int blockdev_dm_uuid(const char *sysfs, struct blockdev device, char ret[BLOCKDEV_UUID_TEXT], struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    char folder[PATH_MAX], path[PATH_MAX];
    struct blockdev found;
    int r = device_folder(sysfs, device, folder, error);

    ret[0] = '\0';
    if (!r)
        r = read_number(folder, &found, error);
    if (!r && (found.major != device.major || found.minor != device.minor))
        r = error_set(error, ERROR_FAILED, "\"%s\" is another device", folder);
    if (!r)
        r = join(path, folder, "dm", error);
    if (r || !file_exists(path))
        return r;
    r = read_attribute(path, "uuid", &text, error);
    if (!r && strlen(text) >= BLOCKDEV_UUID_TEXT)
        r = error_set(error, ERROR_FAILED, "\"%s/uuid\" is too long", path);
    if (!r)
        strcpy(ret, text);
    return r;
}

struct walk {
    const char *sysfs;
    blockdev_accept accept;
    void *context;
    bool every; /* way is asked for; else one is enough */
    size_t visits;
};

static int walk_list(struct walk *walk, const struct blockdev_list *list, unsigned depth, bool *ret,
                     struct error *error);

static int walk_device(struct walk *walk, struct blockdev device, unsigned depth, bool *ret, struct error *error)
{
    char uuid[BLOCKDEV_UUID_TEXT], name[64], folder[PATH_MAX];
    const struct blockdev_node node = { .device = device, .dm_uuid = uuid, .depth = depth };
    struct blockdev_list slaves;
    int r;

    *ret = false;
    /* a loop, which the kernel never builds, ends here too */
    if (depth >= BLOCKDEV_MAX_DEPTH || ++walk->visits > BLOCKDEV_MAX_VISITS)
        return error_set(error, ERROR_FAILED, "too many block devices below each other at %u:%u", device.major,
                         device.minor);
    r = blockdev_dm_uuid(walk->sysfs, device, uuid, error);
    if (r)
        return r;
    *ret = walk->accept(walk->context, &node);
    if (*ret)
        return 0;
    snprintf(name, sizeof(name), "dev/block/%u:%u/slaves", device.major, device.minor);
    r = join(folder, walk->sysfs, name, error);
    if (!r)
        r = read_links(folder, &slaves, error);
    return r ? r : walk_list(walk, &slaves, depth + 1, ret, error);
}

/* An empty list is a leaf's: the way ended and nothing on it was accepted. It ends where the answer is known. */
static int walk_list(struct walk *walk, const struct blockdev_list *list, unsigned depth, bool *ret,
                     struct error *error)
{
    int r = 0;

    *ret = walk->every && list->count > 0;
    for (size_t i = 0; !r && *ret == walk->every && i < list->count; i++)
        r = walk_device(walk, list->devices[i], depth, ret, error);
    return r;
}

int blockdev_every_way(const char *sysfs, const struct blockdev_list *list, blockdev_accept accept, void *context,
                       bool *ret, struct error *error)
{
    struct walk walk = { .sysfs = sysfs, .accept = accept, .context = context, .every = true };

    return walk_list(&walk, list, 0, ret, error);
}

int blockdev_some_way(const char *sysfs, const struct blockdev_list *list, blockdev_accept accept, void *context,
                      bool *ret, struct error *error)
{
    struct walk walk = { .sysfs = sysfs, .accept = accept, .context = context };

    return walk_list(&walk, list, 0, ret, error);
}

static bool is_luks_mapping(void *context, const struct blockdev_node *node)
{
    (void)context;
    return strncmp(node->dm_uuid, "CRYPT-LUKS", strlen("CRYPT-LUKS")) == 0;
}

int blockdev_is_encrypted(const char *sysfs, const struct blockdev_list *list, bool *ret, struct error *error)
{
    return blockdev_every_way(sysfs, list, is_luks_mapping, NULL, ret, error);
}
