/*
 * Making one protector, given an open volume and its volume key: what enrolling and changing a PIN have in common. In
 * steps, since a caller may have several volumes, and takes each step with all of them before the next one:
 *
 *   sealing_describe()     ID, kind, label, time
 *   sealing_seal()         the object, by TPM2_Create; nothing is changed yet
 *   sealing_announce()     the bootseal-pending token: it names what a power cut leaves behind from here on
 *   sealing_add_object()   into a draft of the approval, beside the old ones; then approve_switch(), approve_reopen()
 *   sealing_install()      unsealed by authority and PIN; keyslot added (but for the payload volume-key), and opened
 *                          with the result
 *   sealing_write_token()  the bootseal token: from here on the protector is there
 *
 * A header's bootseal tokens are the truth at each moment. What its pending tokens hold beside them is a change that
 * was cut, or is over, and goes: leftover_clear(), sealing_settle().
 */
#pragma once

#include "protect/state.h"
#include "protect/unlock/unseal.h"

struct sealing {
    struct tpm *tpm;            /* with SRK and index in use: provision_tpm() */
    struct state *state;        /* opened for changing, and settled */
    struct volume **volume;     /* the caller's, who opens it anew after a switch of the approval */
    const struct secret *key;   /* the volume key */
    struct protector protector; /* .payload, and with a PIN .kdf and .operator, are the caller's to set */
    struct secret auth;         /* A; empty without a PIN */
    struct secret mix;          /* B; empty without a PIN */
    struct secret sealed;       /* S, or the volume key in its frame */
};

/* Starts a protector with a new ID. `label` may be NULL. */
int sealing_describe(struct sealing *sealing, enum protector_kind kind, const char *label, struct error *error);

/* The same protector once more, under the state's index: with a new ID, and neither object nor keyslot yet. */
int sealing_describe_twin(struct sealing *sealing, const struct protector *protector, struct error *error);

/* `pin` is NULL for a protector without one. */
int sealing_seal(struct sealing *sealing, const struct secret *pin, struct error *error);

/* The same with what keys_stretch() has made of the PIN: both empty without one. */
int sealing_seal_stretched(struct sealing *sealing, const struct secret *auth, const struct secret *mix,
                           struct error *error);

int sealing_announce(struct sealing *sealing, struct error *error);

int sealing_add_object(const struct sealing *sealing, struct approval *draft, struct error *error);

/* The TPM must give back what it was given, and that must lead to the volume key. */
int sealing_install(struct sealing *sealing, struct error *error);

/* In the place of the token `number`, whose keys that nobody here knows are kept, or with -1 in a free one. */
int sealing_write_token(struct sealing *sealing, int number, struct error *error);

/* In a free place, with those keys of the token `twin`. */
int sealing_write_twin(struct sealing *sealing, int twin, struct error *error);

void sealing_free(struct sealing *sealing);

/* Up to the PIN of an unlock by the authority, in the running system. What is passed must outlive *ret. */
int sealing_prepare_unseal(struct tpm *tpm, const struct state *state, const struct protector *protector,
                           const struct authority_signer *authority, struct unseal *ret, struct error *error);

/*
 * Ends what pending tokens of the volume hold and no bootseal token does: the keyslots go (but never `keep`, see
 * leftover_clear()), the objects are withdrawn from the approval (unless nothing would be left of it), then the tokens
 * go. The volume is opened anew before and after that; when this fails, *volume is NULL.
 */
int sealing_settle(struct tpm *tpm, struct state *state, struct volume **volume, int keep, struct error *error);
