/*
 * For LD_PRELOAD: one call of the program fails, as when memory is short or a disk breaks.
 *
 *   FAIL_CALLS      "own": calls of the C library from the program itself; "own:NAME": those of one function; "all":
 *                   allocations from libraries too
 *   FAIL_CALLS_AT   which one, from 1 on; 0 or unset: none
 *   FAIL_CALLS_LOG  a file to which the name of the call that failed is written, or, when all is over, their number
 *
 * Counted from the moment on when main() has set the umask. A close() that fails has closed the file, as in Linux.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <glob.h>
#include <link.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static const char *mode, *only, *log_path; /* only: ":NAME" */
static unsigned long at;
static pid_t program;
static uintptr_t first, last; /* where the program itself lies */
static atomic_ulong count;
static atomic_bool active;

/* The first object is the program. */
static int find_program(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    first = UINTPTR_MAX;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        first = start < first ? start : first;
        last = start + info->dlpi_phdr[i].p_memsz > last ? start + info->dlpi_phdr[i].p_memsz : last;
    }
    return 1;
}

/* Before main(), which drops the variables that the program does not know. */
__attribute__((constructor)) static void start(void)
{
    const char *number = getenv("FAIL_CALLS_AT");

    mode = getenv("FAIL_CALLS");
    only = mode ? strchr(mode, ':') : NULL;
    log_path = getenv("FAIL_CALLS_LOG");
    at = number ? strtoul(number, NULL, 10) : 0;
    program = getpid();
    dl_iterate_phdr(find_program, NULL);
}

/* Without any function that is wrapped here. */
static void write_log(const char *text, unsigned long number)
{
    char line[128];
    int length = snprintf(line, sizeof(line), "%s %lx\n", text, number);
    long fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    (void)syscall(SYS_write, fd, line, (size_t)length);
    (void)syscall(SYS_close, fd);
}

__attribute__((destructor)) static void end(void)
{
    active = false;
    if (log_path && !at)
        write_log("calls", count);
}

static bool is_own(const void *caller)
{
    return (uintptr_t)caller >= first && (uintptr_t)caller < last;
}

static bool fails(const char *name, const void *caller, bool is_allocation, int number)
{
    if (!active || !mode || (!is_own(caller) && !(is_allocation && strcmp(mode, "all") == 0)) || getpid() != program)
        return false;
    if (only && strcmp(only + 1, name) != 0)
        return false;
    if (++count != at)
        return false;
    write_log(name, is_own(caller) ? (uintptr_t)caller - first : 0);
    errno = number;
    return true;
}

#define NEXT(function, name)                                                                                           \
    ({                                                                                                                 \
        static __typeof__(function) *next_;                                                                            \
                                                                                                                       \
        if (!next_)                                                                                                    \
            next_ = (__typeof__(function) *)dlsym(RTLD_NEXT, name);                                                    \
        next_;                                                                                                         \
    })

/* A function whose symbol has the name, which may differ for its large-file form. */
#define WRAP(type, function, name, failed, number, is_allocation, parameters, arguments)                               \
    EXPORT type function parameters                                                                                    \
    {                                                                                                                  \
        return fails(name, __builtin_return_address(0), is_allocation, number) ? (failed)                              \
                                                                               : NEXT(function, name) arguments;       \
    }
