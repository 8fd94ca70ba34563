/*
 * What the files of this folder share. A call into libcryptsetup goes through volume_device(), so that the complaints
 * that volume_fail() tells are those of this call; and a call that was to write and failed is followed by
 * volume_reload(), because libcryptsetup leaves the half-made change in its copy of the header, and would write it with
 * the next one.
 */
#pragma once

#include "luks/token.h"
#include "luks/volume.h"

#define TOKEN_NAME_TEXT sizeof("token 31")
#define MAPPING_NAME_MAX 127 /* DM_NAME_LEN of linux/dm-ioctl.h, without the NUL */

struct crypt_device;

struct volume {
    struct crypt_device *device;
    char *path;
    char uuid[VOLUME_UUID_TEXT];
    char complaint[512]; /* libcryptsetup's error messages of the present call */
    bool stale;          /* the header in memory is not the one on disk, and could not be read again */
    char token_names[VOLUME_MAX_TOKENS][TOKEN_NAME_TEXT];
};

/* Collects what libcryptsetup says about this handle from now on, instead of having it printed. */
void volume_listen(struct volume *volume);

/* libcryptsetup's handle, its complaints so far forgotten. */
struct crypt_device *volume_device(struct volume *volume);

/* ERROR_FAILED: the path, the words, then libcryptsetup's complaints or, when it made none, its negative errno. */
int volume_fail(struct volume *volume, int code, struct error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Reads the header again after a failed change. */
void volume_reload(struct volume *volume);

/* 36 characters, hexadecimal digits in groups of 8-4-4-4-12. */
bool uuid_is_valid(const char *text);

/* ---- probe.c: why libcryptsetup does not take it ---- */

/* Sets ERROR_NOT_LUKS2 from what lies at the places where a LUKS header would be. */
int probe_explain(int fd, const char *path, struct error *error);

/* ---- metadata.c: the header's JSON, parsed afresh ---- */

/* The whole document. `ret_view` (kind ERROR_METADATA) borrows from *ret. */
int metadata_read(struct volume *volume, struct json_object **ret, struct json_view *ret_view, struct error *error);

/* The members of `object` that are numbered "0" to "31" and no others, as a mask. */
int metadata_numbers(const struct json_view *object, const char *name, uint32_t *ret_mask, struct error *error);

/* Member `number` of the top-level object `name`; ERROR_METADATA when there is none. */
int metadata_item(const struct json_view *metadata, const char *name, int number, struct json_view *ret,
                  struct error *error);

/* A decimal number in a string, as LUKS2 writes 64-bit values. */
int metadata_decimal(const struct json_view *view, const char *key, uint64_t *ret, struct error *error);

/* True when an array view holds the string. */
bool metadata_lists(const struct json_view *array, const char *text);

/* ---- keyslot.c ---- */

/* ERROR_METADATA when opening this keyslot would take more time or memory than its kind does, or when it is not in use;
 * CRYPT_ANY_SLOT passes. */
int keyslot_check_cost(struct volume *volume, int keyslot, struct error *error);

/* ---- room.c: what still fits ---- */

/* ERROR_REFUSED unless the document, with `extra` bytes more, fits into the header's JSON area. */
int room_for_json(struct volume *volume, struct json_object *metadata, size_t extra, struct error *error);

/* ERROR_REFUSED unless the gaps between the keyslots' areas hold so many more for a key of this size. */
int room_for_keyslots(const struct json_view *metadata, size_t key_size_bytes, unsigned wanted, struct error *error);

/* ---- token.c ---- */

/* A new token, or a copy of `base` with its other keys: with this "type", "keyslots" (none when keyslot is -1) and
 * "version". */
int token_begin(struct json_object *base, const char *type, int keyslot, struct json_object **ret,
                struct error *error);

/* The one keyslot; -1 when the list is empty. */
int token_get_keyslot(const struct json_view *view, int *ret, struct error *error);
int token_get_time(const struct json_view *view, const char *key, char ret[TOKEN_TIME_TEXT], struct error *error);

/* ---- resolve.c, mapping.c ---- */

struct system_folders {  /* where the system shows its devices: constants, but for the unit tests */
    const char *sysfs;   /* "/sys" */
    const char *dev;     /* "/dev" */
    const char *by_uuid; /* "/dev/disk/by-uuid" */
};
extern const struct system_folders system_folders;

/* The path of the device that holds the header. The caller frees *ret. */
int resolve_device(const struct system_folders *folders, const char *device, char **ret, struct error *error);

/* The sysfs folder of a mapping ("/sys/block/dm-3"), freed by the caller; *ret is NULL when the name is free. */
int mapping_find(const struct system_folders *folders, const char *name, char **ret, struct error *error);

/* One line of the mapping's dm folder ("name", "uuid"), freed by the caller; empty when it cannot be read. */
char *mapping_attribute(const char *folder, const char *attribute);

int mapping_state(const struct system_folders *folders, const char *name, const char *uuid, enum mapping_state *ret,
                  struct error *error);

#define MAPPINGS_MAX 64 /* of one volume: more than one is strange already */

struct mapping_names {
    char *names[MAPPINGS_MAX];
    size_t count;
};
void mapping_names_free(struct mapping_names *names);

/* The names of all mappings that LUKS2 made of the volume with this UUID; NULL: of all that encrypt. */
int mapping_list(const struct system_folders *folders, const char *uuid, struct mapping_names *ret,
                 struct error *error);

/* The mapping's size, 0 when it cannot be told. */
uint64_t mapping_size_sectors(const char *folder);

/* The names of the mappings that lie on this one (logical volumes), those on top first. `folder` is its sysfs folder. */
int mapping_holders(const char *folder, struct mapping_names *ret, struct error *error);

/* ---- device-mapper.c: its own word on a mapping, and its removal ---- */

struct dm_ioctl;

/*
 * One call of device mapper's, on the mapping that head->uuid or head->name says; the rest of head is filled in here. The
 * answer takes the place of the head, with `size` bytes in all. Returns 0 or an errno.
 */
int device_mapper_call(unsigned long request, struct dm_ioctl *head, size_t size);

/* Removes whatever kind of mapping has the name; udev is not waited for. Returns 0 or an errno. */
int device_mapper_remove(const char *name);

/*
 * Puts a table in the place of the mapping's that fails every access, whoever uses it: the old one ends, and what it
 * holds, a key, is wiped by the kernel. Returns 0 when that is what runs now, or an errno.
 */
int device_mapper_cut_off(const char *name, uint64_t size_sectors);

/* ---- mapping-table.c: what a mapping does, as the kernel tells it ---- */

struct mapping_table {
    char cipher[VOLUME_CIPHER_TEXT];
    uint64_t iv_offset_sectors;
    struct blockdev device; /* that holds the data */
    uint64_t offset_sectors;
    uint32_t sector_size_bytes;
};

/* Parses the parameters of a "crypt" target (kernel: admin-guide/device-mapper/dm-crypt). Anything that encrypts in
 * another way than LUKS2 volumes that bootseal opens (integrity, more than one key) is ERROR_METADATA. */
int mapping_table_parse(const char *parameters, struct mapping_table *ret, struct error *error);

/* ERROR_METADATA when activating the volume would make another table; the device is not compared. */
int mapping_table_check(const struct mapping_table *table, struct volume *volume, struct error *error);
