#include "protect/suspend.h"

#include "base/cleanup.h"
#include "protect/reseal.h"
#include "protect/seal/approve.h"
#include "protect/seal/renew.h"

/* Values that nobody recorded before the cap are not taken: a capped one would let the secrets out after the cap. */
static struct reseal_request reseal_of(const struct suspend_request *request)
{
    return (struct reseal_request){
        .tpm = request->tpm,
        .state_folder = request->state_folder,
        .report_path = request->report_path,
    };
}

int suspend_time(struct tpm *tpm, struct suspension_time *ret, struct error *error)
{
    struct tpm_clock clock;
    int r = tpm_clock_read(tpm, &clock, error);

    if (!r)
        *ret = (struct suspension_time){ clock.reset_count, clock.clock_ms };
    return r;
}

/* ---- protectors without a PIN ---- */

static int refuse_volume_key(const struct pinned_volume *pin, struct error *error)
{
    error_set(
        error, ERROR_REFUSED,
        "volume \"%s\" has a protector without a PIN that seals the volume key itself: whoever starts a suspended "
        "machine has that key for good",
        pin->name);
    return error_remedy(error, "give the volume a PIN, or the payload keyslot: bootseal remove, then bootseal enroll");
}

static int refuse_without_pin(const struct pinned_volume *pin, struct error *error)
{
    error_set(
        error, ERROR_REFUSED,
        "volume \"%s\" has a protector without a PIN: while suspended, any system that is started on this machine "
        "can open it",
        pin->name);
    return error_remedy(error, "keep strangers away from the machine until it has resumed, and give --allow-no-pin");
}

static int check_volume(const struct suspend_request *request, const struct pinned_volume *pin, bool *ret_without_pin,
                        struct error *error)
{
    cleanup(protector_list_free) struct protector_list list = { 0 };
    cleanup(volume_close) struct volume *volume = NULL;
    int r = volume_open(&volume, pin->device, error);

    r = r ?: pins_check_volume(pin, volume, error);
    r = r ?: protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, error);
    for (size_t i = 0; !r && i < list.count; i++) {
        if (list.items[i].kind != PROTECTOR_TPM2)
            continue;
        *ret_without_pin = true;
        if (list.items[i].payload == PAYLOAD_VOLUME_KEY)
            r = refuse_volume_key(pin, error);
        else if (!request->allow_without_pin)
            r = refuse_without_pin(pin, error);
    }
    return r;
}

static int check_volumes(const struct suspend_request *request, const struct state *state, bool *ret_without_pin,
                         struct error *error)
{
    int r = 0;

    *ret_without_pin = false;
    for (size_t i = 0; !r && i < state->pins.volume_count; i++)
        r = check_volume(request, &state->pins.volumes[i], ret_without_pin, error);
    return r;
}

int suspend_prepare_end(struct tpm *tpm, struct state *state, struct error *error)
{
    struct suspension suspension;

    if (!suspension_find(&state->approval, &suspension) || !suspension.without_pin)
        return 0;
    return renew_without_pin(tpm, state, error);
}

/* ---- the two verbs ---- */

static int check_request(const struct suspend_request *request, struct error *error)
{
    if (request->reboots < 1 || request->reboots > SUSPEND_MAX_REBOOTS)
        return error_set(error, ERROR_USAGE, "a suspension covers 1 to %d reboots, not %u", SUSPEND_MAX_REBOOTS,
                         request->reboots);
    if (request->duration_ms && (request->duration_ms < SUSPEND_MIN_MS || request->duration_ms > SUSPEND_MAX_MS))
        return error_set(error, ERROR_USAGE, "a suspension lasts from one minute to 30 days");
    return 0;
}

static int set_limits(const struct suspend_request *request, const struct suspension_time *now, struct suspension *ret,
                      struct error *error)
{
    uint32_t resets = request->reboots + request->spare;

    if (now->reset_count > UINT32_MAX - resets)
        return error_set(error, ERROR_TPM, "the TPM's count of resets is at its end: %u", now->reset_count);
    ret->after = now->reset_count;
    ret->until = now->reset_count + resets;
    ret->has_clock = request->duration_ms;
    ret->clock_ms = request->duration_ms ? now->clock_ms + request->duration_ms : 0;
    ret->purpose = request->purpose;
    ret->then_reseal = request->then_reseal;
    return 0;
}

/* The running boot's value before the cap, when it is known: the next boot most likely has the same. */
static int switch_to(const struct suspend_request *request, struct state *state, const struct suspension *suspension,
                     struct error *error)
{
    cleanup(approval_free) struct approval draft = { 0 };
    const struct reseal_request reseal = reseal_of(request);
    struct pcr_values running;
    struct error ignored;
    bool known = !reseal_running(&reseal, &state->approval, &running, &ignored);
    int r = approval_copy(&state->approval, &draft, error);

    r = r ?: suspension_set(&draft, suspension, &running, known, error);
    return r ?: approve_switch(request->tpm, state, &draft, error);
}

static bool serves(const struct suspend_request *request, const struct state *state, struct suspend_result *ret)
{
    ret->kept = request->keep && suspension_find(&state->approval, &ret->suspension) &&
                suspension_reboots_left(&ret->suspension, &ret->now) > 0;
    return ret->kept;
}

int suspend(const struct suspend_request *request, struct suspend_result *ret, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    const struct reseal_request reseal = reseal_of(request);
    struct suspension before, *suspension = &ret->suspension;
    bool without_pin;
    int r = check_request(request, error);

    *ret = (struct suspend_result){ 0 };
    r = r ?: reseal_open(&reseal, &state, error);
    r = r ?: suspend_time(request->tpm, &ret->now, error);
    if (r)
        return r;
    ret->volumes = state.pins.volume_count;
    if (serves(request, &state, ret))
        return 0;
    r = check_volumes(request, &state, &without_pin, error);
    r = r ?: set_limits(request, &ret->now, suspension, error);
    if (r)
        return r;
    /* what an earlier one has given away is still to be renewed */
    suspension->without_pin = without_pin || (suspension_find(&state.approval, &before) && before.without_pin);
    r = switch_to(request, &state, suspension, error);
    ret->suspended = !r;
    return r;
}

int suspend_for_update(const struct suspend_request *where, struct suspend_result *ret, struct error *error)
{
    const struct suspend_request request = {
        .tpm = where->tpm,
        .state_folder = where->state_folder,
        .report_path = where->report_path,
        .reboots = 1,
        .purpose = SUSPEND_UPDATE,
        .then_reseal = true,
        .keep = true,
    };

    return suspend(&request, ret, error);
}

int resume(const struct suspend_request *request, struct suspend_result *ret, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    cleanup(approval_free) struct approval draft = { 0 };
    const struct reseal_request reseal = reseal_of(request);
    int r = reseal_open(&reseal, &state, error);

    *ret = (struct suspend_result){ 0 };
    if (r)
        return r;
    ret->volumes = state.pins.volume_count;
    if (!suspension_find(&state.approval, &ret->suspension))
        return 0;
    r = suspend_prepare_end(request->tpm, &state, error);
    r = r ?: approval_copy(&state.approval, &draft, error);
    if (r)
        return r;
    (void)suspension_drop(&draft);
    r = approve_switch(request->tpm, &state, &draft, error);
    ret->suspended = !r;
    ret->renewed = !r && ret->suspension.without_pin;
    return r;
}
