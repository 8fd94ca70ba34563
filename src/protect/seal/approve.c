#include "protect/seal/approve.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock/target.h"

#include <string.h>
#include <sys/utsname.h>

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX 64

/* Whether the list is for the index that a rotation has beside this one. What names no index, or cannot be read, is
 * not.
 */
static bool is_of_other(struct volume *volume, int number, const struct state *state)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct object_name index;
    struct json_view view;
    struct error ignored;

    return state->rotation != ROTATION_NONE && !volume_token_read(volume, number, &token, &view, &ignored) &&
           json_has(&view, TARGET_INDEX_KEY) &&
           !json_get_hex(&view, TARGET_INDEX_KEY, index.bytes, sizeof(index.bytes), &ignored) &&
           object_name_equal(&index, &state->other_index);
}

/* A second list can only be a forgery or a leftover: one is kept, and rewritten. */
static int choose_token(struct volume *volume, const struct state *state, int *ret, struct error *error)
{
    struct token_list list;
    int r = volume_tokens(volume, TOKEN_TYPE_APPROVAL, &list, error);

    *ret = -1;
    for (size_t i = 0; !r && i < list.count; i++) {
        if (is_of_other(volume, list.numbers[i], state))
            continue;
        if (*ret < 0)
            *ret = list.numbers[i];
        else
            r = volume_token_remove(volume, list.numbers[i], error);
    }
    return r;
}

int approve_write_token(struct volume *volume, const struct state *state, const struct approval *approval,
                        const struct approval *next, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    int number;
    int r = choose_token(volume, state, &number, error);

    if (!r)
        r = token_new(TOKEN_TYPE_APPROVAL, -1, &token, error);
    if (!r)
        r = json_add(token, TARGET_INDEX_KEY, json_new_hex(state->pins.index.name.bytes, NAME_BYTES), error);
    if (!r)
        r = approval_to_token(approval, next, token, error);
    return r ? r : volume_token_write(volume, &number, token, error);
}

/* Opens the pinned volume and makes sure that it is the one: nothing is written to another. */
static int write_token_of(const struct state *state, const struct pinned_volume *pin, struct error *error)
{
    const struct approval *next = state->has_next ? &state->next : NULL;
    cleanup(volume_close) struct volume *volume = NULL;
    int r = volume_open(&volume, pin->device, error);

    if (!r)
        r = pins_check_volume(pin, volume, error);
    if (!r)
        r = approve_write_token(volume, state, &state->approval, next, error);
    return r ? error_prefix(error, "volume \"%s\"", pin->name) : 0;
}

static int write_tokens(const struct state *state, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < state->pins.volume_count; i++)
        r = write_token_of(state, &state->pins.volumes[i], error);
    return r;
}

static int refuse_newer_token(struct volume *volume, int number, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    struct error ignored;

    if (volume_token_read(volume, number, &token, &view, &ignored) || !token_refuse_newer(&view, error))
        return 0;
    return error_remedy(error,
                        "use the bootseal that wrote it, or a newer one; if there is none, run: cryptsetup token "
                        "remove --token-id %d %s, then: bootseal doctor --fix",
                        number, volume_path(volume));
}

/* A volume that cannot be read is no matter of this: writing it fails. */
static int refuse_newer_of(const struct pinned_volume *pin, struct error *error)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct token_list list;
    struct error ignored;
    int r = 0;

    if (volume_open(&volume, pin->device, &ignored) || volume_tokens(volume, TOKEN_TYPE_APPROVAL, &list, &ignored))
        return 0;
    for (size_t i = 0; !r && i < list.count; i++)
        r = refuse_newer_token(volume, list.numbers[i], error);
    return r ? error_prefix(error, "volume \"%s\"", pin->name) : 0;
}

/* Lists that a later version has written are not ours to write over, nor to make stale. */
static int refuse_newer(const struct state *state, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < state->pins.volume_count; i++)
        r = refuse_newer_of(&state->pins.volumes[i], error);
    return r;
}

static int write_index(struct tpm *tpm, struct state *state, const struct approval *approval, struct error *error)
{
    struct authority_signer signer = authority_signer(state->authority);
    struct digest digest;
    int r = approval_digest(approval, &digest, error);

    return r ? r : tpm_index_write(tpm, &state->pins.index, &digest, &signer, error);
}

