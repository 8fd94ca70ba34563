/*
 * Changing a PIN: another protector in the place of the old one, on one volume or on all that share the PIN. The boot
 * states stay approved as they are; in the list of objects the new one takes the place of the old one, so that the old
 * PIN is dead in the TPM, old header or not. Where volumes have several PINs, it is that of one operator; the others'
 * objects stay as they are.
 *
 * change_pin_begin() checks, then the person proves to be entitled, by the old PIN or by a passphrase, and
 * change_pin_finish() changes. Each step is taken on all volumes before the next one:
 *
 *   seal, bootseal-pending token of the new protector - approval with old and new objects - unseal by authority and
 *   PIN, keyslot if the payload is one, opened - bootseal-pending token of the old protector - the new bootseal token
 * in the place of the old one: the commit point, volume by volume - approval without the old objects - old keyslot and
 * pending tokens dropped
 *
 * A power cut leaves each volume with one PIN, the old or the new one; what is left beside it, the next
 * change_pin_by_pin() or change_pin_by_passphrase() clears away.
 */
#pragma once

#include "policy/document.h"
#include "protect/seal/sealing.h"
#include "protect/unlock/operators.h"

struct change_pin_request {
    struct tpm *tpm;
    const char *state_folder; /* NULL: STATE_FOLDER */
    const char *device;       /* NULL: every pinned volume that the old PIN opens */
    const char *protector;    /* an ID, or its first characters; NULL: the operator's, or the volume's only one */
    unsigned operator_number; /* whose PIN; 0: change_pin_choose() says it, where a volume has several */
    struct kdf_rules kdf;     /* never below what is pinned */
    bool forgotten;           /* the old PIN: a passphrase takes its place. Wants a device */
};

struct change_pin_volume {
    const struct pinned_volume *pin;
    struct volume *volume;
    struct protector_list protectors;
    struct protector old;   /* the one that is meant */
    struct sealing sealing; /* of the new one */
    struct secret key;      /* the volume key; empty until the PIN or the passphrase has opened the volume */
    int keep;               /* the keyslot that the passphrase opened, or -1 */
    bool tried;             /* the PIN that is being tried, on this protector's salt */
    bool changed;           /* the new PIN counts */
};

struct change_pin {
    struct change_pin_request request;
    struct state state;
    struct change_pin_volume *volumes;
    size_t count;
    struct operator_list operators; /* more than one: change_pin_choose() has to come next */
};

/* Volumes, protectors, TPM, and with a PIN the lockout: all that can be refused before anyone types. The struct must
 * stay where it is. change_pin_end() cleans up, whatever happened. */
int change_pin_begin(struct change_pin *ret, const struct change_pin_request *request, struct error *error);

/* Whose PIN it is, when change->operators has several: what is left are the volumes that this operator has a PIN for.
 * ERROR_NO_PROTECTOR: none. */
int change_pin_choose(struct change_pin *change, unsigned operator_number, struct error *error);

/*
 * One try, that the TPM counts, for each distinct salt among the volumes. Wrong everywhere: ERROR_WRONG_PIN, and it may
 * be called again. Right somewhere: the volumes are those that it opens, and the tries on others are forgiven.
 */
int change_pin_by_pin(struct change_pin *change, const struct secret *pin, struct error *error);

/* Any passphrase of the volume, a recovery key in its canonical form included. It ends a lockout. */
int change_pin_by_passphrase(struct change_pin *change, const struct secret *passphrase, struct error *error);

/* All or nothing until the commit point of the first volume. A failure after that tells which volumes have which PIN;
 * volume->changed does too. After success volume->sealing.protector is the new one. */
int change_pin_finish(struct change_pin *change, const struct secret *pin, struct error *error);

void change_pin_end(struct change_pin *change);
