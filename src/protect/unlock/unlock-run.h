/*
 * What the files of one run of `bootseal-unlock --all` share: unlock-all.c has the order of things, unlock-pins.c what
 * the TPM opens and the PINs, unlock-operators.c whose PIN it is where a volume has several, unlock-recovery.c the
 * recovery keys.
 */
#pragma once

#include "protect/unlock/cap-record.h"
#include "protect/unlock/crypttab.h"
#include "protect/unlock/target.h"
#include "protect/unlock/unlock-all.h"

struct run {
    const struct unlock_all_request *request;
    struct report *report;
    struct pins *pins;
    struct tpm *tpm; /* NULL: there is none, or it broke and gives no fresh connection */
    bool has_tpm;    /* one was opened */
    struct target targets[PINS_MAX_VOLUMES];
    struct crypttab_entry entries[PINS_MAX_VOLUMES];
    bool mappable[PINS_MAX_VOLUMES];             /* its name is free, and crypttab has nothing against it */
    bool open[PINS_MAX_VOLUMES];                 /* target_open() went well and nothing failed since */
    bool opened[PINS_MAX_VOLUMES];               /* done */
    unsigned wrong_pins;                         /* that the TPM was given */
    unsigned known_wrong_pins[PINS_MAX_VOLUMES]; /* those of them that the target's state of the TPM counts already */
    unsigned wrong_recovery_keys;                /* of all volumes */
    bool suspension_told;                        /* at the prompt, once */
    unsigned operator_number;                    /* whose PIN is asked for; 0: nobody had to say */
    struct cap_facts cap;
    uint64_t deadline_ms;
};

/* ---- unlock-all.c ---- */

/* Shows a line to the person. */
void unlock_run_show(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Shows what went wrong, and what to do. */
void unlock_run_show_error(const struct run *run, const char *what, const struct error *error);

/* All TPM work on volume i that needs no PIN (target_prepare()). Where it goes by a suspension, that is shown. */
int unlock_run_prepare(struct run *run, size_t i, struct error *error);

/* Volume i will not be opened by the TPM: the reason is shown now, and kept for the report. */
void unlock_run_give_up(struct run *run, size_t i, const struct error *error);

/* ---- unlock-pins.c ---- */

/* Opens what the TPM opens: first what has no PIN, then with the PINs that are asked for. Each volume is opened or
 * given up afterwards. */
void unlock_run_by_tpm(struct run *run);

/* Maps volume i by what opens the keyslot; a test only opens the keyslot. */
int unlock_run_activate(struct run *run, size_t i, int keyslot, const struct secret *passphrase, struct error *error);

/* All TPM work on volume `first` that needs no PIN; what was done ahead is not done again. */
int unlock_run_prepare_leader(struct run *run, size_t first, struct error *error);

/*
 * One question for the PIN of volume `first` and of all that share it; `*asked` counts the wrong ones. True: it may be
 * asked again, what was wrong was shown. False: run->opened[first], or the error says why nobody is to be asked: an
 * empty line, no tries left for what was typed, a fault.
 */
bool unlock_run_try_group(struct run *run, size_t first, unsigned *asked, struct error *error);

/* Gives up volume `first` and those that share its PIN. */
void unlock_run_give_up_group(struct run *run, size_t first, const struct error *error);

/* ---- unlock-operators.c ---- */

/*
 * Where a volume that is still closed has several PINs: asks whose it is, then for the PIN, until one is right or the
 * tries are used up. A volume that this operator has no PIN for is given up then. What is left to be opened has another
 * PIN of the same operator. Where no volume has several, nothing is asked and nothing done.
 */
void unlock_run_by_operator(struct run *run);

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
