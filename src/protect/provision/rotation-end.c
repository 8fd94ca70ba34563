/* What is left of a rotation: the new authority before its commit point, or the old one after it. */
#include "protect/provision/rotation.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "luks/recovery.h"
#include "protect/provision/provision.h"
#include "protect/provision/rotation-header.h"
#include "protect/seal/approve.h"
#include "protect/seal/leftover.h"
#include "protect/unlock/report.h"

#include <limits.h>

static bool has_folder(const struct state *state, const char *name)
{
    char path[PATH_MAX];

    return snprintf(path, sizeof(path), "%s/%s", state->folder, name) >= (int)sizeof(path) || file_exists(path);
}

/* Ours, by its public area; whatever else lies at its handle is not touched. */
static int undefine(struct tpm *tpm, const struct state *state, struct error *error)
{
    enum tpm_index_condition condition;
    int r = tpm_index_probe(tpm, &state->pins.index, &condition, error);

    if (r || (condition != TPM_INDEX_WRITTEN && condition != TPM_INDEX_UNWRITTEN))
        return r;
    r = tpm_index_undefine(tpm, &state->pins.index, error);
    /* where somebody has set the owner authorisation it stays, and approves nothing */
    return r && error->tpm_code == TPM_CODE_WRONG_AUTH_NODA && state->authority ? approve_nothing(tpm, state, error)
                                                                                : r;
}

static int use_owner_auth(struct tpm *tpm, const struct secret *auth, struct error *error)
{
    struct tpm_state now;
    int r = tpm_state_read(tpm, &now, error);

    if (!r)
        tpm_owner_auth_use(tpm, now.owner_auth_set && auth && auth->size ? auth : NULL);
    return r;
}

/* ---- before the commit point ---- */

int rotation_take_back(struct tpm *tpm, struct state *state, struct error *error)
{
    cleanup(state_close) struct state next = { .lock = -1 };
    int r = 0;

    if (!has_folder(state, STATE_NEXT))
        return 0;
    /* without pins neither header nor TPM has heard of it, or not any more */
    if (has_folder(state, STATE_NEXT "/pins.json")) {
        r = state_open_rotated(state, STATE_NEXT, &next, error);
        r = r ?: rotation_clean_headers(state, &next.pins.index.name, error);
        r = r ?: undefine(tpm, &next, error);
    }
    r = r ?: state_drop_rotated(state, STATE_NEXT, error);
    if (!r)
        state->rotation = ROTATION_NONE;
    return r;
}

int rotation_undo(struct tpm *tpm, const char *state_folder, const struct secret *owner_auth, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    int r = state_open(state_folder, STATE_CHANGE, &state, error);

    if (!r && state.rotation == ROTATION_WAITING)
        return state_refuse_rotation(&state, error);
    r = r ?: use_owner_auth(tpm, owner_auth, error);
    r = r ?: provision_srk(tpm, &state, error);
    r = r ?: rotation_take_back(tpm, &state, error);
    tpm_owner_auth_use(tpm, NULL);
    return r;
}

/* ---- after it ---- */

bool rotation_is_proven(const struct state *state, const char *report_path)
{
    struct object_name index;
    bool opened = false;
    struct error ignored;

    return state->rotation == ROTATION_WAITING && report_path && file_exists(report_path) &&
           !report_read_index(report_path, &index, &opened, &ignored) && opened &&
           object_name_equal(&index, &state->pins.index.name);
}

static int retire(struct tpm *tpm, struct state *state, struct error *error)
{
    cleanup(state_close) struct state retired = { .lock = -1 };
    int r;

    if (!has_folder(state, STATE_RETIRED "/pins.json"))
        return 0; /* cut when all but the folder was gone */
    r = state_open_rotated(state, STATE_RETIRED, &retired, error);
    r = r ?: rotation_check_headers(state, &retired.pins.index.name, error);
    r = r ?: undefine(tpm, &retired, error);
    return r ?: rotation_clean_headers(state, &retired.pins.index.name, error);
}

int rotation_end(struct tpm *tpm, const char *state_folder, const struct secret *owner_auth, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    bool lost = false;
    int r = state_open(state_folder, STATE_CHANGE, &state, error);

    if (r || state.rotation != ROTATION_WAITING)
        return r;
    r = use_owner_auth(tpm, owner_auth, error);
    r = r ?: provision_tpm(tpm, &state, &lost, error);
    r = r ?: approve_settle(tpm, &state, lost, error);
    r = r ?: retire(tpm, &state, error);
    tpm_owner_auth_use(tpm, NULL);
    /* of a switch that was cut as its last file went */
    r = r ?: state_drop_rotated(&state, STATE_NEXT, error);
    r = r ?: state_drop_rotated(&state, STATE_RETIRED, error);
    return r ? error_prefix(error, "the old authority is not taken away yet") : 0;
}
