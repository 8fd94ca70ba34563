#include "protect/reseal.h"

#include "base/cleanup.h"
#include "protect/approve.h"
#include "protect/boot-state.h"
#include "protect/provision/provision.h"

#include <string.h>

/* Drops what the new branch replaces: all boot branches, or with `keep` only one with the same values. */
static void drop_boot_branches(struct approval *draft, const struct branch *fresh, bool keep)
{
    for (size_t i = draft->branch_count; i-- > 0;) {
        const struct branch *branch = &draft->branches[i];

        if (branch->kind == BRANCH_BOOT && (!keep || !pcr_values_differ(&branch->values, &fresh->values, draft->pcrs)))
            approval_remove_branch(draft, i);
    }
}

static int draft_current(const struct reseal_request *request, const struct state *state, struct approval *draft,
                         struct branch *fresh, struct error *error)
{
    const struct boot_state_request wanted = {
        .report_path = request->report_path,
        .bank = state->approval.bank,
        .pcrs = state->approval.pcrs,
        .cap = state->approval.cap,
        .current_values = request->current_values,
    };
    struct pcr_values values;
    int r = boot_state_read(request->tpm, &wanted, &values, error);

    if (!r)
        r = approval_copy(&state->approval, draft, error);
    if (!r)
        r = approve_boot_branch(draft, &values, fresh, error);
    if (r)
        return r;
    drop_boot_branches(draft, fresh, request->keep);
    return approval_add_branch(draft, fresh, error);
}

static int nothing_enrolled(const struct state *state, struct error *error)
{
    error_set(error, ERROR_NO_PROTECTOR, "nothing is enrolled on this machine (state folder \"%s\")", state->folder);
    return error_remedy(error, "run: bootseal enroll");
}

static size_t count_boot_branches(const struct approval *approval)
{
    size_t count = 0;

    for (size_t i = 0; i < approval->branch_count; i++)
        count += approval->branches[i].kind == BRANCH_BOOT;
    return count;
}

int reseal_current(const struct reseal_request *request, struct reseal_result *ret, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    cleanup(approval_free) struct approval draft = { 0 };
    struct branch fresh;
    bool lost;
    int r = state_open(request->state_folder, STATE_CHANGE, &state, error);

    if (!r && !state.has_pins)
        r = nothing_enrolled(&state, error);
    if (!r)
        r = provision_tpm(request->tpm, &state, &lost, error);
    if (!r)
        r = approve_settle(request->tpm, &state, lost, error);
    if (!r && !state.approval.object_count)
        r = nothing_enrolled(&state, error);
    if (!r)
        r = draft_current(request, &state, &draft, &fresh, error);
    if (!r)
        r = approve_switch(request->tpm, &state, &draft, error);
    if (r)
        return r;
    *ret = (struct reseal_result){ count_boot_branches(&state.approval), state.pins.volume_count, "" };
    strcpy(ret->label, fresh.label);
    return 0;
}
