/*
 * What an administrator wants to know of a volume and its TPM, gathered without changing anything and without a PIN.
 * A part that cannot be read carries its reason; the rest is still told.
 */
#pragma once

#include "protect/state.h"
#include "tpm/tpm.h"

enum status_state {
    STATUS_PROTECTED,      /* a protector in force, and nothing weaker beside it */
    STATUS_OTHER_KEYSLOTS, /* protected, but N keyslots remain that bootseal does not manage */
    STATUS_LOCKED_OUT,     /* the TPM refuses PINs for now */
    STATUS_NOT_PROTECTED,  /* no protector, or not of this TPM, or changed metadata: see the reason */
};

struct status_volume {
    char device[PINS_DEVICE_MAX + 1];
    char name[PINS_NAME_MAX + 1];
    char uuid[VOLUME_UUID_TEXT];
    enum status_state state;
    struct protector_list protectors;
    uint32_t other_keyslots; /* mask: in use, neither a protector's nor a recovery key's */
    struct error unlock;     /* kind ERROR_NONE: this boot state would open it; else why not */
    bool authority_opens;    /* the running system can: capped, and the authority is here */
};

struct status_tpm {
    struct error error; /* kind ERROR_NONE: the rest is set */
    struct tpm_identity identity;
    struct tpm_state state;
};

struct status {
    struct status_tpm tpm;
    struct state state;
    struct status_volume *volumes;
    size_t volume_count;
};

/* `device` NULL: every pinned volume. `tpm` NULL with the reason in `tpm_error`. status_free() cleans up. */
int status_read(struct tpm *tpm, const struct error *tpm_error, const char *state_folder, const char *device,
                struct status *ret, struct error *error);
void status_free(struct status *status);

/* "protected" and so on, as lifecycle words. */
const char *status_state_name(enum status_state state);