static void swap_lists(struct state *state)
{
    struct approval approval = state->approval;

    state->approval = state->next;
    state->next = approval;
}

static void drop_next(struct state *state)
{
    approval_free(&state->next);
    state->has_next = false;
}

static int matches(const struct approval *approval, const struct digest *held, bool *ret, struct error *error)
{
    struct digest digest;
    int r;

    *ret = false;
    if (!approval->object_count || approval->branch_count < 2)
        return 0;
    r = approval_digest(approval, &digest, error);
    *ret = !r && digest_equal(&digest, held);
    return r;
}

static int write_copies(struct state *state, struct error *error)
{
    int r = state_save_approval(state, error);

    return r ?: write_tokens(state, error);
}

int approve_finish(struct state *state, struct error *error)
{
    int r = refuse_newer(state, error);

    r = r ?: write_copies(state, error);
    return r ? error_prefix(error, "cannot finish a change of the approval that was cut") : 0;
}

int approve_switch(struct tpm *tpm, struct state *state, struct approval *next, struct error *error)
{
    int r = refuse_newer(state, error);

    if (r)
        return error_prefix(error, "cannot change the approval");
    drop_next(state);
    state->next = *next;
    state->has_next = true;
    *next = (struct approval){ 0 };
    if (!state->has_approval) {
        state->approval.bank = state->next.bank;
        state->approval.pcrs = state->next.pcrs;
        state->approval.cap = state->next.cap;
    }
    r = state_save_approval(state, error);
    if (!r)
        r = write_tokens(state, error);
    if (!r)
        r = write_index(tpm, state, &state->next, error);
    if (r)
        return error_prefix(error, "cannot change the approval");
    swap_lists(state);
    drop_next(state);
    r = write_copies(state, error);
    return r ? error_prefix(error, "the approval is changed, but a copy of it is not up to date") : 0;
}

/* The headers may hold any older list: the steps of a change see to it that there is a way in after each of them. */
static int write_again(struct tpm *tpm, struct state *state, struct error *error)
{
    cleanup(approval_free) struct approval same = { 0 };
    int r = approval_copy(&state->approval, &same, error);

    return r ? r : approve_switch(tpm, state, &same, error);
}

int approve_find_in_force(struct tpm *tpm, struct state *state, bool *ret, struct error *error)
{
    struct digest held = { 0 };
    int r = tpm_index_read(tpm, &state->pins.index, &held, error);

    *ret = false;
    r = r ?: matches(&state->approval, &held, ret, error);
    if (r || *ret || !state->has_next)
        return r;
    r = matches(&state->next, &held, ret, error);
    if (*ret)
        swap_lists(state);
    return r;
}

int approve_settle(struct tpm *tpm, struct state *state, bool lost, struct error *error)
{
    bool is_approved = state->has_approval && state->approval.object_count, in_force = false;
    int r = lost || !(is_approved || state->has_next) ? 0 : approve_find_in_force(tpm, state, &in_force, error);

    if (r)
        return r;
    drop_next(state);
    return in_force || !is_approved ? 0 : write_again(tpm, state, error);
}

int approve_nothing(struct tpm *tpm, const struct state *state, struct error *error)
{
    static const char nothing[] = "bootseal: nothing is approved";
    struct authority_signer signer = authority_signer(state->authority);
    struct digest digest;
    int r = digest_compute(&digest, &(struct span){ nothing, sizeof(nothing) - 1 }, 1, error);

    return r ? r : tpm_index_write(tpm, &state->pins.index, &digest, &signer, error);
}

/* Where somebody has set the owner authorisation the index stays, and approves nothing. */
static int forget(struct tpm *tpm, struct state *state, struct error *error)
{
    int r = tpm ? tpm_index_undefine(tpm, &state->pins.index, error) : 0;

    if (r && error->tpm_code == TPM_CODE_WRONG_AUTH_NODA)
        r = approve_nothing(tpm, state, error);
    return r ? r : state_drop_approval(state, error);
}

