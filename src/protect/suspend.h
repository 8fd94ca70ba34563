/*
 * Suspending: for a number of reboots, or for some time besides, the TPM releases the secrets whatever the boot state
 * is. A PIN is asked for as always, and the cap holds. The TPM keeps the limits (keys-and-policy, "The approval"): it
 * does not hold in the boot that made it, and neither another system, nor a power cut, nor the clock of the machine
 * prolongs it.
 *
 * A suspension is made and ended as any change of the approval is (approve.h), and survives a power cut like one.
 */
#pragma once

#include "policy/suspension.h"
#include "protect/state.h"
#include "tpm/tpm.h"

#define SUSPEND_MIN_MS 60000ull
#define SUSPEND_MAX_MS (30ull * 24 * 3600 * 1000)

struct suspend_request {
    struct tpm *tpm;
    const char *state_folder; /* NULL: STATE_FOLDER */
    const char *report_path;
    unsigned reboots;     /* 1 to SUSPEND_MAX_REBOOTS */
    unsigned spare;       /* resets beside these: SUSPEND_SPARE_RESETS for firmware, else 0 */
    uint64_t duration_ms; /* of powered time; 0: no such limit */
    enum suspend_purpose purpose;
    bool then_reseal;
    bool allow_without_pin; /* protectors without a PIN: whoever switches the machine on has the volume */
    bool keep;              /* one that covers the next boot is left as it is */
};

struct suspend_result {
    bool suspended; /* resume: there was one, and it is ended */
    bool kept;      /* suspend: an earlier one serves */
    bool renewed;   /* resume: protectors without a PIN have a new secret */
    struct suspension suspension;
    struct suspension_time now;
    size_t volumes;
};

/*
 * ERROR_REFUSED: a volume has a protector without a PIN and that was not allowed, or one that seals the volume key
 * itself, whose secret could not be renewed afterwards. ERROR_NO_PROTECTOR: nothing is enrolled.
 */
int suspend(const struct suspend_request *request, struct suspend_result *ret, struct error *error);

/* For an update that nobody could foresee: one reboot, and boot-ok approves what it measures. One that covers the next
 * boot already serves. The rest of `where` is not looked at: TPM, state folder and report. */
int suspend_for_update(const struct suspend_request *where, struct suspend_result *ret, struct error *error);

/* Ends it, if there is one; what is over by itself is cleared away too. */
int resume(const struct suspend_request *request, struct suspend_result *ret, struct error *error);

/* ---- for others that change the approval ---- */

/*
 * Before a draft of the approval is made: where there is a suspension, protectors without a PIN under it get their new
 * secrets. The caller then ends it by suspension_drop() on its draft. With the state open for changing, and settled.
 */
int suspend_prepare_end(struct tpm *tpm, struct state *state, struct error *error);

int suspend_time(struct tpm *tpm, struct suspension_time *ret, struct error *error);
