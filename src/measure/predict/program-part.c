#include "measure/predict/program-part.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/pe-image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SECTION_HEADER_BYTES 40
#define SECTION_NAME_BYTES 8
#define LONG_NAME_MAX 32
#define SYMBOL_BYTES 18

int program_open(const char *path, int *ret, struct error *error)
{
    struct stat status;

    *ret = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    if (*ret < 0)
        return error_errno(error, errno, "cannot open \"%s\"", path);
    if (fstat(*ret, &status) < 0)
        return error_errno(error, errno, "cannot read \"%s\"", path);
    return S_ISREG(status.st_mode) ? 0 : error_set(error, ERROR_FAILED, "\"%s\" is no file", path);
}

/* Where the section headers and the certificate table are (Microsoft, "PE Format"). */
struct layout {
    uint64_t sections, certificates;
    uint64_t strings; /* the long names of sections, behind the symbols */
    uint32_t certificates_size;
    uint16_t section_count;
};

struct image {
    const char *path;
    int fd;
    uint8_t *headers;
    size_t headers_size;
    struct layout layout;
};

static bool seek(struct cursor *cursor, uint64_t offset)
{
    cursor->offset = 0;
    return cursor_skip(cursor, offset);
}

static bool parse_layout(struct cursor headers, struct layout *ret)
{
    uint32_t pe, symbols, symbol_count, count, start;
    uint16_t optional_size, magic;
    uint64_t optional, directories;

    *ret = (struct layout){ 0 };
    if (!seek(&headers, 0x3c) || !cursor_u32(&headers, &pe) || !seek(&headers, (uint64_t)pe + 6) ||
        !cursor_u16(&headers, &ret->section_count) || !cursor_skip(&headers, 4) || !cursor_u32(&headers, &symbols) ||
        !cursor_u32(&headers, &symbol_count) || !cursor_u16(&headers, &optional_size) || !cursor_skip(&headers, 2) ||
        !cursor_u16(&headers, &magic))
        return false;
    ret->strings = symbols ? symbols + (uint64_t)symbol_count * SYMBOL_BYTES : 0;
    optional = (uint64_t)pe + 24;
    ret->sections = optional + optional_size;
    directories = optional + (magic == 0x20b ? 108 : 92);
    if (!seek(&headers, directories) || !cursor_u32(&headers, &count))
        return false;
    if (count <= 4)
        return true;
    if (!cursor_skip(&headers, 4 * 8) || !cursor_u32(&headers, &start) ||
        !cursor_u32(&headers, &ret->certificates_size))
        return false;
    ret->certificates = start;
    return true;
}

/* Exactly `size` bytes from there. */
static int read_at(const struct image *image, uint64_t start, uint8_t *ret, size_t size, struct error *error)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = pread(image->fd, ret + done, size - done, (off_t)(start + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(error, errno, "cannot read \"%s\"", image->path);
        if (n == 0)
            return error_set(error, ERROR_METADATA, "\"%s\" ends before what its headers name", image->path);
        done += (size_t)n;
    }
    return 0;
}

static void image_close(struct image *image)
{
    close_fd(&image->fd);
    free(image->headers);
}

static int image_open(const char *path, struct image *ret, struct error *error)
{
    struct stat status;
    int r;

    *ret = (struct image){ .path = path, .fd = -1 };
    r = program_open(path, &ret->fd, error);
    if (r)
        return r;
    if (fstat(ret->fd, &status) < 0)
        return error_errno(error, errno, "cannot read \"%s\"", path);
    ret->headers_size = status.st_size < PE_MAX_HEADER_BYTES ? (size_t)status.st_size : PE_MAX_HEADER_BYTES;
    ret->headers = malloc(ret->headers_size + 1);
    if (!ret->headers)
        return error_no_memory(error);
    r = read_at(ret, 0, ret->headers, ret->headers_size, error);
    if (!r && !parse_layout(cursor_new(ret->headers, ret->headers_size), &ret->layout))
        r = error_set(error, ERROR_METADATA, "\"%s\" is no PE image", path);
    return r;
}

/* A part of the file, whose size is capped. */
static int read_part(const struct image *image, uint64_t start, uint32_t size, uint8_t **ret, size_t *ret_size,
                     struct error *error)
{
    cleanup(free_ptr) uint8_t *part = malloc((size_t)size + 1);
    int r = part ? read_at(image, start, part, size, error) : error_no_memory(error);

    if (r)
        return r;
    *ret = take_ptr(part);
    *ret_size = size;
    return 0;
}

int program_certificates(const char *path, uint8_t **ret, size_t *ret_size, struct error *error)
{
    cleanup(image_close) struct image image;
    int r = image_open(path, &image, error);

    *ret = NULL;
    *ret_size = 0;
    if (r || image.layout.certificates_size == 0)
        return r;
    if (image.layout.certificates_size > PROGRAM_SIGNATURES_MAX_BYTES)
        return error_set(error, ERROR_METADATA, "\"%s\" has more than %d bytes of signatures", path,
                         PROGRAM_SIGNATURES_MAX_BYTES);
    return read_part(&image, image.layout.certificates, image.layout.certificates_size, ret, ret_size, error);
}

/* Compares a section's name; one that does not fit is "/" and where it is among the strings. */
static bool is_named(const struct image *image, const uint8_t *field, const char *name)
{
    char short_name[SECTION_NAME_BYTES + 1] = { 0 }, long_name[LONG_NAME_MAX];
    struct error ignored;
    size_t size = strlen(name) + 1;
    unsigned long offset;
    char *end;

    memcpy(short_name, field, SECTION_NAME_BYTES);
    if (short_name[0] != '/')
        return strcmp(short_name, name) == 0;
    offset = strtoul(short_name + 1, &end, 10);
    return *end == '\0' && image->layout.strings && size <= sizeof(long_name) &&
           !read_at(image, image->layout.strings + offset, (uint8_t *)long_name, size, &ignored) &&
           memcmp(long_name, name, size) == 0;
}

/* The header of the section of that name; false when there is none. */
static bool find_section(const struct image *image, const char *name, uint32_t *ret_start, uint32_t *ret_size)
{
    struct cursor headers = cursor_new(image->headers, image->headers_size);
    uint32_t virtual_size, raw_size;
    struct span field;

    for (uint16_t i = 0; i < image->layout.section_count; i++) {
        if (!seek(&headers, image->layout.sections + (uint64_t)i * SECTION_HEADER_BYTES) ||
            !cursor_span(&headers, SECTION_NAME_BYTES, &field) || !cursor_u32(&headers, &virtual_size) ||
            !cursor_skip(&headers, 4) || !cursor_u32(&headers, &raw_size) || !cursor_u32(&headers, ret_start))
            return false;
        if (!is_named(image, field.bytes, name))
            continue;
        *ret_size = virtual_size < raw_size ? virtual_size : raw_size;
        return true;
    }
    return false;
}

int program_section(const char *path, const char *name, uint8_t **ret, size_t *ret_size, struct error *error)
{
    cleanup(image_close) struct image image;
    uint32_t start, size;
    int r = image_open(path, &image, error);

    *ret = NULL;
    *ret_size = 0;
    if (r || !find_section(&image, name, &start, &size))
        return r;
    if (size > PROGRAM_SECTION_MAX_BYTES)
        return error_set(error, ERROR_METADATA, "the section %s of \"%s\" holds more than %d bytes", name, path,
                         PROGRAM_SECTION_MAX_BYTES);
    return read_part(&image, start, size, ret, ret_size, error);
}
