/*
 * The small initrds (cpio archives, "newc") that systemd's stub makes at boot of files beside a unified kernel image
 * and of sections in it. Their bytes are never kept: they go into hashes as they come.
 */
#pragma once

#include "base/hash.h"

struct hash_sinks {
    struct hash_state *states[2]; /* each gets everything; NULL: none */
};

int hash_sinks_add(const struct hash_sinks *sinks, const void *bytes, size_t size, struct error *error);

struct initrd_archive {
    struct hash_sinks sinks;
    const char *folder; /* where its files will be: ".extra/credentials" */
    uint32_t file_mode; /* permissions */
    uint32_t next_inode;
};

/* Writes the folders: the last one with this mode, those above it with 0555. */
int initrd_archive_start(struct initrd_archive *archive, uint32_t folder_mode, struct error *error);

/* Writes a file's header; `size` bytes of content go to the sinks next, then initrd_archive_pad(). */
int initrd_archive_file(struct initrd_archive *archive, const char *name, uint32_t size, struct error *error);
int initrd_archive_pad(struct initrd_archive *archive, uint64_t size, struct error *error);

int initrd_archive_end(struct initrd_archive *archive, struct error *error);
