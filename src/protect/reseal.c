#include "protect/reseal.h"

#include "base/cleanup.h"
#include "protect/boot/boot-state.h"
#include "protect/provision/provision.h"
#include "protect/seal/approve.h"
#include "protect/suspend.h"
#include "protect/update/entries.h"

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

int reseal_running(const struct reseal_request *request, const struct approval *approval, struct pcr_values *ret,
                   struct error *error)
{
    const struct boot_state_request wanted = {
        .report_path = request->report_path,
        .bank = approval->bank,
        .pcrs = approval->pcrs,
        .cap = approval->cap,
        .current_values = request->current_values,
    };

    return boot_state_read(request->tpm, &wanted, ret, error);
}

static int draft_current(const struct reseal_request *request, const struct state *state,
                         const struct pcr_values *running, struct approval *draft, struct error *error)
{
    struct branch fresh;
    int r = approval_copy(&state->approval, draft, error);

    if (!r)
        r = approve_boot_branch(draft, running, &fresh, error);
    if (r)
        return r;
    drop_boot_branches(draft, &fresh, request->keep);
    (void)suspension_drop(draft);
    for (size_t i = 0; request->mark_kept && i < draft->branch_count; i++)
        draft->branches[i].kept = draft->branches[i].kind == BRANCH_BOOT;
    fresh.kept = request->mark_kept;
    return approval_add_branch(draft, &fresh, error);
}

static int nothing_enrolled(const struct state *state, struct error *error)
{
    error_set(error, ERROR_NO_PROTECTOR, "nothing is enrolled on this machine (state folder \"%s\")", state->folder);
    return error_remedy(error, "run: bootseal enroll");
}

int reseal_open(const struct reseal_request *request, struct state *state, struct error *error)
{
    bool lost, was_cut;
    int r = state_open(request->state_folder, STATE_CHANGE, state, error);

    if (!r && !state->has_pins)
        r = nothing_enrolled(state, error);
    was_cut = !r && state->has_next;
    if (!r)
        r = provision_tpm(request->tpm, state, &lost, error);
    if (!r)
        r = approve_settle(request->tpm, state, lost, error);
    if (!r && !state->approval.object_count)
        r = nothing_enrolled(state, error);
    return r || !was_cut ? r : approve_finish(state, error);
}

int reseal_begin(const struct reseal_request *request, struct state *state, struct pcr_values *ret_running,
                 struct error *error)
{
    int r = reseal_open(request, state, error);

    return r ? r : reseal_running(request, &state->approval, ret_running, error);
}

static bool is_state(const struct branch *branch, const struct pcr_values *values, uint32_t pcrs)
{
    return branch->kind == BRANCH_BOOT && !pcr_values_differ(&branch->values, values, pcrs);
}

void reseal_describe(const struct state *state, const struct pcr_values *running, struct reseal_result *ret)
{
    const struct approval *approval = &state->approval;

    ret->volumes = state->pins.volume_count;
    for (size_t i = 0; i < approval->branch_count; i++) {
        const struct branch *branch = &approval->branches[i];
        struct reseal_state *told = &ret->states[ret->boot_branches];

        if (branch->kind != BRANCH_BOOT)
            continue;
        strcpy(told->label, branch->label);
        strcpy(told->entry, branch->entry);
        told->source = branch->source;
        told->running = is_state(branch, running, approval->pcrs);
        if (told->running)
            strcpy(ret->label, branch->label);
        ret->boot_branches++;
    }
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
    struct pcr_values running;
    size_t before;
    bool known;
    struct suspension suspension;
    bool suspended;
    int r = reseal_begin(request, &state, &running, error);

    suspended = !r && suspension_find(&state.approval, &suspension);
    if (!r)
        r = suspend_prepare_end(request->tpm, &state, error);
    if (!r)
        r = draft_current(request, &state, &running, &draft, error);
    if (r)
        return r;
    before = count_boot_branches(&state.approval);
    known = approval_find_state(&state.approval, &running) >= 0;
    r = approve_switch(request->tpm, &state, &draft, error);
    if (r)
        return r;
    *ret = (struct reseal_result){ .resumed = suspended };
    reseal_describe(&state, &running, ret);
    ret->dropped = before + !known - ret->boot_branches;
    return 0;
}

