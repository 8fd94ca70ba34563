/*
 * Opening one volume from the command line: by the boot state if this boot is not capped yet, else by the authority and
 * the PIN. A boot state that does not match and is not capped either is refused: the authority is no way around it.
 * A recovery key opens it without the TPM, and needs none.
 */
#pragma once

#include "protect/state.h"
#include "protect/unlock/recover.h"
#include "protect/unlock/target.h"

struct unlock {
    struct tpm *tpm;
    struct state state;
    struct pinned_volume pin; /* the volume's pin, with the device that was given */
    struct target target;
    struct authority_signer signer;
    bool by_authority;
    struct recovery recovery; /* the key that opened it; an empty ID when it was the TPM */
};

/* Finds the volume's pin in the state folder, compares, and does all TPM work that needs no PIN. unlock_end() cleans
 * up, whatever happened. */
int unlock_begin(struct unlock *ret, struct tpm *tpm, const char *state_folder, const char *device,
                 struct error *error);

/* Where target_operators() are several, unlock_begin() has prepared any one of them; this is the one whose PIN is
 * tried. ERROR_NO_PROTECTOR: there is none. */
int unlock_choose(struct unlock *unlock, unsigned operator_number, struct error *error);

/* As unlock_begin(), but without the TPM: the volume's header, compared with the pin, for unlock_try_recovery(). */
int unlock_begin_recovery(struct unlock *ret, const char *state_folder, const char *device, struct error *error);

/* One try; `pin` is NULL for a protector without one. The opener (payload.h) is proven to open the volume. */
int unlock_try(struct unlock *unlock, const struct secret *pin, struct secret *ret_opener, struct error *error);

/* One try of a recovery key, as typed, on the volume's recovery keys. Errors as recover_open(). */
int unlock_try_recovery(struct unlock *unlock, const struct secret *typed, struct secret *ret_passphrase,
                        struct error *error);

/* Makes /dev/mapper/NAME; `name` NULL: the pinned name. */
int unlock_activate(struct unlock *unlock, const char *name, const struct secret *opener, struct error *error);

void unlock_end(struct unlock *unlock);
