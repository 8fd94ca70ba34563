/*
 * Making and replacing recovery keys.
 *
 * The order of adding one, and what a power cut leaves behind:
 *   bootseal-pending token (the token) - keyslot (named by the pending token) - keyslot opened with the key, and the
 * volume key compared - the key handed over to the person - bootseal-recovery token: from here on the key counts -
 * pending token dropped. So a key that nobody has seen is never counted as a way in, and the next enroll, add or rotate
 * clears away what was cut. Rotating adds first, and then drops the old keyslot and token.
 */
#pragma once

#include "luks/recovery.h"
#include "protect/state.h"
#include "tpm/tpm.h"

/* How a fresh key gets to the person: shown, written to a file. An error takes the key back. */
struct recovery_hand_over {
    int (*take)(void *context, const struct recovery *recovery, const struct secret *text, struct error *error);
    void *context;
};

/*
 * Adds one. `key` is the volume key; `keep` the keyslot that whoever is asking has opened, which is never cleared away.
 * ERROR_REFUSED before anything is written when there is no room for it.
 */
int recovery_key_add(struct volume *volume, const struct secret *key, int keep,
                     const struct recovery_hand_over *hand_over, struct recovery *ret, struct error *error);

/* Adds one in the place of `old`, a key of the volume; one whose keyslot is gone already is good, too. */
int recovery_key_rotate(struct volume *volume, const struct secret *key, int keep, const struct recovery *old,
                        const struct recovery_hand_over *hand_over, struct recovery *ret, struct error *error);

/*
 * Notes in its token that the key with this ID has opened the volume: `recovery-key list` and `status` then ask for its
 * rotation. ERROR_NO_PROTECTOR when there is no such key (any more).
 */
int recovery_key_mark_used(struct volume *volume, const char *id, struct error *error);

/*
 * ERROR_REFUSED when a file at `path`, which need not be there yet, would lie on the volume with this UUID: the key to
 * a safe is not kept in the safe. `sysfs`: see blockdev.h.
 */
int recovery_key_check_place(const char *sysfs, const char *path, const char *uuid, struct error *error);

/* ---- a verb's way to a volume and its key ---- */

struct recovery_access {
    struct state state; /* locked, if there is a state folder */
    struct volume *volume;
    struct secret key; /* the volume key, once authorised */
    int keyslot;       /* that gave it */
};

/*
 * Opens the volume's header; a volume that this machine's pins know is compared with its pin. Waits for other verbs
 * that change something. recovery_access_end() cleans up, whatever happened.
 */
int recovery_access_begin(struct recovery_access *ret, const char *state_folder, const char *device,
                          struct error *error);
void recovery_access_end(struct recovery_access *access);

/* The volume key, by an existing passphrase or recovery key. */
int recovery_access_by_secret(struct recovery_access *access, const struct secret *given, struct error *error);

/* The volume key, by the TPM, the boot state or the authority, and the PIN (NULL: the protector has none). */
int recovery_access_by_pin(struct recovery_access *access, struct tpm *tpm, const struct secret *pin,
                           struct error *error);

/*
 * The key to be replaced: with this ID; or, with NULL, the one whose keyslot gave the volume key; or the only one that
 * has a keyslot. Else ERROR_USAGE lists them. `ret` is filled.
 */
int recovery_access_choose(const struct recovery_access *access, const char *id, struct recovery *ret,
                           struct error *error);
