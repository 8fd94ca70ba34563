#include "fuzz.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn void fuzz_broken(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

void fuzz_split(const uint8_t *bytes, size_t size, struct span *ret, size_t count)
{
    static const char separator[] = FUZZ_SEPARATOR;
    const uint8_t *rest = bytes, *end = bytes + size;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *found =
            i + 1 < count ? memmem(rest, (size_t)(end - rest), separator, sizeof(separator) - 1) : NULL;

        ret[i] = fuzz_span(rest, (size_t)((found ?: end) - rest));
        rest = found ? found + sizeof(separator) - 1 : end;
    }
}

char *fuzz_text(struct span bytes)
{
    char *text = malloc(bytes.size + 1);

    fuzz_require(text);
    if (bytes.size)
        memcpy(text, bytes.bytes, bytes.size);
    text[bytes.size] = '\0';
    return text;
}

const char *fuzz_file(struct span bytes)
{
    static char path[40];
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        fuzz_require(fd >= 0 && fchmod(fd, 0600) == 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    fuzz_require(ftruncate(fd, 0) == 0 && pwrite(fd, bytes.bytes, bytes.size, 0) == (ssize_t)bytes.size);
    return path;
}

/* ---- the folder ---- */

static char folder[FUZZ_PATH / 2];

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void fuzz_path(const char *name, char ret[FUZZ_PATH])
{
    static bool made;

    if (!made) {
        snprintf(folder, sizeof(folder), "%s/bootseal-fuzz.XXXXXX", getenv("TMPDIR") ?: "/tmp");
        fuzz_require(mkdtemp(folder));
        atexit(remove_folder);
        made = true;
    }
    fuzz_require(snprintf(ret, FUZZ_PATH, "%s%s%s", folder, name[0] ? "/" : "", name) < FUZZ_PATH);
}

void fuzz_write(const char *name, struct span bytes)
{
    char path[FUZZ_PATH];
    int fd;

    fuzz_path(name, path);
    for (char *slash = strchr(path + strlen(folder) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fuzz_require(fd >= 0 && write(fd, bytes.bytes, bytes.size) == (ssize_t)bytes.size);
    close(fd);
}

/* ---- what comes out ---- */

bool fuzz_json(struct span bytes, struct json_view *ret_view, struct json_object **ret)
{
    cleanup(free_ptr) char *text = fuzz_text(bytes);
    struct error error;
    int r;

    *ret = NULL;
    *ret_view = (struct json_view){ .source = "token 3", .kind = ERROR_METADATA };
    r = json_parse(text, ret_view, ret, &error);
    fuzz_require_told(r, &error);
    return !r;
}

void fuzz_tell(const char *format, ...)
{
    va_list arguments;

    if (!getenv("BOOTSEAL_FUZZ_TELL"))
        return;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void fuzz_require_told(int r, const struct error *error)
{
    if (!r)
        return;
    fuzz_tell("error %d: %s", r, error->text);
    fuzz_require(r > ERROR_NONE && r <= ERROR_REFUSED && error->kind == (enum error_kind)r);
    fuzz_require(error->text[0] && memchr(error->text, '\0', sizeof(error->text)));
    fuzz_require(!strchr(error->text, '\n') && !strchr(error->text, '\x1b'));
}

FILE *fuzz_nowhere(void)
{
    static FILE *stream;

    if (!stream)
        stream = fopen("/dev/null", "we");
    fuzz_require(stream);
    return stream;
}
