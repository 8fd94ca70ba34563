#include "base/file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(const char *path, size_t max, char **ret, size_t *ret_size, struct error *error)
{
    cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    cleanup(free_ptr) char *buffer = NULL;
    size_t size = 0;

    *ret = NULL;
    if (fd < 0)
        return error_errno(error, errno, "cannot open \"%s\"", path);
    buffer = malloc(max + 2);
    if (!buffer)
        return error_no_memory(error);
    while (size <= max) {
        ssize_t n = read(fd, buffer + size, max + 1 - size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(error, errno, "cannot read \"%s\"", path);
        if (n == 0)
            break;
        size += (size_t)n;
    }
    if (size > max)
        return error_set(error, ERROR_FAILED, "\"%s\" holds more than %zu bytes", path, max);
    buffer[size] = '\0';
    *ret = take_ptr(buffer);
    if (ret_size)
        *ret_size = size;
    return 0;
}

int file_read_secret(const char *path, size_t max, struct secret *ret, struct error *error)
{
    cleanup(close_fd) int fd = -1;
    int r;

    if (strcmp(path, "-") == 0) {
        r = secret_read(ret, STDIN_FILENO, max, "standard input", error);
    } else {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            return error_errno(error, errno, "cannot open \"%s\"", path);
        r = secret_read(ret, fd, max, path, error);
    }
    return r;
}

static int sync_folder_of(const char *path, struct error *error)
{
    cleanup(free_ptr) char *copy = strdup(path);
    cleanup(close_fd) int fd = -1;

    if (!copy)
        return error_no_memory(error);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return error_errno(error, errno, "cannot sync the folder of \"%s\"", path);
    return 0;
}

static int write_all(int fd, const char *path, const void *bytes, size_t size, struct error *error)
{
    const char *rest = bytes;

    while (size > 0) {
        ssize_t n = write(fd, rest, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(error, errno, "cannot write \"%s\"", path);
        rest += n;
        size -= (size_t)n;
    }
    if (fsync(fd) < 0)
        return error_errno(error, errno, "cannot sync \"%s\"", path);
    return 0;
}

int file_write(const char *path, const void *bytes, size_t size, mode_t mode, struct error *error)
{
    cleanup(free_ptr) char *temporary = NULL;
    cleanup(close_fd) int fd = -1;
    int r;

    if (asprintf(&temporary, "%s.new", path) < 0) {
        temporary = NULL;
        return error_no_memory(error);
    }
    /* a leftover of a power cut is replaced; O_EXCL keeps a planted link from being followed */
    if (unlink(temporary) < 0 && errno != ENOENT)
        return error_errno(error, errno, "cannot remove \"%s\"", temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return error_errno(error, errno, "cannot make \"%s\"", temporary);
    r = fchmod(fd, mode) < 0 ? error_errno(error, errno, "cannot set the mode of \"%s\"", temporary) : 0;
    if (!r)
        r = write_all(fd, temporary, bytes, size, error);
    if (!r && rename(temporary, path) < 0)
        r = error_errno(error, errno, "cannot rename \"%s\" to \"%s\"", temporary, path);
    if (r) {
        (void)unlink(temporary);
        return r;
    }
    return sync_folder_of(path, error);
}

int file_remove(const char *path, struct error *error)
{
    if (unlink(path) < 0) {
        if (errno == ENOENT)
            return 0;
        return error_errno(error, errno, "cannot remove \"%s\"", path);
    }
    return sync_folder_of(path, error);
}

int file_move(const char *from, const char *to, struct error *error)
{
    int r;

    if (rename(from, to) < 0)
        return error_errno(error, errno, "cannot rename \"%s\" to \"%s\"", from, to);
    r = sync_folder_of(to, error);
    return r ? r : sync_folder_of(from, error);
}

int file_link(const char *from, const char *to, struct error *error)
{
    if (link(from, to) < 0 && errno != EEXIST)
        return error_errno(error, errno, "cannot link \"%s\" to \"%s\"", from, to);
    return sync_folder_of(to, error);
}

static int overwrite(int fd, const char *path, struct error *error)
{
    static const char zeros[512];
    struct stat status;
    int r = 0;

    if (fstat(fd, &status) < 0)
        return error_errno(error, errno, "cannot look at \"%s\"", path);
    for (off_t left = status.st_size; !r && left > 0; left -= (off_t)sizeof(zeros))
        r = write_all(fd, path, zeros, left < (off_t)sizeof(zeros) ? (size_t)left : sizeof(zeros), error);
    return r;
}

int file_wipe(const char *path, struct error *error)
{
    cleanup(close_fd) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    int r;

    if (fd < 0)
        return errno == ENOENT ? 0 : error_errno(error, errno, "cannot open \"%s\"", path);
    r = overwrite(fd, path, error);
    return r ? r : file_remove(path, error);
}

int file_remove_folder(const char *path, struct error *error)
{
    if (rmdir(path) < 0)
        return errno == ENOENT ? 0 : error_errno(error, errno, "cannot remove the folder \"%s\"", path);
    return sync_folder_of(path, error);
}

int file_find(const char *path, bool *ret, struct error *error)
{
    *ret = access(path, F_OK) == 0;
    if (!*ret && errno != ENOENT && errno != ENOTDIR)
        return error_errno(error, errno, "cannot tell whether \"%s\" is there", path);
    return 0;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

char *file_path(const char *folder, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

int file_make_folder(const char *path, mode_t mode, struct error *error)
{
    cleanup(free_ptr) char *partial = strdup(path);
    struct stat status;

    if (!partial)
        return error_no_memory(error);
    for (char *slash = strchr(partial + (partial[0] == '/'), '/'); slash; slash = strchr(slash + 1, '/')) {
        if (slash[strspn(slash, "/")] == '\0') /* "a/b/": b is the last one */
            break;
        *slash = '\0';
        if (mkdir(partial, 0755) < 0 && errno != EEXIST)
            return error_errno(error, errno, "cannot make the folder \"%s\"", partial);
        *slash = '/';
    }
    if (mkdir(path, mode) == 0)
        return sync_folder_of(path, error);
    if (errno == EEXIST && stat(path, &status) == 0 && !S_ISDIR(status.st_mode))
        errno = ENOTDIR;
    return errno == EEXIST ? 0 : error_errno(error, errno, "cannot make the folder \"%s\"", path);
}

static int check_private(const char *path, const struct stat *status, struct error *error)
{
    if (S_ISLNK(status->st_mode) || status->st_uid != geteuid() || (status->st_mode & 077)) {
        error_set(error, ERROR_FAILED, "\"%s\" can be reached by others than its owner", path);
        return error_remedy(error, "find out who read or changed it, then: chown root:root and chmod go= on it");
    }
    return 0;
}

int file_check_private(const char *path, struct error *error)
{
    struct stat status;

    if (lstat(path, &status) < 0)
        return error_errno(error, errno, "cannot look at \"%s\"", path);
    return check_private(path, &status, error);
}

static int check_entry(const FTSENT *entry, struct error *error)
{
    switch (entry->fts_info) {
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        /* a file that is being written has just got its name */
        if (entry->fts_errno == ENOENT && entry->fts_level > FTS_ROOTLEVEL)
            return 0;
        return error_errno(error, entry->fts_errno, "cannot look at \"%s\"", entry->fts_path);
    case FTS_DP:
        return 0;
    case FTS_DEFAULT:
        error_set(error, ERROR_FAILED, "\"%s\" is neither a file nor a folder", entry->fts_path);
        return error_remedy(error, "find out who made it, and remove it");
    default:
        return check_private(entry->fts_path, entry->fts_statp, error);
    }
}

static void close_walk(FTS **walk)
{
    if (*walk)
        fts_close(*walk);
}

int file_check_private_folder(const char *path, struct error *error)
{
    cleanup(free_ptr) char *copy = strdup(path);
    cleanup(close_walk) FTS *walk = NULL;
    const FTSENT *entry;
    int r = 0;

    if (!copy)
        return error_no_memory(error);
    walk = fts_open((char *[]){ copy, NULL }, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!walk)
        return error_errno(error, errno, "cannot look into \"%s\"", path);
    while (!r && (errno = 0, entry = fts_read(walk)))
        r = check_entry(entry, error);
    return r || errno == 0 ? r : error_errno(error, errno, "cannot look into \"%s\"", path);
}
