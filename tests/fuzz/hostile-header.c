#include "hostile-header.h"

#include "base/cleanup.h"
#include "fuzz.h"

#include <fcntl.h>
#include <string.h>

/* LUKS2 On-Disk Format Specification 1.1, 2.1 */
#define BINARY_BYTES 4096
#define SIZE_AT 8
#define CHECKSUM_AT 0x1c0
#define CHECKSUM_BYTES 64
#define COPY_MAX (4 * 1024 * 1024)

void hostile_header_keep(const char *path, struct hostile_header *ret)
{
    uint8_t size[8];

    ret->fd = open(path, O_RDWR | O_CLOEXEC);
    fuzz_require(ret->fd >= 0 && pread(ret->fd, size, sizeof(size), SIZE_AT) == sizeof(size));
    ret->copy_size = 0;
    for (size_t i = 0; i < sizeof(size); i++)
        ret->copy_size = ret->copy_size << 8 | size[i];
    fuzz_require(ret->copy_size > BINARY_BYTES && ret->copy_size <= COPY_MAX);
    ret->copies = malloc(2 * ret->copy_size);
    fuzz_require(ret->copies && pread(ret->fd, ret->copies, 2 * ret->copy_size, 0) == (ssize_t)(2 * ret->copy_size));
    fuzz_require(ret->copies[ret->copy_size - 1] == '\0');
    ret->metadata = json_tokener_parse((const char *)ret->copies + BINARY_BYTES);
    fuzz_require(ret->metadata);
}

/* Sets the member, if the objects on the way to it are there. */
static void set_member(struct json_object *metadata, char *path, const char *json)
{
    struct json_object *parent = metadata;
    char *rest = path, *name = strsep(&rest, "/");

    for (; rest; name = strsep(&rest, "/"))
        if (!json_object_is_type(parent, json_type_object) || !json_object_object_get_ex(parent, name, &parent))
            return;
    if (!json_object_is_type(parent, json_type_object))
        return;
    json_object_object_del(parent, name);
    if (json)
        json_object_object_add(parent, name, json_tokener_parse(json));
}

static void apply_line(struct json_object *metadata, char *line)
{
    char *space = strchr(line, ' ');

    if (space)
        *space++ = '\0';
    set_member(metadata, line, space);
}

static void write_copy(const struct hostile_header *header, size_t i, const char *metadata)
{
    size_t room = header->copy_size - BINARY_BYTES, size = strnlen(metadata, room - 1);
    cleanup(free_ptr) uint8_t *copy = malloc(header->copy_size);
    struct span all = { copy, header->copy_size };
    struct error error;

    fuzz_require(copy);
    memcpy(copy, header->copies + i * header->copy_size, BINARY_BYTES);
    memset(copy + BINARY_BYTES, 0, room);
    memcpy(copy + BINARY_BYTES, metadata, size);
    memset(copy + CHECKSUM_AT, 0, CHECKSUM_BYTES);
    fuzz_require(!hash_compute(HASH_SHA256, &all, 1, copy + CHECKSUM_AT, &error));
    fuzz_require(pwrite(header->fd, copy, header->copy_size, (off_t)(i * header->copy_size)) ==
                 (ssize_t)header->copy_size);
}

void hostile_header_write(const struct hostile_header *header, struct span lines)
{
    cleanup(free_ptr) char *text = fuzz_text(lines);
    struct json_object *metadata = NULL;
    const char *whole = NULL;
    char *rest = text;

    fuzz_require(json_object_deep_copy(header->metadata, &metadata, NULL) == 0);
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        if (line[0] == '{')
            whole = line;
        else if (line[0])
            apply_line(metadata, line);
    if (!whole)
        whole = json_object_to_json_string_ext(metadata, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    fuzz_require(whole);
    for (size_t i = 0; i < 2; i++)
        write_copy(header, i, whole);
    json_object_put(metadata);
}

void hostile_header_free(struct hostile_header *header)
{
    close(header->fd);
    free(header->copies);
    json_object_put(header->metadata);
}
