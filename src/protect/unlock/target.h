/*
 * One volume on its way to being opened: header opened and compared with its pin, tokens read, a protector chosen and
 * prepared, unsealed, activated. Used by the initramfs program and the command line alike.
 */
#pragma once

#include "protect/unlock/operators.h"
#include "protect/unlock/pins.h"
#include "protect/unlock/unseal.h"

struct target {
    const struct pins *pins;
    const struct pinned_volume *pin;
    struct volume *volume;
    bool is_pinned; /* `volume` is open and what the pin says */
    struct protector_list protectors;
    const struct protector *protector; /* the chosen one, in `protectors` */
    struct approval approval;
    struct approval next;
    bool has_next;
    struct unseal unseal;
    bool prepared;
};

/*
 * Opens the header at pin->device and compares it with the pin, reads the tokens and compares them too, and chooses the
 * protector: one without a PIN if there is one, else the first one with a PIN. What the pins or the list of approved
 * states do not know is only chosen when there is nothing better: a removal that was cut leaves such a token. None:
 * ERROR_NO_PROTECTOR. Sends nothing to the TPM. Whatever happened, target_free() cleans up.
 */
int target_open(struct target *ret, const struct pins *pins, const struct pinned_volume *pin, struct error *error);

/* The first step of it alone: the header, compared with the pin. */
int target_open_volume(struct target *ret, const struct pins *pins, const struct pinned_volume *pin,
                       struct error *error);

/* All TPM work that needs no PIN (unseal_prepare()); a second call does nothing. */
int target_prepare(struct target *target, struct tpm *tpm, const struct authority_signer *authority,
                   struct error *error);

bool target_has_pin(const struct target *target);

/* Whose PINs open it; adds nothing when it opens without one. */
void target_operators(const struct target *target, struct operator_list *list);

/*
 * Chooses the protector of that operator instead; what was prepared for another one is released. ERROR_NO_PROTECTOR:
 * there is none; ERROR_METADATA: none that fits the pins. Then nothing changes.
 */
int target_choose_operator(struct target *target, unsigned number, struct error *error);

/* The same for the operator whose PIN has this salt and cost. */
int target_choose_same_pin(struct target *target, const struct kdf_parameters *kdf, struct error *error);

/* Gives back what target_prepare() holds in the TPM; it can be prepared again. */
void target_release(struct target *target);

/* Two targets whose protectors share salt and cost share the PIN: one derivation and one question serve both. */
bool target_same_pin(const struct target *a, const struct target *b);

/* Unseals, up to what opens the volume: see payload.h. `auth` and `mix` come from keys_stretch(), or are NULL without a
 * PIN. */
int target_unseal(struct target *target, const struct secret *auth, const struct secret *mix, struct secret *ret_opener,
                  struct error *error);

void target_free(struct target *target);

/* Reads the one bootseal-approval token of a volume that names the pinned index ("index"; or none, as those before there
 * were rotations), and compares bank and cap with the pins. */
#define TARGET_INDEX_KEY "index"
int target_read_approval(struct volume *volume, const struct pins *pins, struct approval *ret,
                         struct approval *ret_next, bool *ret_has_next, struct error *error);
