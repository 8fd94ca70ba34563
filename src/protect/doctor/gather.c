/* Facts about TPM, state folder and volumes. */
#include "protect/doctor/doctor.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock/target.h"

int doctor_rules(const struct doctor_request *request, struct lockout_rules *ret, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    struct policy_document document;
    int r;

    *ret = (struct lockout_rules){ .max_tries = 32, .recovery_s = 600, .lockout_recovery_s = 86400 };
    if (asprintf(&path, "%s%s", request->root, request->policy_path) < 0) {
        path = NULL;
        return error_no_memory(error);
    }
    if (!file_exists(path))
        return 0;
    r = policy_document_read("", path, &document, error);
    if (!r)
        *ret = document.lockout;
    return r;
}

static void look_at_srk(struct tpm *tpm, struct doctor_facts *facts)
{
    struct entity srk;
    struct error error = { 0 };

    facts->srk = DOCTOR_NOT_KNOWN;
    if (!tpm_srk_read(tpm, &srk, &error))
        facts->srk = object_name_equal(&srk.name, &facts->status.state.pins.srk.name) ? DOCTOR_YES : DOCTOR_NO;
    else
        facts->srk_missing = error.tpm_code == TPM_CODE_NO_HANDLE;
}

static bool holds(const struct digest *held, const struct approval *list)
{
    struct digest digest;
    struct error ignored;

    return list->object_count > 0 && !approval_digest(list, &digest, &ignored) && digest_equal(&digest, held);
}

/* A change that was cut leaves two lists, of which the TPM holds one: nothing is wrong with that. */
static void look_at_index(struct tpm *tpm, struct doctor_facts *facts)
{
    const struct state *state = &facts->status.state;
    struct digest held;
    struct error ignored;

    if (tpm_index_probe(tpm, &state->pins.index, &facts->index, &ignored))
        return;
    facts->index_known = facts->index != TPM_INDEX_WRITTEN;
    if (facts->index_known || facts->srk != DOCTOR_YES)
        return;
    facts->index_known =
        !tpm_srk_use(tpm, &state->pins.srk, &ignored) && !tpm_index_read(tpm, &state->pins.index, &held, &ignored);
    facts->index_holds_list =
        facts->index_known && (holds(&held, &state->approval) || (state->has_next && holds(&held, &state->next)));
}

static void look_at_tpm(struct tpm *tpm, struct doctor_facts *facts)
{
    const struct state *state = &facts->status.state;
    cleanup(secret_free) struct secret auth = { 0 };
    struct error ignored;

    facts->lockout_auth_kept = !state_read_lockout_auth(state, &auth, &ignored) && auth.size > 0;
    facts->srk = DOCTOR_NOT_KNOWN;
    if (!tpm || facts->status.tpm.error.kind != ERROR_NONE || !state->has_pins)
        return;
    look_at_srk(tpm, facts);
    /* with nothing approved there is no index */
    if (state->approval.object_count > 0)
        look_at_index(tpm, facts);
    if (tpm_bank_read(tpm, state->pins.bank, &facts->active_pcrs, &ignored))
        facts->active_pcrs = 0;
}

/* Both as JSON, as far as a token has it. */
static bool same_list(const struct approval *a, const struct approval *b)
{
    cleanup(json_free) struct json_object *left = json_object_new_object();
    cleanup(json_free) struct json_object *right = json_object_new_object();
    struct error ignored;

    return left && right && !approval_to_token(a, NULL, left, &ignored) &&
           !approval_to_token(b, NULL, right, &ignored) && json_object_equal(left, right);
}

static bool list_is_good(struct volume *volume, const struct state *state, bool *ret_cut)
{
    cleanup(approval_free) struct approval list = { 0 };
    cleanup(approval_free) struct approval next = { 0 };
    bool has_next = false;
    struct error ignored;

    *ret_cut = false;
    if (!state->has_pins || target_read_approval(volume, &state->pins, &list, &next, &has_next, &ignored))
        return false;
    *ret_cut = has_next || state->has_next;
    return same_list(&list, &state->approval);
}

static void look_at_volume(struct state *state, const struct status_volume *status, struct doctor_volume *ret)
{
    cleanup(volume_close) struct volume *volume = NULL;
    const struct pinned_volume *pin = state->has_pins ? pins_find(&state->pins, status->uuid) : NULL;
    struct token_list pending;
    struct error ignored;

    *ret = (struct doctor_volume){ .status = status };
    if (volume_open(&volume, status->device, &ignored))
        return;
    if (pin && !pins_check_volume(pin, volume, &ret->pin))
        ret->pin.kind = ERROR_NONE;
    ret->pending = !volume_tokens(volume, TOKEN_TYPE_PENDING, &pending, &ignored) && pending.count > 0;
    ret->list_good = list_is_good(volume, state, &ret->list_cut);
}

int doctor_gather(const struct doctor_request *request, struct doctor_facts *ret, struct error *error)
{
    struct status_request status = request->status;
    int r;

    status.despite_damage = true;
    r = status_read(&status, &ret->status, error);
    r = r ?: doctor_rules(request, &ret->rules, error);
    if (r)
        return r;
    look_at_tpm(request->status.tpm, ret);
    for (; ret->volume_count < ret->status.volume_count && ret->volume_count < PINS_MAX_VOLUMES; ret->volume_count++)
        look_at_volume(&ret->status.state, &ret->status.volumes[ret->volume_count], &ret->volumes[ret->volume_count]);
    doctor_gather_next_boot(request, ret);
    doctor_gather_system(request, ret);
    return 0;
}

void doctor_facts_free(struct doctor_facts *facts)
{
    status_free(&facts->status);
}
