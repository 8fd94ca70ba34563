/*
 * Changing the approval, so that a power cut at any point leaves a way in:
 *
 *   1. approval.json and each volume's bootseal-approval token hold both lists, in force and next
 *   2. one NV_Write by the authority switches the TPM: the commit point
 *   3. approval.json and the tokens hold the new list alone
 *
 * The unlocker tries the list in force and then the next one. A change that was cut is dropped: which list is in force
 * is what the index says, and the next change is computed afresh from that.
 */
#pragma once

#include "protect/state.h"
#include "tpm/approval-index.h"

/* Whether the index holds one of the two lists; that one becomes state->approval, and the other is state->next. Writes
 * nothing. */
int approve_find_in_force(struct tpm *tpm, struct state *state, bool *ret, struct error *error);

/* Makes state->approval the list that the index holds, dropping a cut change. With `lost` (the index was made anew) the
 * list on record is written to it again. No approval yet: success, nothing done. */
int approve_settle(struct tpm *tpm, struct state *state, bool lost, struct error *error);

/* Switches from state->approval (which may be empty) to `next`, whose contents are taken over. All pinned volumes must
 * be there: ERROR_FAILED names the one that is not; a list that a later version has written into a header is
 * ERROR_METADATA before anything is changed. Their headers are written, so a volume that the caller has open is
 * stale afterwards: approve_reopen() it. */
int approve_switch(struct tpm *tpm, struct state *state, struct approval *next, struct error *error);

/* Step 3 for a change that was cut, or taken back, before it: approval.json and the tokens say what `state` does.
 * ERROR_METADATA where a later version has written one of the tokens: nothing is changed then. */
int approve_finish(struct state *state, struct error *error);

/*
 * Takes objects out of the approval: each of `names` that is in it. With none left there is nothing to approve, so the
 * index goes; whoever makes it again cannot write it. `tpm` NULL: the state folder alone, when there is no TPM to be
 * told; the next change finds the index to differ and writes it.
 */
int approve_withdraw(struct tpm *tpm, struct state *state, const struct object_name *names, size_t count,
                     struct error *error);

/* After approve_settle() has dropped the first list of all, which was never in force: takes it out of the headers and the
 * state folder. A header whose list approves something is left as it is. */
int approve_drop_first(struct state *state, struct error *error);

/* Opens the same volume anew, after its header was written by another struct volume, and compares it with its pin if it
 * has one. On failure *volume is NULL. */
int approve_reopen(struct state *state, struct volume **volume, struct error *error);

/* Writes the approval token of one volume, for the index of the state's pins. `next` may be NULL. Lists of other indices
 * go, but for the one that a rotation of the authority has under way beside this one. */
int approve_write_token(struct volume *volume, const struct state *state, const struct approval *approval,
                        const struct approval *next, struct error *error);

/* Has the index approve nothing, which is no session's digest. Touches neither lists nor tokens. */
int approve_nothing(struct tpm *tpm, const struct state *state, struct error *error);

/* A copy of state->approval to change; when there is none, one with the authority branch alone. */
int approve_draft(const struct state *state, enum hash_algorithm bank, uint32_t pcrs, unsigned cap,
                  struct approval *ret, struct error *error);

/* The running boot as a branch's `approved_in` names it. */
int approve_running_boot(char ret[BRANCH_BOOT_DIGITS + 1], struct error *error);

/* A boot branch with these values of the approval's PCRs, labelled with the running kernel's release, which is its entry
 * as well. */
int approve_boot_branch(const struct approval *approval, const struct pcr_values *values, struct branch *ret,
                        struct error *error);
