#include "measure/predict/boot-file.h"

#include "base/cleanup.h"
#include "measure/predict/one-pass.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

/* One component of a path, from `*path` on, which is moved behind it; an empty one at the end. */
static bool next_name(const char **path, char ret[BOOT_NAME_MAX + 1])
{
    size_t length;

    *path += strspn(*path, "/");
    length = strcspn(*path, "/");
    if (length > BOOT_NAME_MAX)
        return false;
    memcpy(ret, *path, length);
    ret[length] = '\0';
    *path += length;
    return strcmp(ret, ".") != 0 && strcmp(ret, "..") != 0;
}

static int not_followed(const char *folder, const char *path, const char *what, struct error *error)
{
    return error_set(error, ERROR_METADATA, "\"%s%s\" %s", folder, path, what);
}

/* Goes down one folder; *fd becomes that one, or -1 when it is not there. */
static int descend(const char *folder, const char *path, const char *name, int *fd, struct error *error)
{
    cleanup(close_fd) int next = openat(*fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    int last = *fd;

    if (next < 0 && errno != ENOENT)
        return error_errno(error, errno, "cannot open \"%s%s\"", folder, path);
    if (next >= 0 && fstat(next, &status) < 0)
        return error_errno(error, errno, "cannot read \"%s%s\"", folder, path);
    if (next >= 0 && !S_ISDIR(status.st_mode))
        return not_followed(folder, path, "leads through a symbolic link or a file", error);
    close(last);
    *fd = next;
    next = -1;
    return 0;
}

/* Goes down to the last component and opens that with the flags. *ret is -1 when something is not there. */
static int open_within(const char *folder, const char *path, int flags, int *ret, struct error *error)
{
    cleanup(close_fd) int fd = open(folder[0] ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *rest = path;

    *ret = -1;
    if (fd < 0)
        return error_errno(error, errno, "cannot open \"%s\"", folder[0] ? folder : "/");
    while (fd >= 0) {
        char name[BOOT_NAME_MAX + 1];
        int r;

        if (!next_name(&rest, name))
            return not_followed(folder, path, "is no path as boot loaders use it", error);
        if (rest[strspn(rest, "/")] == '\0') {
            *ret = openat(fd, name[0] ? name : ".", flags | O_NOFOLLOW | O_CLOEXEC);
            break;
        }
        r = descend(folder, path, name, &fd, error);
        if (r)
            return r;
    }
    if (*ret < 0 && fd >= 0 && (errno == ELOOP || errno == ENOTDIR))
        return not_followed(folder, path, "is a symbolic link or not what it should be", error);
    if (*ret < 0 && fd >= 0 && errno != ENOENT)
        return error_errno(error, errno, "cannot open \"%s%s\"", folder, path);
    return 0;
}

int boot_file_open(const char *folder, const char *path, struct boot_file_handle *ret, struct error *error)
{
    struct stat status;
    int r;

    *ret = (struct boot_file_handle){ .fd = -1 };
    r = open_within(folder, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, &ret->fd, error);
    if (r || ret->fd < 0)
        return r;
    if (fstat(ret->fd, &status) < 0)
        r = error_errno(error, errno, "cannot read \"%s%s\"", folder, path);
    else if (!S_ISREG(status.st_mode))
        r = not_followed(folder, path, "is no file", error);
    else if ((uint64_t)status.st_size > BOOT_FILE_MAX_BYTES)
        r = not_followed(folder, path, "is too large", error);
    else if (asprintf(&ret->path, "%s%s%s", folder, path[0] == '/' ? "" : "/", path) < 0)
        r = error_no_memory(error);
    if (r) {
        boot_file_close(ret);
        return r;
    }
    ret->size = (uint64_t)status.st_size;
    return 0;
}

void boot_file_close(struct boot_file_handle *file)
{
    close_fd(&file->fd);
    free(file->path);
    *file = (struct boot_file_handle){ .fd = -1 };
}

int boot_file_read(const struct boot_file_handle *file, size_t max, char **ret, struct digest *ret_sha256,
                   struct error *error)
{
    cleanup(free_ptr) char *bytes = NULL;
    int r;

    *ret = NULL;
    if (file->size > max)
        return error_set(error, ERROR_METADATA, "\"%s\" is larger than %zu bytes", file->path, max);
    bytes = malloc((size_t)file->size + 1);
    if (!bytes)
        return error_no_memory(error);
    r = one_pass_read(file->fd, file->path, file->size,
                      &(struct stretch){ .size = file->size, .copy = (uint8_t *)bytes }, 1, ret_sha256, error);
    if (r)
        return r;
    bytes[file->size] = '\0';
    *ret = take_ptr(bytes);
    return 0;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name), suffix_length = strlen(suffix);

    return length >= suffix_length && strcasecmp(name + length - suffix_length, suffix) == 0;
}

/* Adds the name if it is a file's. */
static int add_name(int fd, const char *folder, const char *path, const char *name, struct boot_names *names,
                    struct error *error)
{
    struct stat status;

    if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(error, errno, "cannot read \"%s%s/%s\"", folder, path, name);
    if (S_ISDIR(status.st_mode))
        return 0;
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_METADATA, "\"%s%s/%s\" is no file", folder, path, name);
    if (names->count == BOOT_FOLDER_MAX_FILES)
        return error_set(error, ERROR_METADATA, "\"%s%s\" has more than %d files", folder, path, BOOT_FOLDER_MAX_FILES);
    names->items[names->count] = strdup(name);
    return names->items[names->count++] ? 0 : error_no_memory(error);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int boot_folder_names(const char *folder, const char *path, const char *suffix, struct boot_names *ret,
                      struct error *error)
{
    cleanup(close_folder) DIR *stream = NULL;
    struct dirent *entry;
    int fd, r = open_within(folder, path, O_RDONLY | O_DIRECTORY, &fd, error);

    *ret = (struct boot_names){ 0 };
    if (r || fd < 0)
        return r;
    stream = fdopendir(fd);
    if (!stream) {
        r = error_errno(error, errno, "cannot read \"%s%s\"", folder, path);
        close(fd);
        return r;
    }
    ret->items = calloc(BOOT_FOLDER_MAX_FILES, sizeof *ret->items);
    if (!ret->items)
        return error_no_memory(error);
    errno = 0;
    while (!r && (entry = readdir(stream))) {
        if (entry->d_name[0] != '.' && ends_with(entry->d_name, suffix))
            r = add_name(fd, folder, path, entry->d_name, ret, error);
        errno = 0;
    }
    if (!r && errno)
        r = error_errno(error, errno, "cannot read \"%s%s\"", folder, path);
    if (r)
        boot_names_free(ret);
    else
        qsort(ret->items, ret->count, sizeof *ret->items, compare_names);
    return r;
}

void boot_names_free(struct boot_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct boot_names){ 0 };
}
