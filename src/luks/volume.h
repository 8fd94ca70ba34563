/*
 * A LUKS2 volume: a block device or a file, with its header. This folder is the only includer of libcryptsetup.h.
 *
 * The header is the attacker's to write. volume_facts_read() says what its one segment is, and a digest over that which
 * is pinned; callers compare it on the very struct volume that they activate, since a header whose cipher was edited
 * opens with the genuine key and passes the volume-key digest.
 *
 * libcryptsetup's own messages are collected and become the cause in our errors. Nothing is printed.
 */
#pragma once

#include "base/blockdev.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/secret.h"

#define VOLUME_UUID_TEXT 37
#define VOLUME_CIPHER_TEXT 64
#define VOLUME_MAX_TOKENS 32
#define VOLUME_MAX_KEYSLOTS 32
#define VOLUME_MAX_KEY_BYTES 64
#define VOLUME_MAX_PASSPHRASE_BYTES 8192 /* key files are passphrases too */

struct volume;

struct volume_facts {
    char uuid[VOLUME_UUID_TEXT];
    char cipher[VOLUME_CIPHER_TEXT]; /* "aes-xts-plain64" */
    uint32_t key_size_bytes;         /* as the keyslots say, 0 when there is none: to be shown, not to be relied on */
    uint32_t sector_size_bytes;
    uint64_t offset_bytes;
    uint64_t iv_offset_sectors; /* of 512 bytes */
    struct digest digest; /* the pinned facts: see volume_facts_read() */
};

/*
 * Opens the header: of a path, a /dev/mapper name's underlying device, or "UUID=…". LUKS1, no LUKS, a damaged header:
 * ERROR_NOT_LUKS2, each with what to do. No permission, missing, busy: ERROR_FAILED. volume_close() accepts NULL
 * inside.
 */
int volume_open(struct volume **ret, const char *device, struct error *error);
void volume_close(struct volume **volume);

/* The path that it was opened by, resolved ("/dev/sda3" for "UUID=…"). */
const char *volume_path(const struct volume *volume);
const char *volume_uuid(const struct volume *volume);

/*
 * Reads the facts from the JSON metadata. ERROR_METADATA for what bootseal never opens: more than one segment, a
 * segment that is not "crypt" with a dynamic size from a fixed offset, integrity, any `requirements` (a running
 * re-encryption), a cipher that is not one of aes-xts-plain64, aes-cbc-essiv:sha256, serpent-xts-plain64,
 * twofish-xts-plain64, xchacha12,aes-adiantum-plain64, xchacha20,aes-adiantum-plain64, camellia-xts-plain64; anything
 * but one digest record for the segment.
 *
 * The digest is SHA-256 over "bootseal v1 facts", then, each with its length (4 bytes, big-endian) before it: "crypt",
 * cipher, sector size, offset, IV offset, "pbkdf2", the record's hash, iterations, salt and digest; numbers have 8
 * bytes, big-endian. Keyslots and tokens are not part of it, and so neither is the key size, which LUKS2 keeps in
 * keyslots only: the record is computed from the key itself, and a key of another size does not pass it.
 */
int volume_facts_read(struct volume *volume, struct volume_facts *ret, struct error *error);

/* ---- keyslots ---- */

/* A mask of the keyslots in use. */
int volume_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error);

/*
 * Opens a keyslot (CRYPT_ANY_SLOT as -1) with the passphrase. Wrong passphrase: ERROR_WRONG_PIN. A keyslot that is
 * named, and made to cost more than some ten seconds: ERROR_METADATA. `ret_key`, if not NULL, becomes the volume key;
 * `ret_slot`, if not NULL, the keyslot.
 */
int volume_keyslot_open(struct volume *volume, int keyslot, const struct secret *passphrase, struct secret *ret_key,
                        int *ret_slot, struct error *error);

/* ERROR_REFUSED, with what to do, unless all of it fits into the header at once. For asking before a change is begun:
 * nothing is written. */
struct volume_room {
    unsigned keyslots;
    unsigned tokens;
    size_t key_size_bytes;
    size_t token_bytes; /* the tokens' JSON in all */
};
int volume_check_room(struct volume *volume, const struct volume_room *wanted, struct error *error);

/* Adds a keyslot with the minimal PBKDF2 (SHA-256, 1000 iterations): for passphrases of full entropy only. None free,
 * or no room in the header: ERROR_REFUSED, nothing written. */
