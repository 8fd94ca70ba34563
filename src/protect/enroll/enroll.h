/*
 * Adding a protector to a volume. In two halves, so that everything that can be refused is refused before anyone is
 * asked for a secret: enroll_begin() checks, enroll_finish() changes. In between the caller gets passphrase and PIN.
 *
 * The order of the change, and what a power cut leaves behind:
 *   seal (nothing) - bootseal-pending token (the token) - approval with old and new objects (an object without a token)
 * - unseal by authority and PIN - keyslot, if the payload is one (named by the pending token) - keyslot opened with the
 * result - bootseal token: from here on the protector is there - pending token dropped. enroll_check_passphrase()
 * clears away what an enrolment that was cut has left.
 */
#pragma once

#include "policy/document.h"
#include "protect/state.h"
#include "tpm/tpm.h"

struct enroll_request {
    struct tpm *tpm;
    const char *state_folder; /* NULL: STATE_FOLDER */
    const char *device;
    const char *name;  /* /dev/mapper name at boot; NULL: the active mapping's, crypttab's, or luks-UUID */
    const char *label; /* NULL: none */
    const char *report_path;
    struct policy_document document;
    enum protector_payload payload;
    unsigned operator_number; /* whose PIN it will be; 0: found out, see enroll_finish() */
    bool no_pin;
    bool current_values;
    bool allow_unencrypted_state;
    bool recovery_key; /* the caller adds one afterwards: there must be room for it too */
};

struct enroll {
    struct enroll_request request;
    struct state state;
    struct volume *volume;
    struct pinned_volume pin;
    struct pcr_values boot_values; /* mask 0: the machine has an approval already */
    struct approval draft;         /* what is approved afterwards, without the new object */
    struct secret key;             /* the volume key, after enroll_check_passphrase() */
    int key_keyslot;               /* the keyslot that the passphrase opened */
    struct protector_list others;  /* that the volume has already */
    struct protector protector;
    struct pins pins_before;
    bool pins_changed; /* by this enrolment: then the initramfs has to have the new ones */
};

/*
 * Volume, state folder, TPM, policy and boot state, each against its rules. Makes what the TPM needs (SRK, lockout
 * authorisation, index) since that is the only way to know that it can be made. enroll_end() cleans up.
 */
int enroll_begin(struct enroll *ret, const struct enroll_request *request, struct error *error);

/* The existing passphrase or recovery key, tried at once: see recover_any(). */
int enroll_check_passphrase(struct enroll *enroll, const struct secret *passphrase, struct error *error);

/*
 * `pin` is NULL with no_pin. After success enroll->protector is the new one.
 *
 * Without a number in the request, the operator is the one whose PIN this is on another pinned volume, if the volume
 * has none with that number: then the protectors share salt and cost. Else it is the smallest number that is free on
 * all of them. The PIN is not tried on those of the volume's other operators, and so two of them may have chosen the
 * same.
 */
int enroll_finish(struct enroll *enroll, const struct secret *pin, struct error *error);

/* After enroll_finish(): lets others change approval and header (an update hook that the new initramfs sets off would
 * wait for ever otherwise), and takes lock and header up again. */
void enroll_pause(struct enroll *enroll);
int enroll_resume(struct enroll *enroll, struct error *error);

void enroll_end(struct enroll *enroll);
