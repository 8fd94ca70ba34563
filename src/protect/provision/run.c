#include "protect/provision/provision.h"

#include "base/cleanup.h"
#include "protect/seal/approve.h"

/* Index, pins, and what the index has to hold. */
static int make_index(const struct provision_request *request, struct state *state, struct error *error)
{
    bool lost;
    int r = provision_index(request->tpm, state, &lost, error);

    if (!r && !state->has_pins) {
        pins_set_policy(&state->pins, &request->document);
        r = state_save_pins(state, error);
    }
    if (!r)
        r = approve_settle(request->tpm, state, lost, error);
    /* written once, it is known by its Name: one that was never written may have somebody's authValue, and is defined
     * anew, which takes the owner */
    return r || !lost || state->approval.object_count ? r : approve_nothing(request->tpm, state, error);
}

/* Of a TPM on which somebody, an earlier run with a policy as a rule, has set them. */
static struct lockout_rules limits_of(const struct provision_request *request, const struct tpm_state *now)
{
    struct lockout_rules limits = request->document.lockout;

    if (!request->no_policy || !now->lockout_auth_set)
        return limits;
    if (now->max_tries > 0 && now->max_tries < limits.max_tries)
        limits.max_tries = now->max_tries;
    if (now->recovery_s > limits.recovery_s)
        limits.recovery_s = now->recovery_s;
    if (now->lockout_recovery_s > limits.lockout_recovery_s)
        limits.lockout_recovery_s = now->lockout_recovery_s;
    return limits;
}

static int find_holder(const struct provision_result *result, enum provision_holder *ret, struct error *error)
{
    cleanup(secret_free) struct secret kept = { 0 };
    int r = state_read_lockout_auth(&result->state, &kept, error);

    *ret = !result->tpm.lockout_auth_set ? PROVISION_NOBODY : kept.size ? PROVISION_KEPT : PROVISION_FOREIGN;
    return r;
}

static int begin(struct provision_result *result, const struct provision_request *request, struct error *error)
{
    int r = provision_check_tpm(request->tpm, error);

    if (!r)
        r = provision_check_place(request->state_folder, request->allow_unencrypted_state, error);
    if (!r)
        r = state_open(request->state_folder, STATE_CREATE, &result->state, error);
    if (r)
        return r;
    r = tpm_state_read(request->tpm, &result->before, error);
    if (r)
        return r;
    tpm_owner_auth_use(request->tpm, result->before.owner_auth_set ? request->owner_auth : NULL);
    return provision_srk(request->tpm, &result->state, error);
}

int provision_run(struct provision_result *ret, const struct provision_request *request, struct error *error)
{
    struct lockout_rules limits;
    int r;

    *ret = (struct provision_result){ .state.lock = -1 };
    r = begin(ret, request, error);
    if (!r) {
        limits = limits_of(request, &ret->before);
        if (!provision_lockout_with(request->tpm, &ret->state, &limits, request->lockout_auth, &ret->lockout))
            ret->lockout.kind = ERROR_NONE;
        if (!make_index(request, &ret->state, &ret->index))
            ret->index.kind = ERROR_NONE;
        r = tpm_state_read(request->tpm, &ret->tpm, error);
    }
    tpm_owner_auth_use(request->tpm, NULL);
    if (!r)
        r = find_holder(ret, &ret->holder, error);
    ret->told = !r;
    if (!r && (ret->lockout.kind || ret->index.kind)) {
        *error = ret->lockout.kind ? ret->lockout : ret->index;
        r = (int)error->kind;
    }
    return r;
}

void provision_end(struct provision_result *result)
{
    state_close(&result->state);
}
