#include "protect/provision/rotation-header.h"

#include "base/cleanup.h"
#include "luks/recovery.h"
#include "luks/token.h"
#include "protect/seal/leftover.h"
#include "protect/unlock/target.h"

static int open_pinned(const struct pinned_volume *pin, struct volume **ret, struct protector_list *ret_list,
                       struct error *error)
{
    int r = volume_open(ret, pin->device, error);

    r = r ?: pins_check_volume(pin, *ret, error);
    return r ?: protector_list_read(*ret, TOKEN_TYPE_PROTECTOR, ret_list, error);
}

static bool is_of(const struct protector *protector, const struct object_name *index)
{
    return object_name_equal(&protector->approval, index);
}

/* ---- cleaning ---- */

/* The keyslots that somebody else's tokens name. */
static int kept_keyslots(struct volume *volume, const struct protector_list *list, const struct object_name *index,
                         uint32_t *ret, struct error *error)
{
    int r = recovery_keyslots(volume, ret, error);

    for (size_t i = 0; !r && i < list->count; i++)
        if (!is_of(&list->items[i], index) && list->items[i].keyslot >= 0)
            *ret |= 1u << list->items[i].keyslot;
    return r;
}

static int drop_protector(struct volume *volume, const struct protector *protector, uint32_t kept, struct error *error)
{
    bool ours = false;
    int r = 0;

    if (protector->keyslot >= 0 && !(kept & 1u << protector->keyslot))
        r = volume_keyslot_is_minimal(volume, protector->keyslot, &ours, error);
    if (!r && ours)
        r = volume_keyslot_remove(volume, protector->keyslot, error);
    return r ?: volume_token_remove(volume, protector->token, error);
}

static int drop_list(struct volume *volume, int number, const struct object_name *index, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct object_name name;
    struct json_view view;
    int r = volume_token_read(volume, number, &token, &view, error);

    if (r || !json_has(&view, TARGET_INDEX_KEY))
        return r;
    r = json_get_hex(&view, TARGET_INDEX_KEY, name.bytes, sizeof(name.bytes), error);
    return r || !object_name_equal(&name, index) ? r : volume_token_remove(volume, number, error);
}

static int clean(struct volume *volume, const struct protector_list *protectors, const struct state *state,
                 const struct object_name *index, struct error *error)
{
    struct token_list lists;
    uint32_t kept = 0;
    int r = kept_keyslots(volume, protectors, index, &kept, error);

    for (size_t i = 0; !r && i < protectors->count; i++)
        if (is_of(&protectors->items[i], index))
            r = drop_protector(volume, &protectors->items[i], kept, error);
    r = r ?: volume_tokens(volume, TOKEN_TYPE_APPROVAL, &lists, error);
    for (size_t i = 0; !r && i < lists.count; i++)
        r = drop_list(volume, lists.numbers[i], index, error);
    return r ?: leftover_clear_dead(volume, -1, &state->approval, error);
}

int rotation_clean_headers(const struct state *state, const struct object_name *index, struct error *error)
{
    const struct pins *pins = &state->pins;
    int r = 0;

    for (size_t i = 0; !r && i < pins->volume_count; i++) {
        cleanup(volume_close) struct volume *volume = NULL;
        cleanup(protector_list_free) struct protector_list protectors = { 0 };

        r = open_pinned(&pins->volumes[i], &volume, &protectors, error);
        r = r ?: clean(volume, &protectors, state, index, error);
        if (r)
            error_prefix(error, "volume \"%s\"", pins->volumes[i].name);
    }
    return r;
}

/* ---- looking ---- */

static bool is_in_force(const struct state *state, const struct protector *protector)
{
    struct object_name name;
    struct error ignored;

    return is_of(protector, &state->pins.index.name) && !sealed_name(&protector->sealed, &name, &ignored) &&
           approval_find_object(&state->approval, &name) >= 0;
}

static int check(const struct state *state, const struct pinned_volume *pin, const struct protector_list *list,
                 const struct object_name *index, struct error *error)
{
    size_t old = 0, in_force = 0;

    for (size_t i = 0; i < list->count; i++) {
        old += is_of(&list->items[i], index);
        in_force += is_in_force(state, &list->items[i]);
    }
    if (!old || in_force)
        return 0;
    error_set(error, ERROR_METADATA, "volume \"%s\" has no protector of the new authority", pin->name);
    return error_remedy(error, "restore its header from a backup that was made since the rotation");
}

int rotation_check_headers(const struct state *state, const struct object_name *index, struct error *error)
{
    const struct pins *pins = &state->pins;
    int r = 0;

    for (size_t i = 0; !r && i < pins->volume_count; i++) {
        cleanup(volume_close) struct volume *volume = NULL;
        cleanup(protector_list_free) struct protector_list protectors = { 0 };

        r = open_pinned(&pins->volumes[i], &volume, &protectors, error);
        r = r ? error_prefix(error, "volume \"%s\"", pins->volumes[i].name)
              : check(state, &pins->volumes[i], &protectors, index, error);
    }
    return r;
}
