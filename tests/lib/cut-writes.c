/*
 * For LD_PRELOAD: the power goes at a chosen change of the disk. Counted is every call that changes something under the
 * folder CUT_FOLDER: writes, syncs, new, renamed, linked, truncated and removed files, folders, modes. Number CUT_AT
 * ends the program before it happens, or with CUT_TORN set, a write when half of it is done.
 *
 * With CUT_FILE, writes to that file and renames alone are counted. With CUT_TRACE, a file outside of the folder, each
 * of them is noted there: its number, the time (CLOCK_MONOTONIC, in ns), the call, the size in bytes, the path.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STATUS_CUT 111
#define SECTOR_BYTES 512
#define LINE_MAX_BYTES 1024

/* The functions stand in for those of the C library by their symbols: its headers' own ways with them are not wanted.
 */
#define IN_PLACE_OF(symbol) __asm__(symbol) __attribute__((visibility("default")))

ssize_t cut_write(int fd, const void *bytes, size_t size) IN_PLACE_OF("write");
ssize_t cut_pwrite(int fd, const void *bytes, size_t size, off_t offset) IN_PLACE_OF("pwrite64");
int cut_fsync(int fd) IN_PLACE_OF("fsync");
int cut_fdatasync(int fd) IN_PLACE_OF("fdatasync");
int cut_ftruncate(int fd, off_t size) IN_PLACE_OF("ftruncate64");
int cut_fchmod(int fd, mode_t mode) IN_PLACE_OF("fchmod");
int cut_open(const char *path, int flags, ...) IN_PLACE_OF("open");
int cut_open64(const char *path, int flags, ...) IN_PLACE_OF("open64");
int cut_rename(const char *from, const char *to) IN_PLACE_OF("rename");
int cut_link(const char *from, const char *to) IN_PLACE_OF("link");
int cut_unlink(const char *path) IN_PLACE_OF("unlink");
int cut_mkdir(const char *path, mode_t mode) IN_PLACE_OF("mkdir");
int cut_rmdir(const char *path) IN_PLACE_OF("rmdir");

static const char *folder, *file, *trace, *at;
static bool is_torn;
static unsigned count;

/* Before main(), which drops the variables that the program does not know. */
__attribute__((constructor)) static void read_environment(void)
{
    folder = getenv("CUT_FOLDER");
    file = getenv("CUT_FILE");
    trace = getenv("CUT_TRACE");
    at = getenv("CUT_AT");
    is_torn = getenv("CUT_TORN") != NULL;
}

/* ---- what is watched ---- */

/* The folder itself, or something in it. */
static bool is_inside(const char *path)
{
    size_t length = folder ? strlen(folder) : 0;

    return length && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* The path of an open file; empty where it is not watched. */
static void find_path(int fd, char ret[LINE_MAX_BYTES], bool is_write)
{
    char link[64];
    ssize_t length;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, ret, LINE_MAX_BYTES - 1);
    ret[length < 0 ? 0 : length] = '\0';
    if (!is_inside(ret) || (file && (!is_write || strcmp(ret, file) != 0)))
        ret[0] = '\0';
}

static bool is_counted(const char *path, bool is_rename)
{
    return is_inside(path) && (is_rename || !file);
}

/* ---- points ---- */

static void note(const char *call, size_t size, const char *path)
{
    char line[LINE_MAX_BYTES + 128];
    struct timespec now;
    int fd, length;

    if (!trace)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    length = snprintf(line, sizeof(line), "%u %lld%09ld %s %zu %s\n", count, (long long)now.tv_sec, now.tv_nsec, call,
                      size, path);
    fd = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_write, fd, line, (size_t)length) != length)
        abort(); /* a point that is lost would be one that is never tried */
    syscall(SYS_close, fd);
}

static bool is_the_last(const char *call, size_t size, const char *path)
{
    int before = errno;

    count++;
    note(call, size, path);
    errno = before;
    return at && count == (unsigned)strtoul(at, NULL, 10);
}

static void pass(const char *call, const char *path)
{
    if (is_the_last(call, 0, path))
        _exit(STATUS_CUT);
}

static void pass_file(const char *call, int fd)
{
    char path[LINE_MAX_BYTES];

    find_path(fd, path, false);
    if (path[0])
        pass(call, path);
}

/* Half of it, in whole sectors: a disk writes each of them or does not. */
static size_t torn(size_t size)
{
    return is_torn ? size / 2 / SECTOR_BYTES * SECTOR_BYTES : 0;
}

/* ---- the calls ---- */

ssize_t cut_write(int fd, const void *bytes, size_t size)
{
    char path[LINE_MAX_BYTES];

    find_path(fd, path, true);
    if (path[0] && is_the_last("write", size, path)) {
        if (torn(size))
            syscall(SYS_write, fd, bytes, torn(size));
        _exit(STATUS_CUT);
    }
    return syscall(SYS_write, fd, bytes, size);
}

ssize_t cut_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    char path[LINE_MAX_BYTES];

    find_path(fd, path, true);
    if (path[0] && is_the_last("write", size, path)) {
        if (torn(size))
            syscall(SYS_pwrite64, fd, bytes, torn(size), offset);
        _exit(STATUS_CUT);
    }
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int cut_fsync(int fd)
{
    pass_file("fsync", fd);
    return (int)syscall(SYS_fsync, fd);
}

int cut_fdatasync(int fd)
{
    pass_file("fsync", fd);
    return (int)syscall(SYS_fdatasync, fd);
}

int cut_ftruncate(int fd, off_t size)
{
    pass_file("ftruncate", fd);
    return (int)syscall(SYS_ftruncate, fd, size);
}

int cut_fchmod(int fd, mode_t mode)
{
    pass_file("fchmod", fd);
    return (int)syscall(SYS_fchmod, fd, mode);
}

/* Only a file that is made, or emptied, is a change. */
static int open_file(const char *path, int flags, mode_t mode)
{
    if ((flags & (O_CREAT | O_TRUNC)) && is_counted(path, false) &&
        (flags & O_TRUNC || syscall(SYS_access, path, F_OK) != 0))
        pass("open", path);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
}

int cut_open(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(path, flags, mode);
}

int cut_open64(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(path, flags, mode);
}

int cut_rename(const char *from, const char *to)
{
    if (is_counted(to, true))
        pass("rename", to);
    return (int)syscall(SYS_rename, from, to);
}

int cut_link(const char *from, const char *to)
{
    if (is_counted(to, false))
        pass("link", to);
    return (int)syscall(SYS_link, from, to);
}

int cut_unlink(const char *path)
{
    if (is_counted(path, false) && syscall(SYS_access, path, F_OK) == 0)
        pass("unlink", path);
    return (int)syscall(SYS_unlink, path);
}

int cut_mkdir(const char *path, mode_t mode)
{
    if (is_counted(path, false) && syscall(SYS_access, path, F_OK) != 0)
        pass("mkdir", path);
    return (int)syscall(SYS_mkdir, path, mode);
}

int cut_rmdir(const char *path)
{
    if (is_counted(path, false))
        pass("rmdir", path);
    return (int)syscall(SYS_rmdir, path);
}
