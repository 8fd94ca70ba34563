/*
 * The header of a LUKS2 volume in a file, as somebody with the disk in his hands edits it: both copies, checksums made
 * right. The volume behind it stays.
 */
#pragma once

#include "base/hash.h"

struct json_object;

struct hostile_header {
    int fd;
    size_t copy_size; /* of one of the two */
    uint8_t *copies;  /* as they were */
    struct json_object *metadata;
};

/* Keeps the header that the file has now. */
void hostile_header_keep(const char *path, struct hostile_header *ret);

/*
 * Writes the header that was kept, changed by these lines: "MEMBER JSON" sets one ("tokens/1/kdf/iterations 5"),
 * "MEMBER" removes it, a line that starts with "{" is the metadata as a whole. What is not JSON is left out.
 */
void hostile_header_write(const struct hostile_header *header, struct span lines);

void hostile_header_free(struct hostile_header *header);
