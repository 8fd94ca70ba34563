#include "measure/pe-image.h"

#include "base/cleanup.h"
#include "base/cursor.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* PE format, Microsoft, "PE Format": offsets in the headers */
#define DOS_PE_OFFSET 0x3c
#define COFF_BYTES 20 /* after the signature "PE\0\0" */
#define OPTIONAL_IMAGE_VERSION 44
#define OPTIONAL_HEADERS_SIZE 60
#define OPTIONAL_CHECKSUM 64
#define OPTIONAL_PE32_COUNT 92   /* NumberOfRvaAndSizes, before the directories */
#define OPTIONAL_PE32P_COUNT 108 /* the same in PE32+ */
#define DIRECTORY_BYTES 8
#define CERTIFICATE_DIRECTORY 4
#define MAX_DIRECTORIES 16
#define MAGIC_PE32 0x10b
#define MAGIC_PE32P 0x20b

static int fault(const struct pe_image *image, struct error *error, const char *what)
{
    return error_set(error, ERROR_METADATA, "\"%s\" is no PE image as firmware would start: %s", image->path, what);
}

/* Exactly headers_read bytes from the image's start. */
static int read_headers(struct pe_image *image, struct error *error)
{
    size_t done = 0;

    while (done < image->headers_read) {
        ssize_t n = pread(image->fd, image->headers + done, image->headers_read - done, (off_t)(image->base + done));

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

static bool read_u16(const struct cursor *headers, uint64_t offset, uint16_t *ret)
{
    struct cursor place;

    return at(headers, offset, &place) && cursor_u16(&place, ret);
}

static bool read_u32(const struct cursor *headers, uint64_t offset, uint32_t *ret)
{
    struct cursor place;

    return at(headers, offset, &place) && cursor_u32(&place, ret);
}

/* The data directories, of which the certificates' is the only one with a file offset. */
static int parse_directories(const struct cursor *headers, uint64_t optional, uint16_t optional_size, uint16_t magic,
                             struct pe_image *image, struct error *error)
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
    image->certificates_size = size;
    if (size > 0 && (uint64_t)start + size != image->size)
        return fault(image, error, "its signatures are not the end of the file");
    return 0;
}

static int parse_optional_header(const struct cursor *headers, uint64_t optional, uint16_t optional_size,
                                 struct pe_image *image, struct error *error)
{
    uint32_t headers_size;
    uint16_t magic;

    if (!read_u16(headers, optional, &magic) ||
        !read_u16(headers, optional + OPTIONAL_IMAGE_VERSION, &image->major_image_version) ||
        !read_u32(headers, optional + OPTIONAL_HEADERS_SIZE, &headers_size))
        return fault(image, error, "it ends within its headers");
    if (magic != MAGIC_PE32 && magic != MAGIC_PE32P)
        return fault(image, error, "its optional header is of no known kind");
    image->checksum = optional + OPTIONAL_CHECKSUM;
    image->headers_size = headers_size;
    return parse_directories(headers, optional, optional_size, magic, image, error);
}

/* From the DOS header to where the section headers start. */
static int parse_headers(const struct cursor *headers, struct pe_image *image, uint64_t *ret_sections_start,
                         struct error *error)
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
    if (!cursor_u16(&place, &image->machine) || !cursor_u16(&place, &image->section_count) ||
        !cursor_skip(&place, 12) || !cursor_u16(&place, &optional_size))
        return fault(image, error, "it ends within its headers");
    *ret_sections_start = (uint64_t)pe + 4 + COFF_BYTES + optional_size;
    return parse_optional_header(headers, (uint64_t)pe + 4 + COFF_BYTES, optional_size, image, error);
}

/* Keeps them sorted by their place in the file, as they are hashed. */
static void add_used(struct pe_image *image, struct pe_range range)
{
    size_t i = image->used_count++;

    for (; i > 0 && image->used[i - 1].start > range.start; i--)
        image->used[i] = image->used[i - 1];
    image->used[i] = range;
}

