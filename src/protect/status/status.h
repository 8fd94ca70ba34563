/*
 * What an administrator wants to know of a volume and its TPM, gathered without changing anything and without a PIN.
 * A part that cannot be read carries its reason; the rest is still told.
 */
#pragma once

#include "luks/recovery.h"
#include "policy/suspension.h"
#include "protect/state.h"
#include "protect/unlock/report.h"
#include "tpm/tpm.h"

enum status_state {
    STATUS_PROTECTED,      /* a protector in force, and nothing weaker beside it */
    STATUS_RECOVERY_USED,  /* the same, but this boot needed the recovery key: `boot` says why */
    STATUS_OTHER_KEYSLOTS, /* protected, but N keyslots remain that bootseal does not manage */
    STATUS_LOCKED_OUT,     /* the TPM refuses PINs for now */
    STATUS_SUSPENDED,      /* the next boot opens it whatever that measures: see status.suspension */
    STATUS_NOT_PROTECTED,  /* no protector, or not of this TPM, or changed metadata: see the reason */
};

enum status_answer { STATUS_NO, STATUS_YES, STATUS_UNKNOWN };

struct status_volume {
    char device[PINS_DEVICE_MAX + 1];
    char name[PINS_NAME_MAX + 1];
    char uuid[VOLUME_UUID_TEXT];
    enum status_state state;
    struct protector_list protectors;
    struct recovery recovery_keys[VOLUME_MAX_TOKENS];
    size_t recovery_key_count;
    uint32_t other_keyslots;  /* mask: in use, and neither a protector's nor a recovery key's */
    uint32_t orphan_keyslots; /* of these: with the minimal PBKDF2, so made by bootseal, and no token names them */
    struct error unlock;      /* kind ERROR_NONE: this boot state would open it; else why not */
    bool authority_opens;     /* the running system can: capped, and the authority is here and in force */
    enum status_answer next_unlock; /* will the next boot open it, if nothing that is measured changes? */
    struct error next_reason;       /* why not, or why nobody knows */
    struct report_opening boot;     /* how this boot opened it */
};

struct status_tpm {
    struct error error; /* kind ERROR_NONE: the rest is set */
    struct tpm_identity identity;
    struct tpm_state state;
    uint64_t lockout_wait_s; /* while in lockout: the longest that it takes, switched on, until one PIN is taken */
};

/* The boot state that counts, against the approval. */
struct status_boot {
    struct error error;       /* kind ERROR_NONE: the rest is set */
    struct pcr_values values; /* of the initramfs, or those of now while the boot is not capped */
    int branch;               /* the boot branch of state.approval that has them; -1: none */
};

struct status {
    struct status_tpm tpm;
    struct state state;
    struct error damage; /* kind other than ERROR_NONE: files of the state folder that were not read */
    struct status_boot boot;
    bool has_suspension; /* in the approval; it may be over */
    struct suspension suspension;
    struct suspension_time now; /* as the TPM counts it; all zero without a TPM */
    struct status_volume *volumes;
    size_t volume_count;
};

struct status_request {
    struct tpm *tpm; /* NULL with the reason in `tpm_error` */
    const struct error *tpm_error;
    const char *state_folder; /* NULL: STATE_FOLDER */
    const char *report_path;
    const char *device;  /* NULL: every pinned volume */
    bool despite_damage; /* a damaged state folder is kept as `damage` and read as far as possible */
};

/* status_free() cleans up. */
int status_read(const struct status_request *request, struct status *ret, struct error *error);
void status_free(struct status *status);

/* The suspension covers a boot that is still to come. */
bool status_is_suspended(const struct status *status);

/* Whether a volume in this state needs TPM and boot state to be opened, recovery keys aside. */
bool status_is_protected(enum status_state state);

/* A protector without a PIN beside one with a PIN: that is asked for by nobody who opens the volume. */
bool status_has_bypassed_pin(const struct status_volume *volume);

/* "protected" and so on, as lifecycle words. */
const char *status_state_name(enum status_state state);

/* ---- the parts ---- */

/* Reads the volume at `device` into `ret`; one that cannot be read keeps its reason there. `known` is its pin, or NULL
 * when that is to be found by its UUID. */
void status_read_volume(const struct status_request *request, struct status *status, const char *device,
                        const struct pinned_volume *known, struct status_volume *ret);

/* Reads the bootseal-recovery tokens. One that is damaged, of a newer version, or that names a keyslot which is not of
 * a recovery key's kind (the minimal PBKDF2: an old passphrase has more) does not count. */
int status_read_recovery_keys(struct volume *volume, struct status_volume *ret, struct error *error);
