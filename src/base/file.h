/*
 * Small files. Reading is capped. Writing is atomic and durable: a temporary file beside the target, fsync, rename,
 * fsync of the folder; after a power cut the old contents or the new ones are there, never half.
 */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Reads a whole file of at most `max` bytes into a NUL-terminated buffer that the caller frees. A missing file is
 * ERROR_FAILED with *ret NULL; file_exists() tells beforehand. `ret_size` may be NULL. */
int file_read(const char *path, size_t max, char **ret, size_t *ret_size, struct error *error);

/* Reads a whole file, or standard input for "-", into a secret, as it stands: see secret_chomp(). */
int file_read_secret(const char *path, size_t max, struct secret *ret, struct error *error);

/* Replaces or makes the file with exactly these bytes and this mode. */
int file_write(const char *path, const void *bytes, size_t size, mode_t mode, struct error *error);

/* Removes the file if it is there, and syncs its folder. */
int file_remove(const char *path, struct error *error);

/* Whether there is a file, folder or link of that name; ERROR_FAILED when that cannot be told. */
int file_find(const char *path, bool *ret, struct error *error);

/* False only when it is certain that nothing is there: what cannot be looked at fails when it is opened. */
bool file_exists(const char *path);

/* Gives the file another name in place of what has that, and syncs both folders. */
int file_move(const char *from, const char *to, struct error *error);

/* A second name for the same file; one that is there already is left as it is, and is success. */
int file_link(const char *from, const char *to, struct error *error);

/* Overwrites the bytes where they lie, then removes the file if it is there. How much of that a flash disk does is its
 * own affair. */
int file_wipe(const char *path, struct error *error);

/* Removes a folder that is empty, if it is there, and syncs the one above. */
int file_remove_folder(const char *path, struct error *error);

/* "FOLDER/NAME", freed by the caller; NULL when memory is short. */
char *file_path(const char *folder, const char *name);

/* Makes the folder and the ones above it. The last one gets the mode; one that exists keeps its own. */
int file_make_folder(const char *path, mode_t mode, struct error *error);

/* ERROR_FAILED unless the path is owned by this process's effective user and closed to group and others. */
int file_check_private(const char *path, struct error *error);

/* The same for the folder and all that is in it, at any depth: anything but files and folders is refused. */
int file_check_private_folder(const char *path, struct error *error);
