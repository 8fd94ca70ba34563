/* GRUB's environment block: grubenv, a file of fixed size with a line for each variable, filled up with "#". */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct environment {
    char *bytes; /* borrowed; of fixed size */
    size_t size;
};

/* True when the bytes are one, by the line that it starts with. */
bool environment_is_good(const struct environment *environment);

/* The next variable from *offset on, which starts at 0. Name and value have room for environment->size bytes each;
 * false at the end, or where the block is broken and GRUB stops. */
bool environment_next(const struct environment *environment, size_t *offset, char *name, char *value);

/* Sets a variable as GRUB does; false when it has no room or the block is broken. */
bool environment_set(struct environment *environment, const char *name, const char *value);

void environment_remove(struct environment *environment, const char *name);