int volume_keyslot_add(struct volume *volume, const struct secret *key, const struct secret *passphrase, int *ret_slot,
                       struct error *error);

/* Whether the keyslot has the minimal PBKDF2, as volume_keyslot_add() makes them: a passphrase's has more. */
int volume_keyslot_is_minimal(struct volume *volume, int keyslot, bool *ret, struct error *error);

/* Gives keyslot `to` the priority of `from`: cryptsetup's "prefer", "normal", "ignore". */
int volume_keyslot_copy_priority(struct volume *volume, int from, int to, struct error *error);

/* Wipes the keyslot. */
int volume_keyslot_remove(struct volume *volume, int keyslot, struct error *error);

/* Whether these bytes are the volume key, by the header's digest of it. Others are ERROR_METADATA. */
int volume_key_check(struct volume *volume, const struct secret *key, struct error *error);

/* ---- tokens, as JSON ---- */

/* The tokens of a type, in order of their numbers. */
struct token_list {
    int numbers[VOLUME_MAX_TOKENS];
    size_t count;
};
int volume_tokens(struct volume *volume, const char *type, struct token_list *ret, struct error *error);

/* A mask of the keyslots that tokens name, whoever's they are. */
int volume_token_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error);

/* Parses one; ret_view (kind ERROR_METADATA) borrows from *ret, which the caller frees with json_free. The view's
 * source text lives as long as the volume. */
int volume_token_read(struct volume *volume, int number, struct json_object **ret, struct json_view *ret_view,
                      struct error *error);

/* Replaces token `*number`, or takes a free number when it is -1 and sets it. No room: ERROR_REFUSED. */
int volume_token_write(struct volume *volume, int *number, struct json_object *token, struct error *error);
int volume_token_remove(struct volume *volume, int number, struct error *error);

/* ---- activation ---- */

struct volume_options { /* crypttab's words */
    bool discard, read_only, same_cpu_crypt, submit_from_crypt_cpus, no_read_workqueue, no_write_workqueue;
};

/* Makes /dev/mapper/NAME with the passphrase of a keyslot. */
int volume_activate(struct volume *volume, const char *name, int keyslot, const struct secret *passphrase,
                    const struct volume_options *options, struct error *error);

/* The same with the volume key, which is compared with the header's digest of it before anything else. */
int volume_activate_by_key(struct volume *volume, const char *name, const struct secret *key,
                           const struct volume_options *options, struct error *error);
int volume_deactivate(const char *name, struct error *error);

/*
 * The data lies on another device than the header (crypttab's header=): to be said before volume_activate(). The volume
 * is the header's; its facts stay what they are.
 */
int volume_set_data_device(struct volume *volume, const char *path, struct error *error);

enum mapping_state {
    MAPPING_ABSENT,
    MAPPING_OURS,    /* its dm UUID is CRYPT-LUKS2-<this UUID>-<name> */
    MAPPING_FOREIGN, /* something else has the name */
};
int volume_mapping_state(const char *name, const char *uuid, enum mapping_state *ret, struct error *error);

/* The dm UUID that a mapping of this volume and name has, cut as the kernel cuts it. */
#define MAPPING_UUID_TEXT 129 /* DM_UUID_LEN of linux/dm-ioctl.h */
void volume_mapping_uuid(const char *name, const char *uuid, char ret[MAPPING_UUID_TEXT]);

/*
 * Removes every mapping of the volume with this UUID, whatever its name, or with NULL every mapping that libcryptsetup
 * made, of whatever kind. One that is in use is ERROR_FAILED. With
 * `force` the mappings that lie on it (logical volumes) are removed first, and if it is in use even so, it is cut off:
 * it stays there, the key is gone from the kernel, and each read of it fails.
 * `ret_count`, which may be NULL, becomes the number of mappings that were closed.
 */
int volume_mappings_close(const char *uuid, bool force, unsigned *ret_count, struct error *error);

/*
 * The mapping with this dm UUID, as the kernel really runs it: what it lies on, and whether it is what activating the
 * volume would make. ERROR_METADATA names what differs: cipher, offset, IV offset, sector size. The device is told even
 * then.
 */
int volume_mapping_device(const char *mapping_uuid, struct blockdev *ret, struct error *error);
int volume_mapping_check(struct volume *volume, const char *mapping_uuid, struct error *error);
