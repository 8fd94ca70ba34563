/*
 * The state folder, on the encrypted root: what verbs that change something believe. A token on a disk is compared with
 * it and repaired, never obeyed.
 *
 *   pins.json       TPM and volumes (pins.h); copied into the initramfs
 *   approval.json   the approval in force and, while a change is under way, the next one
 *   authority.pem   the authority's private key
 *   lockout-auth    the TPM's lockout authorisation, 32 bytes
 *   lock            held by a verb that changes something
 *
 * Folder and files belong to root alone; anything else is refused.
 */
#pragma once

#include "policy/approval.h"
#include "protect/authority.h"
#include "protect/pins.h"

#define STATE_FOLDER "/var/lib/bootseal"

struct state {
    char *folder;
    int lock; /* -1 without */
    bool has_pins;
    struct pins pins;
    bool has_approval;
    struct approval approval;
    bool has_next; /* a change was cut */
    struct approval next;
    struct authority *authority; /* NULL: not there */
};

enum state_mode {
    STATE_READ,   /* what is missing is left empty */
    STATE_CHANGE, /* the folder must be there; takes the lock, waiting for another verb */
    STATE_CREATE, /* makes folder and authority when they are missing */
};

/* Opens it. The folder is the option's or STATE_FOLDER. */
int state_open(const char *folder, enum state_mode mode, struct state *ret, struct error *error);
void state_close(struct state *state);

int state_save_pins(struct state *state, struct error *error);

/* Writes approval.json with state->approval and, if has_next, state->next. */
int state_save_approval(struct state *state, struct error *error);

/* Forgets the approval, with its file: nothing is enrolled any more. */
int state_drop_approval(struct state *state, struct error *error);

/* The lockout authorisation; *ret is empty when there is none. */
int state_read_lockout_auth(const struct state *state, struct secret *ret, struct error *error);
int state_save_lockout_auth(const struct state *state, const struct secret *auth, struct error *error);

/* Puts it aside as lockout-auth.refused, after the TPM refused it once: a wrong one is never sent twice, since each
 * locks the lockout hierarchy for lockout_recovery_s. */
int state_refuse_lockout_auth(const struct state *state, struct error *error);
