/*
 * What the files of one run of `bootseal-unlock --all` share: unlock-all.c has the order of things and the PINs,
 * unlock-recovery.c the recovery keys.
 */
#pragma once

#include "protect/cap-record.h"
#include "protect/crypttab.h"
#include "protect/target.h"
#include "protect/unlock-all.h"

#include <stdarg.h>

struct run {
    const struct unlock_all_request *request;
    struct report *report;
    struct pins *pins;
    struct tpm *tpm;
    struct target targets[PINS_MAX_VOLUMES];
    struct crypttab_entry entries[PINS_MAX_VOLUMES];
    bool mappable[PINS_MAX_VOLUMES]; /* its name is free, and crypttab has nothing against it */
    bool open[PINS_MAX_VOLUMES];     /* target_open() went well and nothing failed since */
    bool opened[PINS_MAX_VOLUMES];   /* done */
    unsigned wrong_recovery_keys;    /* of all volumes */
    struct cap_facts cap;
    uint64_t deadline_ms;
};

/* ---- unlock-all.c ---- */

/* Shows a line to the person. */
void unlock_run_show(const struct run *run, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Maps volume i by what opens the keyslot; a test only opens the keyslot. */
int unlock_run_activate(struct run *run, size_t i, int keyslot, const struct secret *passphrase, struct error *error);

/* ---- unlock-recovery.c ---- */

#define UNLOCK_RECOVERY_TRIES 10

/*
 * Tries what was typed on the recovery keys of every volume that is still closed. 0 when it opened one. Else it is
 * counted, and ERROR_WRONG_PIN names the group that is wrong, or says that it is no key of theirs, or the last try.
 */
int unlock_run_recover(struct run *run, const struct secret *typed, struct error *error);

/*
 * For every volume that is still closed and has a recovery key: asks for it, until it is right, an empty line leaves
 * the volume to the distribution's prompt, or UNLOCK_RECOVERY_TRIES were wrong in this run.
 */
void unlock_run_ask_recovery(struct run *run);
