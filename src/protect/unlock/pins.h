/*
 * The pins: what the initramfs, which is measured, and the state folder, which is encrypted, know about this machine's
 * TPM and volumes, so that nothing on the disk or on the bus has to be believed. No secrets, and nothing that a new PIN
 * or another approval changes. pins.json:
 *
 *   { "version": 1, "srk": { "handle": N, "public": "base64" }, "approval": { "handle": N, "public": "base64" },
 *     "authority": "Name in hex", "bank": "sha256", "cap": 12, "tries": 3, "root": "pinned",
 *     "kdf_floor": { "memory_kib": 8192, "iterations": 1 },
 *     "volumes": [ { "name": "cryptroot", "uuid": "…", "device": "/dev/disk/by-uuid/…", "facts": "SHA-256 in hex" } ] }
 */
#pragma once

#include "base/entity.h"
#include "base/pcr.h"
#include "luks/token.h"
#include "luks/volume.h"
#include "policy/document.h"

#define PINS_MAX_VOLUMES 32
#define PINS_NAME_MAX 127 /* of a dm device: DM_NAME_LEN with its NUL */
#define PINS_DEVICE_MAX 255

struct pinned_volume {
    char name[PINS_NAME_MAX + 1];
    char uuid[VOLUME_UUID_TEXT];
    char device[PINS_DEVICE_MAX + 1];
    struct digest facts;
};

struct pins {
    struct entity srk;
    struct entity index;
    struct object_name authority;
    enum hash_algorithm bank;
    unsigned cap;
    unsigned tries;
    bool any_root; /* the root need not lie on pinned volumes: policy "root": "any" */
    uint32_t floor_memory_kib;
    uint32_t floor_iterations;
    struct pinned_volume volumes[PINS_MAX_VOLUMES];
    size_t volume_count;
};

/* Reads and checks a file; a fault is ERROR_METADATA. */
int pins_read(const char *path, struct pins *ret, struct error *error);
int pins_write(const char *path, const struct pins *pins, struct error *error);

/* Takes over what the unlocker needs of a policy: bank, cap, tries, root, lowest cost. */
void pins_set_policy(struct pins *pins, const struct policy_document *document);

/* True for the machine's own state folder (NULL) and a block device: then the pin goes into this machine's initramfs. */
bool pins_concern_this_boot(const char *state_folder, const struct pinned_volume *pin);

/* The pin of a UUID; NULL when there is none. */
struct pinned_volume *pins_find(struct pins *pins, const char *uuid);

/*
 * The volume is what the pin says: UUID and facts, read from the very volume that will be activated. ERROR_METADATA
 * names what differs.
 */
int pins_check_volume(const struct pinned_volume *pin, struct volume *volume, struct error *error);

/* Leaves in the list the protectors of the pinned index, if there is one: while the authority is rotated, each has a
 * twin of the other index. Without any the list stays, for pins_check_protector() to say what is wrong. */
void pins_select_protectors(const struct pins *pins, struct protector_list *list);

/* The protector's token names the pinned SRK and index, and a cost from the pinned floor to what this machine can do.
 * ERROR_METADATA names what differs. */
int pins_check_protector(const struct pins *pins, const struct protector *protector, struct error *error);
