/*
 * Rotating the authority: a new key and a new approval index, and every protector moved over. An object is sealed to
 * one index, by its Name, so each protector is sealed anew (its PIN is needed), and the pins change. At each moment
 * each volume opens, by the old way until the new one is complete:
 *
 *   rotate_begin()   looks, and refuses
 *   rotate_prove()   each PIN, on the old objects; nothing is changed so far
 *   rotate_finish()  new key, index and pins in the folder STATE/next; a twin of each protector under the new index,
 * with the same PIN: sealed, approved in the new index together with the boot states of the old list, unsealed, its
 * keyslot opened, its token written beside the old one; then "next" is in force: the commit point (state.h)
 *   rotation_end()   after a boot by the new pins: the old index goes, then the old tokens with their keyslots, then
 * the old key
 *
 * Before the commit point nothing of it counts: rotation_undo() takes it back, and a rotation that begins again does so
 * first. After it both ways are there: an initramfs with the old pins opens by the old index and tokens, one with the
 * new pins by the new ones. Changes of the approval then concern the new index alone.
 *
 * What a rotation cannot do: whoever has a copy of the old key and of an old header, the PIN, and this TPM with its
 * owner authorisation (empty, as a rule), can define the old index again and approve what he likes for the old objects.
 */
#pragma once

#include "protect/seal/sealing.h"

struct rotate_request {
    struct tpm *tpm;
    const char *state_folder;        /* NULL: STATE_FOLDER */
    const struct secret *owner_auth; /* somebody else's; NULL or empty: none was given */
    const char *const *dropped;      /* protectors that are not moved over: IDs, or their first characters */
    size_t dropped_count;
};

struct rotate_volume {
    const struct pinned_volume *pin; /* in rotate.state */
    struct volume *volume;
};

/* What protectors with the same salt and cost share. */
struct rotate_pin {
    const struct kdf_parameters *kdf;
    struct secret auth, mix; /* empty until it is proven */
};

struct rotate_item {
    struct rotate_volume *place;
    struct protector old;
    int pin; /* in rotate.pins; -1: without */
    bool dropped;
    struct secret key;      /* the volume key, once opened */
    struct sealing sealing; /* of the twin */
};

struct rotate {
    struct rotate_request request;
    struct state state, next;
    struct rotate_volume *volumes;
    size_t volume_count;
    struct rotate_item *items;
    size_t item_count;
    struct rotate_pin *pins;
    size_t pin_count;
};

/*
 * Volumes, TPM, lockout, room in the headers. ERROR_REFUSED: a rotation waits for its end already; a volume would be
 * left without a protector; no room. Takes back what a rotation that was cut has left. The struct must stay where it
 * is; rotate_end() cleans up, whatever happened.
 */
int rotate_begin(struct rotate *ret, const struct rotate_request *request, struct error *error);

/* Which volumes PIN `i` opens, for a prompt: "cryptroot, data", with the protector's label if it has one. */
#define ROTATE_PIN_TEXT 256
void rotate_pin_name(const struct rotate *rotate, size_t i, char ret[ROTATE_PIN_TEXT]);

/* One try, that the TPM counts, for PIN `i` of rotate->pin_count. ERROR_WRONG_PIN: it may be called again. */
int rotate_prove(struct rotate *rotate, size_t i, const struct secret *pin, struct error *error);

/* Once all PINs are proven. What fails before the commit point is taken back, if that can be. After success
 * rotate->next.pins and the sealing.protector of each item that is not dropped are in force. */
int rotate_finish(struct rotate *rotate, struct error *error);

void rotate_end(struct rotate *rotate);

/* ---- what is left of a rotation ---- */

/* Takes a rotation back that was cut before its commit point. `owner_auth` as in the request. */
int rotation_undo(struct tpm *tpm, const char *state_folder, const struct secret *owner_auth, struct error *error);

/* The same for a state that is open for changing, with the SRK in use. Nothing of one there: success. */
int rotation_take_back(struct tpm *tpm, struct state *state, struct error *error);

/* Whether this boot's initramfs had the new pins, and opened each of its volumes by the TPM. No report: it did not. */
bool rotation_is_proven(const struct state *state, const char *report_path);

/* Takes the old authority away: see above. Running it again does what is left. */
int rotation_end(struct tpm *tpm, const char *state_folder, const struct secret *owner_auth, struct error *error);
