/*
 * Repairs. Each takes what is right from the state folder, never from the disk, and is done by the function that made
 * the thing in the first place: running it again is safe.
 */
#include "protect/doctor/doctor.h"

#include "base/cleanup.h"
#include "protect/enroll/initramfs.h"
#include "protect/provision/provision.h"
#include "protect/seal/approve.h"
#include "protect/seal/leftover.h"

#include <string.h>

static int open_state(const struct doctor_request *request, struct state *ret, struct error *error)
{
    if (!request->status.tpm) {
        *error = *request->status.tpm_error;
        return (int)error->kind;
    }
    return state_open(request->status.state_folder, STATE_CHANGE, ret, error);
}

/* Puts SRK and index back, and writes the list anew to the TPM and to every header. */
static int repair_approval(const struct doctor_request *request, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    cleanup(approval_free) struct approval same = { 0 };
    bool lost = false, was_cut;
    int r = open_state(request, &state, error);

    was_cut = !r && state.has_next;
    /* with nothing approved there is no index */
    if (!r && !state.approval.object_count && !state.has_next)
        return provision_srk(request->status.tpm, &state, error);
    r = r ?: provision_tpm(request->status.tpm, &state, &lost, error);
    r = r ?: approve_settle(request->status.tpm, &state, lost, error);
    if (!r && !state.approval.object_count)
        return was_cut ? approve_drop_first(&state, error) : 0;
    if (r)
        return r;
    r = approval_copy(&state.approval, &same, error);
    return r ?: approve_switch(request->status.tpm, &state, &same, error);
}

/* Where the TPM is stricter already it stays so: the policy may have been another document's at the enrolment. */
static void keep_strict(const struct tpm_state *now, struct lockout_rules *rules)
{
    if (now->max_tries > 0 && now->max_tries < rules->max_tries)
        rules->max_tries = now->max_tries;
    if (now->recovery_s > rules->recovery_s)
        rules->recovery_s = now->recovery_s;
    if (now->lockout_recovery_s > rules->lockout_recovery_s)
        rules->lockout_recovery_s = now->lockout_recovery_s;
}

static int repair_lockout(const struct doctor_request *request, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    struct lockout_rules rules;
    struct tpm_state now;
    int r = doctor_rules(request, &rules, error);

    r = r ?: open_state(request, &state, error);
    r = r ?: provision_tpm(request->status.tpm, &state, NULL, error);
    r = r ?: tpm_state_read(request->status.tpm, &now, error);
    if (!r)
        keep_strict(&now, &rules);
    return r ?: provision_lockout(request->status.tpm, &state, &rules, error);
}

/* Nobody has proven here that another keyslot opens: one must be left at the least. */
static int check_way_in(struct volume *volume, struct error *error)
{
    uint32_t used, going;
    int r = volume_keyslots(volume, &used, error);

    r = r ?: leftover_keyslots(volume, &going, error);
    if (r || !going || used & ~going)
        return r;
    error_set(error, ERROR_REFUSED, "\"%s\": clearing up might remove the last way in", volume_path(volume));
    return error_remedy(error, "add a passphrase or a recovery key first");
}

/* Out of the approval first, so that the object is dead; then token and keyslot. */
static int clear_volume(const struct doctor_request *request, struct state *state, const struct pinned_volume *pin,
                        struct error *error)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct object_name names[VOLUME_MAX_TOKENS];
    struct token_list pending;
    size_t count;
    int r = volume_open(&volume, pin->device, error);

    r = r ?: pins_check_volume(pin, volume, error);
    r = r ?: volume_tokens(volume, TOKEN_TYPE_PENDING, &pending, error);
    if (r || pending.count == 0)
        return r;
    r = check_way_in(volume, error);
    r = r ?: leftover_objects(volume, names, &count, error);
    r = r ?: approve_withdraw(request->status.tpm, state, names, count, error);
    r = r ?: approve_reopen(state, &volume, error);
    return r ?: leftover_clear(volume, -1, error);
}

static int repair_leftovers(const struct doctor_request *request, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    bool lost = false;
    int r = open_state(request, &state, error);

    r = r ?: provision_tpm(request->status.tpm, &state, &lost, error);
    r = r ?: approve_settle(request->status.tpm, &state, lost, error);
    for (size_t i = 0; !r && i < state.pins.volume_count; i++)
        r = clear_volume(request, &state, &state.pins.volumes[i], error);
    return r;
}

/* Of this very system only: another root's is built by who started it. */
static int repair_initramfs(const struct doctor_request *request, struct error *error)
{
    if (request->root[0] || request->status.state_folder)
        return error_set(error, ERROR_REFUSED, "the initramfs of this system is built from " STATE_FOLDER " alone");
    if (!initramfs_is_there())
        return error_set(error, ERROR_FAILED, "this system has no update-initramfs");
    return initramfs_rebuild(error);
}

static int (*const repairs[DOCTOR_REPAIRS])(const struct doctor_request *request, struct error *error) = {
    [DOCTOR_REPAIR_APPROVAL] = repair_approval,
    [DOCTOR_REPAIR_LOCKOUT] = repair_lockout,
    [DOCTOR_REPAIR_LEFTOVERS] = repair_leftovers,
    [DOCTOR_REPAIR_INITRAMFS] = repair_initramfs,
};

static bool is_wanted(const struct doctor_findings *findings, enum doctor_repair repair)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].check->repair == repair)
            return true;
    return false;
}

void doctor_repair(const struct doctor_request *request, struct doctor_findings *findings)
{
    for (enum doctor_repair repair = DOCTOR_REPAIR_APPROVAL; repair < DOCTOR_REPAIRS; repair++) {
        struct error error = { 0 };

        if (!is_wanted(findings, repair) || !repairs[repair](request, &error))
            continue;
        for (size_t i = 0; i < findings->count; i++)
            if (findings->items[i].check->repair == repair)
                findings->items[i].fix = error;
    }
}
