#include "measure/pe.h"

#include "base/cleanup.h"
#include "base/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* PE format, Microsoft, "PE Format": offsets in the headers */
#define DOS_PE_OFFSET 0x3c
#define COFF_BYTES 20 /* after the signature "PE\0\0" */
#define OPTIONAL_HEADERS_SIZE 60
#define OPTIONAL_CHECKSUM 64
#define OPTIONAL_PE32_COUNT 92   /* NumberOfRvaAndSizes, before the directories */
#define OPTIONAL_PE32P_COUNT 108 /* the same in PE32+ */
#define DIRECTORY_BYTES 8
#define CERTIFICATE_DIRECTORY 4
#define MAX_DIRECTORIES 16
#define MAGIC_PE32 0x10b
#define MAGIC_PE32P 0x20b

#define CHUNK_BYTES 65536
#define MAX_RANGES (PE_MAX_SECTIONS + 4) /* three of the headers, one behind the sections */

struct range {
    uint64_t start, size;
};

struct image {
    const char *path;
    int fd;
    uint64_t size;
    uint64_t checksum;              /* where it is */
    uint64_t certificate_directory; /* where that is; 0: there is none */
    uint64_t certificates_start, certificates_size;
    uint64_t sections_start; /* where the section headers are */
    uint64_t headers_size;
    uint16_t section_count;
    struct range sections[PE_MAX_SECTIONS];
    size_t used_sections; /* that have bytes in the file */
};

static int fault(const struct image *image, struct error *error, const char *what)
{
    return error_set(error, ERROR_METADATA, "\"%s\" is no PE image as firmware would start: %s", image->path, what);
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
            return error_set(error, ERROR_FAILED, "\"%s\" became shorter while it was read", image->path);
        done += (size_t)n;
    }
    return 0;
}

/* A cursor at an offset; false when that is past the end. */
static bool at(const struct cursor *headers, uint64_t offset, struct cursor *ret)
{
    *ret = *headers;
    ret->offset = 0;
    return cursor_skip(ret, offset);
}

static bool read_u32(const struct cursor *headers, uint64_t offset, uint32_t *ret)
{
    struct cursor place;

    return at(headers, offset, &place) && cursor_u32(&place, ret);
}

/* The data directories, of which the certificates' is the only one with a file offset. */
static int parse_directories(const struct cursor *headers, uint64_t optional, uint16_t optional_size, uint16_t magic,
                             struct image *image, struct error *error)
{
    uint64_t count_at = magic == MAGIC_PE32P ? OPTIONAL_PE32P_COUNT : OPTIONAL_PE32_COUNT;
    uint32_t count, start, size;

    if (optional_size < count_at + 4 || !read_u32(headers, optional + count_at, &count))
        return fault(image, error, "its optional header is too short");
    if (count > MAX_DIRECTORIES || optional_size < count_at + 4 + (uint64_t)count * DIRECTORY_BYTES)
        return fault(image, error, "it has more data directories than its optional header has room for");
    if (count <= CERTIFICATE_DIRECTORY)
        return 0;
    image->certificate_directory = optional + count_at + 4 + CERTIFICATE_DIRECTORY * DIRECTORY_BYTES;
    if (!read_u32(headers, image->certificate_directory, &start) ||
        !read_u32(headers, image->certificate_directory + 4, &size))
        return fault(image, error, "it ends within its headers");
    image->certificates_start = start;
    image->certificates_size = size;
    if (size > 0 && (uint64_t)start + size != image->size)
        return fault(image, error, "its signatures are not the end of the file");
    return 0;
}

static int parse_optional_header(const struct cursor *headers, uint64_t optional, uint16_t optional_size,
                                 struct image *image, struct error *error)
{
    struct cursor place;
    uint32_t headers_size;
    uint16_t magic;

    if (!at(headers, optional, &place) || !cursor_u16(&place, &magic) ||
        !read_u32(headers, optional + OPTIONAL_HEADERS_SIZE, &headers_size))
        return fault(image, error, "it ends within its headers");
    if (magic != MAGIC_PE32 && magic != MAGIC_PE32P)
        return fault(image, error, "its optional header is of no known kind");
    image->checksum = optional + OPTIONAL_CHECKSUM;
    image->headers_size = headers_size;
    return parse_directories(headers, optional, optional_size, magic, image, error);
}

/* From the DOS header to where the section headers start. */
static int parse_headers(const struct cursor *headers, struct image *image, struct error *error)
{
    struct cursor place;
    struct span signature;
    uint32_t pe;
    uint16_t optional_size;

    if (!at(headers, 0, &place) || !cursor_span(&place, 2, &signature) || memcmp(signature.bytes, "MZ", 2) != 0)
        return fault(image, error, "it does not start with \"MZ\"");
    if (!read_u32(headers, DOS_PE_OFFSET, &pe) || !at(headers, pe, &place) || !cursor_span(&place, 4, &signature) ||
        memcmp(signature.bytes, "PE\0", 4) != 0)
        return fault(image, error, "it has no PE header");
    if (!cursor_skip(&place, 2) || !cursor_u16(&place, &image->section_count) || !cursor_skip(&place, 12) ||
        !cursor_u16(&place, &optional_size))
        return fault(image, error, "it ends within its headers");
    image->sections_start = (uint64_t)pe + 4 + COFF_BYTES + optional_size;
    return parse_optional_header(headers, (uint64_t)pe + 4 + COFF_BYTES, optional_size, image, error);
}

