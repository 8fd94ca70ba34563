/*
 * Within predict/grub: files as GRUB names them, "(hd0,gpt2)/grub/grub.cfg" or, on the device of $root, "/vmlinuz",
 * found on the running system through the boot places. Each file is read once in a prediction: what is interpreted is
 * what is hashed, and a second look sees the same.
 *
 * GRUB sees a file system bare: symbolic links and mount points on the way are refused, not followed.
 */
#pragma once

#include "measure/predict/grub/grub.h"
#include "measure/predict/grub/pool.h"
#include "measure/predict/hashed-file.h"

#define GRUB_READ_MAX (1024 * 1024)          /* of what is interpreted */
#define GRUB_HASH_MAX (2048LL * 1024 * 1024) /* of what is only hashed: an initrd with everything in it */

enum grub_file_kind { GRUB_FILE_NONE, GRUB_FILE_REGULAR, GRUB_FILE_FOLDER };

struct grub_file {
    const char *path; /* on the running system */
    const struct boot_place *place;
    const char *name; /* in the place */
    enum grub_file_kind kind;
    uint64_t size;
    bool hashed;
    uint8_t digest[HASH_MAX_BYTES]; /* in the bank, of what GRUB sees now */
    struct digest sha256;           /* of what is there, not of what GRUB wrote since */
    uint8_t head[HASHED_FILE_HEAD_BYTES];
    bool loaded;
    char *bytes;  /* once loaded: as GRUB sees them now */
    bool foreign; /* only hashes are known */
    bool written;
    struct grub_file *next;
};

struct grub_files {
    const struct grub_request *request;
    struct pool *pool;
    struct grub_file *items;
};

/* The place that a device's name ("hd0,gpt2") stands for. ERROR_FAILED when none or several do. */
int grub_files_place(const struct grub_files *files, const char *device, const struct boot_place **ret,
                     struct error *error);

/* The file of this name in a place; one that is not there has the kind GRUB_FILE_NONE. */
int grub_files_find(struct grub_files *files, const struct boot_place *place, const char *name, struct grub_file **ret,
                    struct error *error);

/* Hashes the file as it is now. */
int grub_file_hash(struct grub_files *files, struct grub_file *file, struct error *error);

/* Reads it as well; at most GRUB_READ_MAX bytes. */
int grub_file_load(struct grub_files *files, struct grub_file *file, struct error *error);

/* What GRUB writes: later looks see these bytes, in the pool. They must be as many as the file has. */
int grub_file_write(const struct grub_files *files, struct grub_file *file, char *bytes, struct error *error);
