/*
 * What a boot will extend into the PCRs, in its order: the answer of everyone who predicts a part of a boot. Beside it
 * the files that the answer rests on, each with the SHA-256 of the very bytes that were read for it: whoever approves a
 * prediction compares these with the record of boot files, so that nothing can be exchanged in between.
 *
 * One bank at a time. All zero is no list; extend_list_init() makes an empty one.
 */
#pragma once

#include "base/pcr.h"

#define EXTEND_LIST_MAX 8192       /* as in an event log */
#define EXTEND_LIST_FILES_MAX 1024 /* GRUB's longest menus name some dozen */

struct extend {
    unsigned pcr;
    uint8_t digest[HASH_MAX_BYTES]; /* hash_size(bank) bytes */
    char *text;                     /* what it is, for people: "grub_cmd: set default=0" */
};

struct boot_file {
    char *path; /* on the running system */
    struct digest sha256;
};

struct extend_list {
    enum hash_algorithm bank;
    struct extend *items;
    size_t count;
    struct boot_file *files; /* none twice */
    size_t file_count;
};

/* ERROR_USAGE for an algorithm that hash.h does not know. */
int extend_list_init(struct extend_list *list, enum hash_algorithm bank, struct error *error);
void extend_list_free(struct extend_list *list);

/* Adds one event with this digest; `text` is copied. A list that becomes longer than the limits is ERROR_FAILED, as in
 * all of these. */
int extend_list_add(struct extend_list *list, unsigned pcr, const uint8_t *digest, const char *text,
                    struct error *error);

/* Adds an event with the digest of these bytes. */
int extend_list_add_data(struct extend_list *list, unsigned pcr, const void *data, size_t size, const char *text,
                         struct error *error);

/* Adds a file that the list rests on without an event of its own. One that is there with another hash was changed
 * while the prediction was made: ERROR_FAILED. */
int extend_list_add_source(struct extend_list *list, const char *path, const struct digest *sha256,
                           struct error *error);

/* Appends a copy of all that another list of the same bank has. */
int extend_list_append(struct extend_list *list, const struct extend_list *other, struct error *error);

/* Extends what the list has for the PCRs of values->mask into `values`, of the list's bank. */
int extend_list_apply(const struct extend_list *list, struct pcr_values *values, struct error *error);