/* Keeps the sections sorted by their place in the file, as they are hashed. */
static void add_section(struct image *image, struct range section)
{
    size_t i = image->used_sections++;

    for (; i > 0 && image->sections[i - 1].start > section.start; i--)
        image->sections[i] = image->sections[i - 1];
    image->sections[i] = section;
}

static int parse_sections(const struct cursor *headers, struct image *image, struct error *error)
{
    struct cursor place;
    uint32_t size, start;

    if (image->section_count > PE_MAX_SECTIONS)
        return fault(image, error, "it has too many sections");
    if (!at(headers, image->sections_start, &place))
        return fault(image, error, "it ends within its headers");
    for (uint16_t i = 0; i < image->section_count; i++) {
        if (!cursor_skip(&place, 16) || !cursor_u32(&place, &size) || !cursor_u32(&place, &start) ||
            !cursor_skip(&place, 16))
            return fault(image, error, "it ends within its section headers");
        if (size > 0)
            add_section(image, (struct range){ start, size });
    }
    if (image->headers_size < place.offset || image->headers_size > headers->size)
        return fault(image, error, "the size of its headers cannot be");
    return 0;
}

/* No byte is in two sections, in a section and the headers, or in a section and the signatures. */
static int check_sections(const struct image *image, struct error *error)
{
    uint64_t end = image->headers_size;

    for (size_t i = 0; i < image->used_sections; i++) {
        if (image->sections[i].start < end)
            return fault(image, error, "its sections overlap");
        end = image->sections[i].start + image->sections[i].size;
    }
    if (end > image->size - image->certificates_size)
        return fault(image, error, "its sections reach past the end of the file, or into the signatures");
    return 0;
}

static int parse(struct image *image, struct error *error)
{
    size_t size = image->size < PE_MAX_HEADER_BYTES ? (size_t)image->size : PE_MAX_HEADER_BYTES;
    cleanup(free_ptr) uint8_t *bytes = malloc(size + 1);
    struct cursor headers = cursor_new(bytes, size);
    int r = bytes ? read_at(image, 0, bytes, size, error) : error_no_memory(error);

    r = r ?: parse_headers(&headers, image, error);
    r = r ?: parse_sections(&headers, image, error);
    return r ?: check_sections(image, error);
}

static void add_range(struct range *ranges, size_t *count, uint64_t start, uint64_t end)
{
    if (end > start)
        ranges[(*count)++] = (struct range){ start, end - start };
}

/* What is hashed, in order. Behind headers and sections comes what they have not covered, counted by bytes: where
 * sections leave gaps the specification hashes from there on, and so do firmware and shim. */
static size_t list_ranges(const struct image *image, struct range ranges[MAX_RANGES])
{
    uint64_t hashed = image->headers_size;
    uint64_t after_checksum = image->checksum + 4;
    size_t count = 0;

    add_range(ranges, &count, 0, image->checksum);
    if (image->certificate_directory) {
        add_range(ranges, &count, after_checksum, image->certificate_directory);
        after_checksum = image->certificate_directory + DIRECTORY_BYTES;
    }
    add_range(ranges, &count, after_checksum, image->headers_size);
    for (size_t i = 0; i < image->used_sections; i++) {
        ranges[count++] = image->sections[i];
        hashed += image->sections[i].size;
    }
    add_range(ranges, &count, hashed, image->size - image->certificates_size);
    return count;
}

static int hash_range(const struct image *image, struct range range, struct hash_state *state, uint8_t *chunk,
                      struct error *error)
{
    int r = 0;

    while (!r && range.size > 0) {
        size_t size = range.size < CHUNK_BYTES ? (size_t)range.size : CHUNK_BYTES;

        r = read_at(image, range.start, chunk, size, error);
        r = r ?: hash_add(state, chunk, size, error);
        range.start += size;
        range.size -= size;
    }
    return r;
}

static int hash_image(const struct image *image, enum hash_algorithm algorithm, uint8_t *ret, struct error *error)
{
    cleanup(hash_state_free) struct hash_state *state = NULL;
    cleanup(free_ptr) uint8_t *chunk = malloc(CHUNK_BYTES);
    struct range ranges[MAX_RANGES];
    size_t count = list_ranges(image, ranges);
    int r = chunk ? hash_start(algorithm, &state, error) : error_no_memory(error);

    for (size_t i = 0; !r && i < count; i++)
        r = hash_range(image, ranges[i], state, chunk, error);
    return r ?: hash_finish(state, ret, error);
}

int pe_hash(const char *path, enum hash_algorithm algorithm, uint8_t *ret, struct error *error)
{
    cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct image image = { .path = path, .fd = fd };
    struct stat status;
    int r;

    if (fd < 0)
        return error_errno(error, errno, "cannot open \"%s\"", path);
    if (fstat(fd, &status) < 0)
        return error_errno(error, errno, "cannot read \"%s\"", path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_FAILED, "\"%s\" is no file", path);
    image.size = (uint64_t)status.st_size;
    r = parse(&image, error);
    return r ?: hash_image(&image, algorithm, ret, error);
}
