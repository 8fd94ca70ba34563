/*
 * Preparing the TPM: SRK, lockout authorisation and limits, authority, approval index. Each step looks first and does
 * what is missing, so that one that was cut can be run again:
 *
 *   authority (on disk) - SRK - lockout authorisation (on disk, then the TPM) - limits - index - pins (on disk)
 *
 * A cut before the pins are written leaves an index that the next run finds by its authority. The lockout authorisation
 * is on disk before the TPM gets it.
 */
#pragma once

#include "policy/document.h"
#include "protect/state.h"
#include "tpm/approval-index.h"

/* ERROR_REFUSED when the state folder (NULL: the default; made if it is missing) lies outside LUKS. */
int provision_check_place(const char *state_folder, bool allow_unencrypted, struct error *error);

/* ERROR_TPM for a TPM that has no TPM2_PolicyAuthorizeNV. */
int provision_check_tpm(struct tpm *tpm, struct error *error);

/* Finds or makes the SRK and compares it with the pinned one (ERROR_TPM: another machine's state, or the TPM was
 * cleared). Fills state->pins.srk. */
int provision_srk(struct tpm *tpm, struct state *state, struct error *error);

/* The index for a machine, or a rotation, that has no pins yet: fills state->pins.authority and .index, and sends nothing
 * that changes the TPM. Wants an authority. */
int provision_describe_index(struct tpm *tpm, struct state *state, struct error *error);

/* Describes the index on first use and defines it when it is gone. Fills state->pins.index and .authority; saves
 * nothing. *ret_index_lost, which may be NULL, tells that the index had to be defined, and so must be written. */
int provision_index(struct tpm *tpm, struct state *state, bool *ret_index_lost, struct error *error);

/* Both. */
int provision_tpm(struct tpm *tpm, struct state *state, bool *ret_index_lost, struct error *error);

/*
 * Before a PIN is relied on: sets a random lockout authorisation if it is empty (kept in the state folder, on disk
 * before the TPM gets it) and the limits. With somebody else's authorisation the limits must be as strict as the
 * policy's already, else ERROR_REFUSED: whoever can reset the counter can guess the PIN. Wants state->pins.srk.
 */
int provision_lockout(struct tpm *tpm, const struct state *state, const struct lockout_rules *rules,
                      struct error *error);

/*
 * The same with the authorisation that somebody else has set: `given`, NULL or empty for none. It is not changed, only
 * used, and kept in the state folder once the TPM has taken it. Where the TPM has none, a random one is set all the
 * same. A kept one is proven even if the limits fit. What the TPM refused before is not sent (lockout-refusal.h).
 */
int provision_lockout_with(struct tpm *tpm, const struct state *state, const struct lockout_rules *rules,
                           const struct secret *given, struct error *error);

/* Sets the counter of wrong PINs to 0 with the kept authorisation. Without one: success, nothing done. */
int provision_forgive(struct tpm *tpm, const struct state *state, struct error *error);

struct provision_request {
    struct tpm *tpm;
    const char *state_folder; /* NULL: STATE_FOLDER */
    struct policy_document document;
    bool no_policy; /* `document` has the defaults only: limits that are stricter stay */
    const struct secret *lockout_auth; /* somebody else's; NULL: none was given */
    const struct secret *owner_auth;   /* the same */
    bool allow_unencrypted_state;
};

/* Who has the lockout authorisation. */
enum provision_holder { PROVISION_NOBODY, PROVISION_KEPT, PROVISION_FOREIGN };

/* What the TPM is like afterwards. A part that could not be made carries its reason; the others are made. */
struct provision_result {
    struct state state;
    struct tpm_state before, tpm; /* `tpm` is afterwards */
    enum provision_holder holder;
    bool told; /* the rest is filled in */
    struct error lockout;
    struct error index; /* kind ERROR_NONE: it is there, and pinned */
};

/*
 * All of it. Fails where nothing else can follow: the folder's place, the TPM, the SRK. Everything past that is in the
 * result (`told`), and the first of its errors is returned too. provision_end() cleans up in any case.
 */
int provision_run(struct provision_result *ret, const struct provision_request *request, struct error *error);
void provision_end(struct provision_result *result);