static bool parse_section(struct cursor *place, struct pe_image *image, struct pe_section *ret)
{
    struct span name;
    uint32_t size, start;

    *ret = (struct pe_section){ 0 };
    if (!cursor_span(place, PE_SECTION_NAME, &name) || !cursor_u32(place, &ret->memory_size) ||
        !cursor_u32(place, &ret->address) || !cursor_u32(place, &size) || !cursor_u32(place, &start) ||
        !cursor_skip(place, 16))
        return false;
    memcpy(ret->name, name.bytes, strnlen(name.bytes, PE_SECTION_NAME));
    ret->content = (struct pe_range){ image->base + start, size };
    if (size > 0)
        add_used(image, (struct pe_range){ start, size });
    return true;
}

static int parse_sections(const struct cursor *headers, uint64_t start, struct pe_image *image, struct error *error)
{
    struct cursor place;

    if (image->section_count > PE_MAX_SECTIONS)
        return fault(image, error, "it has too many sections");
    if (!at(headers, start, &place))
        return fault(image, error, "it ends within its headers");
    for (uint16_t i = 0; i < image->section_count; i++)
        if (!parse_section(&place, image, &image->sections[i]))
            return fault(image, error, "it ends within its section headers");
    if (image->headers_size < place.offset || image->headers_size > headers->size)
        return fault(image, error, "the size of its headers cannot be");
    return 0;
}

/* No byte is in two sections, in a section and the headers, or in a section and the signatures. */
static int check_sections(const struct pe_image *image, struct error *error)
{
    uint64_t end = image->headers_size;

    for (size_t i = 0; i < image->used_count; i++) {
        if (image->used[i].start < end)
            return fault(image, error, "its sections overlap");
        end = image->used[i].start + image->used[i].size;
    }
    if (end > image->size - image->certificates_size)
        return fault(image, error, "its sections reach past the end of the file, or into the signatures");
    return 0;
}

int pe_image_parse(int fd, const char *path, uint64_t base, uint64_t size, struct pe_image *ret, struct error *error)
{
    struct cursor headers;
    uint64_t sections_start = 0;
    int r;

    *ret = (struct pe_image){ .path = path, .fd = fd, .base = base, .size = size };
    ret->headers_read = size < PE_MAX_HEADER_BYTES ? (size_t)size : PE_MAX_HEADER_BYTES;
    ret->headers = malloc(ret->headers_read + 1);
    r = ret->headers ? read_headers(ret, error) : error_no_memory(error);
    headers = cursor_new(ret->headers, ret->headers_read);
    r = r ?: parse_headers(&headers, ret, &sections_start, error);
    r = r ?: parse_sections(&headers, sections_start, ret, error);
    return r ?: check_sections(ret, error);
}

void pe_image_free(struct pe_image *image)
{
    free(image->headers);
    image->headers = NULL;
}

static void add_range(const struct pe_image *image, struct pe_range *ranges, size_t *count, uint64_t start,
                      uint64_t end)
{
    if (end > start)
        ranges[(*count)++] = (struct pe_range){ image->base + start, end - start };
}

/* Behind headers and sections comes what they have not covered, counted by bytes: where sections leave gaps the
 * specification hashes from there on, and so do firmware and shim. */
size_t pe_image_ranges(const struct pe_image *image, struct pe_range ret[PE_MAX_RANGES])
{
    uint64_t hashed = image->headers_size;
    uint64_t after_checksum = image->checksum + 4;
    size_t count = 0;

    add_range(image, ret, &count, 0, image->checksum);
    if (image->certificate_directory) {
        add_range(image, ret, &count, after_checksum, image->certificate_directory);
        after_checksum = image->certificate_directory + DIRECTORY_BYTES;
    }
    add_range(image, ret, &count, after_checksum, image->headers_size);
    for (size_t i = 0; i < image->used_count; i++) {
        add_range(image, ret, &count, image->used[i].start, image->used[i].start + image->used[i].size);
        hashed += image->used[i].size;
    }
    add_range(image, ret, &count, hashed, image->size - image->certificates_size);
    return count;
}

bool pe_image_has_gaps(const struct pe_image *image)
{
    uint64_t end = image->headers_size;

    for (size_t i = 0; i < image->used_count; i++) {
        if (image->used[i].start != end)
            return true;
        end += image->used[i].size;
    }
    return false;
}