static int keep_draft(struct state *state, struct approval *draft, struct error *error)
{
    drop_next(state);
    approval_free(&state->approval);
    state->approval = *draft;
    *draft = (struct approval){ 0 };
    return state_save_approval(state, error);
}

int approve_withdraw(struct tpm *tpm, struct state *state, const struct object_name *names, size_t count,
                     struct error *error)
{
    cleanup(approval_free) struct approval draft = { 0 };
    int r = refuse_newer(state, error);

    if (!r)
        r = approval_copy(&state->approval, &draft, error);
    if (r)
        return r;
    for (size_t i = 0; i < count; i++) {
        int object = approval_find_object(&draft, &names[i]);

        if (object >= 0)
            approval_remove_object(&draft, (size_t)object);
    }
    if (draft.object_count == state->approval.object_count)
        return 0;
    if (!draft.object_count)
        return forget(tpm, state, error);
    return tpm ? approve_switch(tpm, state, &draft, error) : keep_draft(state, &draft, error);
}

/* What cannot be read was not written by the change that was cut. */
static int drop_empty_list(const struct state *state, const struct pinned_volume *pin, struct error *error)
{
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(approval_free) struct approval list = { 0 };
    cleanup(approval_free) struct approval next = { 0 };
    struct error ignored;
    bool has_next;
    int number, r = volume_open(&volume, pin->device, error);

    r = r ?: pins_check_volume(pin, volume, error);
    if (r)
        return error_prefix(error, "volume \"%s\"", pin->name);
    if (target_read_approval(volume, &state->pins, &list, &next, &has_next, &ignored) || list.object_count)
        return 0;
    r = choose_token(volume, state, &number, error);
    return r || number < 0 ? r : volume_token_remove(volume, number, error);
}

int approve_drop_first(struct state *state, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < state->pins.volume_count; i++)
        r = drop_empty_list(state, &state->pins.volumes[i], error);
    return r ? r : state_drop_approval(state, error);
}

int approve_reopen(struct state *state, struct volume **volume, struct error *error)
{
    cleanup(free_ptr) char *path = strdup(volume_path(*volume));
    const struct pinned_volume *pin;
    int r;

    volume_close(volume);
    if (!path)
        return error_no_memory(error);
    r = volume_open(volume, path, error);
    if (r)
        return r;
    pin = state->has_pins ? pins_find(&state->pins, volume_uuid(*volume)) : NULL;
    return pin ? pins_check_volume(pin, *volume, error) : 0;
}

int approve_draft(const struct state *state, enum hash_algorithm bank, uint32_t pcrs, unsigned cap,
                  struct approval *ret, struct error *error)
{
    struct branch branch = { .kind = BRANCH_AUTHORITY };

    *ret = (struct approval){ 0 };
    if (state->has_approval && state->approval.branch_count > 0)
        return approval_copy(&state->approval, ret, error);
    ret->bank = bank;
    ret->pcrs = pcrs;
    ret->cap = cap;
    branch.authority = authority_signer(state->authority).public;
    return approval_add_branch(ret, &branch, error);
}

int approve_running_boot(char ret[BRANCH_BOOT_DIGITS + 1], struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    int r = file_read(BOOT_ID_PATH, BOOT_ID_MAX, &text, NULL, error);

    if (!r)
        snprintf(ret, BRANCH_BOOT_DIGITS + 1, "%s", text);
    return r;
}

int approve_boot_branch(const struct approval *approval, const struct pcr_values *values, struct branch *ret,
                        struct error *error)
{
    struct utsname system;

    if ((values->mask & approval->pcrs) != approval->pcrs || values->bank != approval->bank)
        return error_set(error, ERROR_REFUSED, "the boot state lacks PCRs of the approval's selection");
    *ret = (struct branch){ .kind = BRANCH_BOOT, .source = BRANCH_MEASURED, .values = *values };
    ret->values.mask = approval->pcrs;
    if (uname(&system) == 0) {
        snprintf(ret->label, sizeof(ret->label), "linux %.*s", BRANCH_LABEL_MAX - 6, system.release);
        snprintf(ret->entry, sizeof(ret->entry), "%.*s", BRANCH_ENTRY_MAX, system.release);
    }
    return approve_running_boot(ret->approved_in, error);
}
