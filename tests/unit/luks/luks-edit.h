/*
 * LUKS2 volumes for tests, in plain files and with no kernel help, and the attacker's editor for their headers: changes
 * the JSON metadata, or the UUID, of both copies and makes the checksums right again. (tests/lib/luks_edit.py is the
 * same for tests in Python.)
 *
 * Whatever goes wrong here fails the running cmocka test.
 */
#pragma once

#include "base/secret.h"

#include <json-c/json.h>
#include <limits.h>

#define LUKS_FILE_PASSPHRASE "a passphrase known to the tests"
#define LUKS_FILE_UUID "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071"

struct luks_form {             /* each empty value: as in the comment */
    const char *type;          /* LUKS2 */
    const char *cipher, *mode; /* "aes", "xts-plain64" */
    size_t key_size_bytes;     /* 64 */
    uint32_t sector_size;      /* 512 */
    uint64_t keyslots_bytes;   /* 1 MiB: room for four keyslots */
    bool no_keyslot;           /* one, number 0, with LUKS_FILE_PASSPHRASE */
};

struct luks_file {
    char path[PATH_MAX];
};

/* Formats a new file under $TMPDIR. */
void luks_file_make(struct luks_file *ret, const struct luks_form *form);

/* The one volume of a test: setup and teardown of a case that wants the default form. */
extern struct luks_file luks_case;
int luks_case_make(void **state);
int luks_case_remove(void **state);

/* Adds a keyslot that holds a random key of its own, bound to no segment. */
void luks_file_add_unbound(const struct luks_file *file, int keyslot, const char *passphrase);

/* Makes a file of this size that holds nothing but zeros. */
void luks_file_make_plain(struct luks_file *ret, off_t size_bytes);

void luks_file_remove(struct luks_file *file);

/* Everything that a test may want to compare: the SHA-256 of the whole file. */
void luks_file_digest(const struct luks_file *file, uint8_t ret[32]);

/* Overwrites bytes. */
void luks_file_poke(const struct luks_file *file, off_t at, const void *bytes, size_t size);

/* Lets `edit` change the metadata as it likes. */
void luks_edit(const char *path, void (*edit)(struct json_object *metadata, const void *context), const void *context);

/* The member at "segments/0/offset", which must be there unless the last part is new. */
struct json_object *luks_member(struct json_object *metadata, const char *path);

/* luks_edit() that sets the member at the path to the JSON text, or removes it when the text is NULL. */
void luks_set(const char *path, const char *member, const char *json);

void luks_set_uuid(const char *path, const char *uuid);
