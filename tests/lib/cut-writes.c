/*
 * For LD_PRELOAD: the power goes at a chosen write. Counted are writes to the file CUT_WRITES_FILE (a header) and
 * renames (a file of the state folder); number CUT_WRITES_AT ends the program before it happens, or with
 * CUT_WRITES_TORN set, a write when half of it is done.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_CUT 111

ssize_t write(int fd, const void *bytes, size_t size);
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset);
int rename(const char *from, const char *to);

typedef ssize_t (*write_function)(int, const void *, size_t);
typedef ssize_t (*pwrite_function)(int, const void *, size_t, off_t);
typedef int (*rename_function)(const char *, const char *);

static const char *path, *at;
static int is_torn;
static unsigned count;

/* Before main(), which drops the variables that the program does not know. */
__attribute__((constructor)) static void read_environment(void)
{
    path = getenv("CUT_WRITES_FILE");
    at = getenv("CUT_WRITES_AT");
    is_torn = getenv("CUT_WRITES_TORN") != NULL;
}

static int is_watched(int fd)
{
    struct stat there, here;

    return path && stat(path, &there) == 0 && fstat(fd, &here) == 0 && there.st_dev == here.st_dev &&
           there.st_ino == here.st_ino;
}

static int is_the_last(void)
{
    return at && ++count == (unsigned)strtoul(at, NULL, 10);
}

static size_t torn(size_t size)
{
    return is_torn ? size / 2 / 512 * 512 : 0;
}

__attribute__((visibility("default"))) ssize_t write(int fd, const void *bytes, size_t size)
{
    write_function next = (write_function)dlsym(RTLD_NEXT, "write");

    if (is_watched(fd) && is_the_last()) {
        if (torn(size))
            (void)next(fd, bytes, torn(size));
        _exit(STATUS_CUT);
    }
    return next(fd, bytes, size);
}

__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    pwrite_function next = (pwrite_function)dlsym(RTLD_NEXT, "pwrite64"); /* as this function is called in truth */

    if (is_watched(fd) && is_the_last()) {
        if (torn(size))
            (void)next(fd, bytes, torn(size), offset);
        _exit(STATUS_CUT);
    }
    return next(fd, bytes, size, offset);
}

__attribute__((visibility("default"))) int rename(const char *from, const char *to)
{
    rename_function next = (rename_function)dlsym(RTLD_NEXT, "rename");

    if (is_the_last())
        _exit(STATUS_CUT);
    return next(from, to);
}
