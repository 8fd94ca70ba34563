/*
 * crypttab, for the options with which a volume is to be opened: the initramfs' copy at /cryptroot/crypttab, which the
 * distribution's own script goes by, or /etc/crypttab. Which volumes are opened, and under which names, is the pins'
 * business alone: an entry adds to a pinned volume how it is mapped, no more.
 *
 *   NAME SOURCE KEY OPTIONS     fields between blanks, mangled as in fstab (\040 is a blank, \054 a comma)
 *
 * An entry belongs to a pinned volume when it has its name, else when its source is that volume: UUID=…, or the path.
 * The first one counts. What bootseal does with an option:
 *
 *   discard, readonly, read-only, same-cpu-crypt, submit-from-crypt-cpus, no-read-workqueue, no-write-workqueue
 *       are honoured
 *   header=PATH
 *       is honoured when the path is the block device that is pinned: bootseal was enrolled there, the entry's source
 *       has the data. A file is not: it is part of the initramfs, whose measurement its own tokens would change
 *   keyslot=, key-slot=
 *       is about passphrases; a protector names its own keyslot
 *   tcrypt, veracrypt, bitlk, fvault2, plain, offset=, skip= and their like
 *       mean another volume than a LUKS2 device: it is left to the distribution's script, with the reason
 *   luks, initramfs, tries= and the others that say when and how a passphrase is asked for
 *       are not for us
 *   anything else
 *       is ignored, with a word to who wants it verbose
 */
#pragma once

#include "protect/unlock/pins.h"

#define CRYPTTAB_INITRAMFS "/cryptroot/crypttab"
#define CRYPTTAB_MAX_BYTES (64 * 1024)
#define CRYPTTAB_PATH_MAX 255
#define CRYPTTAB_OPTION_MAX 63

struct crypttab_entry {
    bool found;
    struct volume_options options;
    char source[CRYPTTAB_PATH_MAX + 1];    /* as it stands there: "UUID=…" or a path */
    char header[CRYPTTAB_PATH_MAX + 1];    /* empty: the header is where the data is */
    char foreign[CRYPTTAB_OPTION_MAX + 1]; /* the first option that means another kind of volume; empty: none */
    char ignored[CRYPTTAB_OPTION_MAX + 1]; /* the first option that nobody knows; empty: none */
};

/* Finds the pin's entry in the text of a crypttab. None is success, with `found` false and no options. ERROR_USAGE when
 * the entry that is meant cannot be read: a field or an option that is too long, a bad \ooo. */
int crypttab_parse(const char *text, const struct pinned_volume *pin, struct crypttab_entry *ret, struct error *error);

/* The same from a file; one that is not there, or is larger than CRYPTTAB_MAX_BYTES, has no entry. */
int crypttab_read(const char *path, const struct pinned_volume *pin, struct crypttab_entry *ret, struct error *error);

/* Each entry's fields in turn, whatever it is for: `*text` starts at the text and is moved on. Entries that cannot be read
 * are passed over; false at the end. */
struct crypttab_row {
    char name[PINS_NAME_MAX + 1];
    char source[CRYPTTAB_PATH_MAX + 1];
    char key[CRYPTTAB_PATH_MAX + 1];
};
bool crypttab_next(const char **text, struct crypttab_row *ret);

/* The name that the file's first entry for this volume has: by UUID, or by path. False when it has none, or one that is
 * longer than size - 1 or cannot be read. */
bool crypttab_name(const char *path, const char *device, const char *uuid, char *ret, size_t size);
