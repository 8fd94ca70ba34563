#include "protect/status/status.h"

#include "base/cleanup.h"
#include "protect/boot/boot-state.h"
#include "protect/seal/approve.h"
#include "protect/suspend.h"

const char *status_state_name(enum status_state state)
{
    switch (state) {
    case STATUS_PROTECTED:
        return "protected";
    case STATUS_RECOVERY_USED:
        return "recovery used";
    case STATUS_OTHER_KEYSLOTS:
        return "protected, but other keyslots remain";
    case STATUS_LOCKED_OUT:
        return "locked out";
    case STATUS_SUSPENDED:
        return "suspended";
    case STATUS_NOT_PROTECTED:
    default:
        return "not protected";
    }
}

bool status_is_protected(enum status_state state)
{
    return state == STATUS_PROTECTED || state == STATUS_RECOVERY_USED;
}

/* A TPM forgives one wrong PIN after each recovery_s of powered time; how much of the first one has passed it does not
 * tell (TPM 2.0 Part 1, dictionary attack logic). */
static uint64_t lockout_wait_s(const struct tpm_state *state)
{
    if (!state->in_lockout || state->lockout_counter < state->max_tries)
        return 0;
    return ((uint64_t)state->lockout_counter - state->max_tries + 1) * state->recovery_s;
}

static void read_tpm(const struct status_request *request, struct status_tpm *ret)
{
    *ret = (struct status_tpm){ 0 };
    if (!request->tpm) {
        ret->error = *request->tpm_error;
        return;
    }
    if (tpm_identity_read(request->tpm, &ret->identity, &ret->error) ||
        tpm_state_read(request->tpm, &ret->state, &ret->error))
        return;
    ret->lockout_wait_s = lockout_wait_s(&ret->state);
    ret->error.kind = ERROR_NONE;
}

bool status_is_suspended(const struct status *status)
{
    return status->has_suspension && suspension_reboots_left(&status->suspension, &status->now) > 0;
}

/* A change that was cut may have left the list in force beside the one before. Where the TPM cannot tell which it is,
 * the record stands; an index that holds neither is doctor's. */
static void read_approval(struct tpm *tpm, struct state *state)
{
    struct error ignored;
    bool found;

    if (tpm && state->has_next && !tpm_srk_use(tpm, &state->pins.srk, &ignored))
        (void)approve_find_in_force(tpm, state, &found, &ignored);
}

/* Without a TPM to ask, it is taken to be as it was made. */
static void read_suspension(const struct status_request *request, struct status *status)
{
    struct error ignored;

    status->has_suspension = suspension_find(&status->state.approval, &status->suspension);
    if (status->has_suspension && request->tpm)
        (void)suspend_time(request->tpm, &status->now, &ignored);
}

static void read_boot(const struct status_request *request, struct status *status)
{
    const struct approval *approval = &status->state.approval;
    struct status_boot *boot = &status->boot;
    const struct boot_state_request wanted = {
        .report_path = request->report_path,
        .bank = approval->bank,
        .pcrs = approval->pcrs,
        .cap = approval->cap,
        .current_values = true,
    };

    boot->branch = -1;
    if (!request->tpm) {
        boot->error = status->tpm.error;
    } else if (!approval->object_count) {
        error_set(&boot->error, ERROR_NO_PROTECTOR, "nothing is approved on this machine");
    } else if (!boot_state_read(request->tpm, &wanted, &boot->values, &boot->error)) {
        boot->error.kind = ERROR_NONE;
        boot->branch = approval_find_state(approval, &boot->values);
    }
}

int status_read(const struct status_request *request, struct status *ret, struct error *error)
{
    const struct pins *pins;
    int r;

    *ret = (struct status){ .state.lock = -1 };
    r = state_open(request->state_folder, STATE_READ, &ret->state, error);
    if (r == ERROR_METADATA && request->despite_damage)
        ret->damage = *error;
    else if (r)
        return r;
    pins = &ret->state.pins;
    ret->volume_count = request->device ? 1 : pins->volume_count;
    ret->volumes = calloc(ret->volume_count ? ret->volume_count : 1, sizeof(*ret->volumes));
    if (!ret->volumes)
        return error_no_memory(error);
    read_tpm(request, &ret->tpm);
    read_approval(request->tpm, &ret->state);
    read_boot(request, ret);
    read_suspension(request, ret);
    for (size_t i = 0; i < ret->volume_count; i++)
        status_read_volume(request, ret, request->device ? request->device : pins->volumes[i].device,
                           request->device ? NULL : &pins->volumes[i], &ret->volumes[i]);
    return 0;
}

void status_free(struct status *status)
{
    for (size_t i = 0; status->volumes && i < status->volume_count; i++)
        protector_list_free(&status->volumes[i].protectors);
    free(status->volumes);
    state_close(&status->state);
    *status = (struct status){ .state.lock = -1 };
}
