/*
 * Files of a boot partition, as a boot loader names them: by a path within the file system. The folder where that is
 * mounted is trusted, what is in it is not: symbolic links and ".." lead nowhere, and only regular files are opened.
 */
#pragma once

#include "base/hash.h"

#define BOOT_FILE_MAX_BYTES (2ULL * 1024 * 1024 * 1024) /* an initrd with everything has some hundred MiB */
#define BOOT_FOLDER_MAX_FILES 1024                      /* of the kind that is looked for */
#define BOOT_NAME_MAX 255

struct boot_file_handle {
    int fd;
    char *path; /* on the running system: the folder's and the one within it */
    uint64_t size;
};

/* Opens "/EFI/…" within the folder. Not there: ERROR_NONE with fd -1. Something that a boot loader may see otherwise
 * (links, "..", no regular file, larger than the limit): ERROR_METADATA. */
int boot_file_open(const char *folder, const char *path, struct boot_file_handle *ret, struct error *error);
void boot_file_close(struct boot_file_handle *file);

/* Reads the whole file, of at most `max` bytes, into a buffer of its own with a NUL behind it, and its SHA-256. */
int boot_file_read(const struct boot_file_handle *file, size_t max, char **ret, struct digest *ret_sha256,
                   struct error *error);

struct boot_names {
    char **items;
    size_t count;
};

/* The names of a folder's files that end with the suffix, of any case, sorted by their bytes; hidden ones (".…") and
 * folders are left out, as systemd's programs do. A folder that is not there has none. More than the limit, links and
 * special files: ERROR_METADATA. */
int boot_folder_names(const char *folder, const char *path, const char *suffix, struct boot_names *ret,
                      struct error *error);
void boot_names_free(struct boot_names *names);
