/*
 * The state folder, on the encrypted root: what verbs that change something believe. A token on a disk is compared with
 * it and repaired, never obeyed.
 *
 *   pins.json       TPM and volumes (pins.h); copied into the initramfs
 *   approval.json   the approval in force and, while a change is under way, the next one
 *   authority.pem   the authority's private key
 *   lockout-auth    the TPM's lockout authorisation, 32 bytes
 *   lock            held by a verb that changes something
 *   next, retired   while the authority is rotated: the first three of the one that comes, or goes (below)
 *
 * A rotation of the authority (provision/rotation.h) makes the three files of the new one in the folder "next". The
 * file "next/complete" is the commit point: from then on they are in force. Whoever opens the folder for changing gives
 * them their places, and the old ones theirs in "retired", where they stay until the old index is gone.
 *
 * The folder and all that is in it belong to root alone: else, or where there is a link, it is refused.
 */
#pragma once

#include "policy/approval.h"
#include "protect/seal/authority.h"
#include "protect/unlock/pins.h"

#define STATE_FOLDER "/var/lib/bootseal"

enum rotation_stage {
    ROTATION_NONE,
    ROTATION_BEGUN,   /* "next" is being made, or was cut: it counts for nothing */
    ROTATION_WAITING, /* the new authority is in force, and the old one has not been taken back yet */
};

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
    enum rotation_stage rotation;
    struct object_name other_index; /* while there is one: of "next" or "retired"; all zero: not known yet */
};

enum state_mode {
    STATE_READ,   /* what is missing is left empty */
    STATE_CHANGE, /* the folder must be there; takes the lock, waiting for another verb */
    STATE_CREATE, /* makes folder and authority when they are missing */
};

/* Opens it. The folder is the option's or STATE_FOLDER. */
int state_open(const char *folder, enum state_mode mode, struct state *ret, struct error *error);
void state_close(struct state *state);

/* ERROR_REFUSED while the authority is being rotated: for verbs that add, replace or remove protectors. */
int state_refuse_rotation(const struct state *state, struct error *error);

/* The folder of one of the two authorities of a rotation: as a state of its own, whose `other_index` is this one's.
 * Opened by STATE_CREATE. */
#define STATE_NEXT "next"
#define STATE_RETIRED "retired"
int state_open_rotated(const struct state *state, const char *name, struct state *ret, struct error *error);

/* The commit point of a rotation: "next" is in force. The state is what it was before: close it, and open it anew. */
int state_commit_next(const struct state *state, struct error *error);

/* Removes one of the two folders, if it is there; what is in it is wiped. */
int state_drop_rotated(const struct state *state, const char *name, struct error *error);

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
