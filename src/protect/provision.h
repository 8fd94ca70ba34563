/*
 * Preparing the TPM: SRK, lockout authorisation and limits, authority, approval index. Each step looks first and does
 * what is missing, so that one that was cut can be run again.
 */
#pragma once

#include "policy/document.h"
#include "protect/state.h"
#include "tpm/approval-index.h"

/*
 * Connects the TPM with the state: finds or makes the SRK and compares it with the pinned one (ERROR_TPM: another
 * machine's state, or the TPM was cleared), describes the index on first use and defines it when it is gone. Fills
 * state->pins.srk, .index and .authority; saves nothing. *ret_index_lost, which may be NULL, tells that the index had
 * to be defined, and so must be written.
 */
int provision_tpm(struct tpm *tpm, struct state *state, bool *ret_index_lost, struct error *error);

/*
 * Before a PIN is relied on: sets a random lockout authorisation if it is empty (kept in the state folder, on disk
 * before the TPM gets it) and the limits. With somebody else's authorisation the limits must be as strict as the
 * policy's already, else ERROR_REFUSED: whoever can reset the counter can guess the PIN.
 */
int provision_lockout(struct tpm *tpm, const struct state *state, const struct lockout_rules *rules,
                      struct error *error);

/* Sets the counter of wrong PINs to 0 with the kept authorisation. Without one: success, nothing done. */
int provision_forgive(struct tpm *tpm, const struct state *state, struct error *error);