#define ALLOCATION(type, function, parameters, arguments)                                                              \
    WRAP(type, function, #function, NULL, ENOMEM, true, parameters, arguments)
#define CALL(type, function, number, parameters, arguments)                                                            \
    WRAP(type, function, #function, (type)-1, number, false, parameters, arguments)
#define CALL64(type, function, number, parameters, arguments)                                                          \
    WRAP(type, function, #function "64", (type)-1, number, false, parameters, arguments)

/* ---- memory ---- */

/* json-c 0.16 copies the names in an object and does not look whether it got the memory: nothing here can mend that. */
static bool is_json_c(const void *caller)
{
    Dl_info info;

    return !is_own(caller) && dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "/libjson-c.so");
}

EXPORT char *strdup(const char *text)
{
    const void *caller = __builtin_return_address(0);

    return !is_json_c(caller) && fails("strdup", caller, true, ENOMEM) ? NULL : NEXT(strdup, "strdup")(text);
}

ALLOCATION(void *, malloc, (size_t size), (size))
ALLOCATION(void *, calloc, (size_t items, size_t size), (items, size))
ALLOCATION(void *, realloc, (void *old, size_t size), (old, size))
ALLOCATION(void *, reallocarray, (void *old, size_t items, size_t size), (old, items, size))
ALLOCATION(char *, strndup, (const char *text, size_t size), (text, size))
ALLOCATION(char *, realpath, (const char *path, char *resolved), (path, resolved))
ALLOCATION(FILE *, open_memstream, (char **text, size_t *size), (text, size))
ALLOCATION(FILE *, fmemopen, (void *bytes, size_t size, const char *how), (bytes, size, how))
ALLOCATION(DIR *, opendir, (const char *path), (path))
ALLOCATION(DIR *, fdopendir, (int fd), (fd))
CALL(int, mlock, ENOMEM, (const void *start, size_t size), (start, size))
CALL(int, madvise, EINVAL, (void *start, size_t size, int advice), (start, size, advice))
WRAP(void *, mmap, "mmap64", MAP_FAILED, ENOMEM, true,
     (void *start, size_t size, int protection, int flags, int fd, off_t offset),
     (start, size, protection, flags, fd, offset))

int __vasprintf_chk(char **text, int flag, const char *format, va_list args);
int __asprintf_chk(char **text, int flag, const char *format, ...);

static int print(const char *name, const void *caller, char **text, const char *format, va_list args)
{
    return fails(name, caller, true, ENOMEM) ? -1 : NEXT(vasprintf, "vasprintf")(text, format, args);
}

EXPORT int vasprintf(char **text, const char *format, va_list args)
{
    return print("vasprintf", __builtin_return_address(0), text, format, args);
}

EXPORT int __vasprintf_chk(char **text, int flag, const char *format, va_list args)
{
    (void)flag;
    return print("vasprintf", __builtin_return_address(0), text, format, args);
}

EXPORT int asprintf(char **text, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = print("asprintf", __builtin_return_address(0), text, format, args);
    va_end(args);
    return length;
}

EXPORT int __asprintf_chk(char **text, int flag, const char *format, ...)
{
    va_list args;
    int length;

    (void)flag;
    va_start(args, format);
    length = print("asprintf", __builtin_return_address(0), text, format, args);
    va_end(args);
    return length;
}

/* ---- files ---- */

static int open_file(const void *caller, int folder, const char *path, int flags, mode_t mode_bits)
{
    int (*next)(int, const char *, int, ...) = NEXT(openat, "openat64");

    return fails("open", caller, false, EIO) ? -1 : next(folder, path, flags, mode_bits);
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list args;
    int fd;

    va_start(args, flags);
    fd = open_file(__builtin_return_address(0), AT_FDCWD, path, flags, va_arg(args, mode_t));
    va_end(args);
    return fd;
}

EXPORT int openat(int folder, const char *path, int flags, ...)
{
    va_list args;
    int fd;

    va_start(args, flags);
    fd = open_file(__builtin_return_address(0), folder, path, flags, va_arg(args, mode_t));
    va_end(args);
    return fd;
}

int __open64_2(const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);
ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room);

EXPORT int __open64_2(const char *path, int flags)
{
    return open_file(__builtin_return_address(0), AT_FDCWD, path, flags, 0);
}

EXPORT int __openat64_2(int folder, const char *path, int flags)
{
    return open_file(__builtin_return_address(0), folder, path, flags, 0);
}

CALL(ssize_t, read, EIO, (int fd, void *bytes, size_t size), (fd, bytes, size))
CALL(ssize_t, __read_chk, EIO, (int fd, void *bytes, size_t size, size_t room), (fd, bytes, size, room))
CALL64(ssize_t, pread, EIO, (int fd, void *bytes, size_t size, off_t offset), (fd, bytes, size, offset))
CALL(ssize_t, write, ENOSPC, (int fd, const void *bytes, size_t size), (fd, bytes, size))
CALL(int, fsync, EIO, (int fd), (fd))
CALL(int, rename, EIO, (const char *from, const char *to), (from, to))
CALL(int, link, EIO, (const char *from, const char *to), (from, to))
CALL(int, unlink, EIO, (const char *path), (path))
CALL(int, mkdir, ENOSPC, (const char *path, mode_t bits), (path, bits))
CALL(int, rmdir, EIO, (const char *path), (path))
CALL(int, access, EIO, (const char *path, int how), (path, how))
CALL(int, flock, ENOLCK, (int fd, int how), (fd, how))
CALL(int, fchmod, EIO, (int fd, mode_t bits), (fd, bits))
CALL64(int, stat, EIO, (const char *path, struct stat *status), (path, status))
CALL64(int, lstat, EIO, (const char *path, struct stat *status), (path, status))
CALL64(int, fstat, EIO, (int fd, struct stat *status), (fd, status))
CALL64(int, fstatat, EIO, (int folder, const char *path, struct stat *status, int flags), (folder, path, status, flags))
CALL64(off_t, lseek, EIO, (int fd, off_t offset, int whence), (fd, offset, whence))
CALL(ssize_t, getrandom, EIO, (void *bytes, size_t size, unsigned flags), (bytes, size, flags))
CALL64(int, glob, GLOB_NOSPACE, (const char *pattern, int flags, int (*failed)(const char *, int), glob_t *found),
       (pattern, flags, failed, found))
WRAP(struct dirent *, readdir, "readdir64", NULL, EIO, false, (DIR * folder), (folder))
WRAP(FTS *, fts_open, "fts64_open", NULL, ENOMEM, true,
     (char *const *paths, int options, int (*order)(const FTSENT **, const FTSENT **)), (paths, options, order))

/* What it has found out is lost, but it can be closed. */
EXPORT FTSENT *fts_read(FTS *walk)
{
    FTSENT *entry = NEXT(fts_read, "fts64_read")(walk);

    return fails("fts_read", __builtin_return_address(0), false, EIO) ? NULL : entry;
}

EXPORT int close(int fd)
{
    int code = NEXT(close, "close")(fd);

    return fails("close", __builtin_return_address(0), false, EIO) ? -1 : code;
}

EXPORT int fclose(FILE *stream)
{
    int code = NEXT(fclose, "fclose")(stream);

    return fails("fclose", __builtin_return_address(0), false, EIO) ? EOF : code;
}

WRAP(int, fflush, "fflush", EOF, ENOSPC, false, (FILE * stream), (stream))
WRAP(int, puts, "puts", EOF, ENOSPC, false, (const char *text), (text))

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *argument;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    return fails("ioctl", __builtin_return_address(0), false, EIO) ? -1 : NEXT(ioctl, "ioctl")(fd, request, argument);
}

/* ---- processes ---- */

CALL(pid_t, fork, EAGAIN, (void), ())
CALL(int, pipe2, EMFILE, (int ends[2], int flags), (ends, flags))
CALL(pid_t, waitpid, ECHILD, (pid_t child, int *status, int options), (child, status, options))
CALL(int, poll, ENOMEM, (struct pollfd * fds, nfds_t number, int timeout), (fds, number, timeout))

EXPORT mode_t umask(mode_t bits)
{
    mode_t before = NEXT(umask, "umask")(bits);

    active = active || is_own(__builtin_return_address(0));
    return before;
}