/* ---- commit ---- */

struct commit {
    const struct reseal_request *request;
    const struct pcr_values *running;
    const char *running_entry; /* borrowed from the state that booted */
    char boot[BRANCH_BOOT_DIGITS + 1];
};

static bool is_named(const char *const *entries, const char *entry)
{
    for (; *entries; entries++)
        if (strcmp(*entries, entry) == 0)
            return true;
    return false;
}

static bool may_come(const struct reseal_request *request, const struct branch *branch, uint32_t pcrs)
{
    for (size_t i = 0; i < request->coming_count; i++)
        if (is_state(branch, &request->coming[i], pcrs))
            return true;
    return false;
}

static bool is_outlived(const struct commit *commit, const struct approval *approval, const struct branch *branch)
{
    const struct reseal_request *request = commit->request;
    const char *entry = entry_of_branch(branch);

    if (branch->kind != BRANCH_BOOT || is_state(branch, commit->running, approval->pcrs) ||
        strcmp(branch->approved_in, commit->boot) == 0 || may_come(request, branch, approval->pcrs))
        return false;
    if (request->entries)
        return !is_named(request->entries, entry);
    if (strcmp(entry, commit->running_entry) == 0)
        return !(request->keep_kept && branch->kept);
    return !entry_is_installed(request->kernel_folder, entry);
}

static int find_running(const struct approval *approval, struct commit *commit, struct error *error)
{
    char list[PCR_LIST_TEXT];
    int nearest;
    uint32_t differ = approval_mismatch(approval, commit->running, &nearest);

    if (nearest >= 0 && !differ) {
        commit->running_entry = entry_of_branch(&approval->branches[nearest]);
        return approve_running_boot(commit->boot, error);
    }
    pcr_mask_format(differ, list);
    error_set(error, ERROR_MISMATCH, "the running boot is not an approved one: PCR %s differ", list);
    return error_remedy(error, "see what changed: bootseal explain; if it is to be approved, run: bootseal reseal "
                               "--current");
}

int reseal_count_outlived(const struct reseal_request *request, const struct approval *approval,
                          const struct pcr_values *running, size_t *ret, struct error *error)
{
    struct commit commit = { .request = request, .running = running };
    int r = find_running(approval, &commit, error);

    *ret = 0;
    for (size_t i = 0; !r && i < approval->branch_count; i++)
        *ret += is_outlived(&commit, approval, &approval->branches[i]);
    return r;
}

static int draft_commit(const struct commit *commit, const struct state *state, struct approval *draft,
                        size_t *ret_dropped, struct error *error)
{
    int r = approval_copy(&state->approval, draft, error);

    *ret_dropped = 0;
    for (size_t i = r ? 0 : draft->branch_count; i-- > 0;)
        if (is_outlived(commit, draft, &draft->branches[i])) {
            approval_remove_branch(draft, i);
            ++*ret_dropped;
        }
    return r;
}

int reseal_commit(const struct reseal_request *request, struct reseal_result *ret, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    cleanup(approval_free) struct approval draft = { 0 };
    struct pcr_values running;
    struct commit commit = { .request = request, .running = &running };
    size_t dropped;
    bool resumed = false;
    int r = reseal_begin(request, &state, &running, error);

    if (!r)
        r = suspend_prepare_end(request->tpm, &state, error);
    if (!r)
        r = find_running(&state.approval, &commit, error);
    if (!r)
        r = draft_commit(&commit, &state, &draft, &dropped, error);
    if (!r)
        resumed = suspension_drop(&draft);
    if (!r && (dropped || resumed))
        r = approve_switch(request->tpm, &state, &draft, error);
    if (r)
        return r;
    *ret = (struct reseal_result){ .dropped = dropped, .resumed = resumed };
    reseal_describe(&state, &running, ret);
    return 0;
}
