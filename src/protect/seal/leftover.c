#include "protect/seal/leftover.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

#define PLANNED "planned_keyslot"
#define KIND "kind"
#define KIND_RECOVERY "recovery"

static int first_free_keyslot(struct volume *volume, int *ret, struct error *error)
{
    uint32_t used;
    int r = volume_keyslots(volume, &used, error);

    if (r)
        return r;
    for (int i = 0; i < VOLUME_MAX_KEYSLOTS; i++)
        if (!(used & (1u << i))) {
            *ret = i;
            return 0;
        }
    error_set(error, ERROR_REFUSED, "all %d keyslots of \"%s\" are in use", VOLUME_MAX_KEYSLOTS, volume_path(volume));
    return error_remedy(error, "free one with cryptsetup luksKillSlot");
}

static int write_pending(struct volume *volume, struct json_object *token, int keyslot, struct error *error)
{
    int number = -1;
    int r = keyslot < 0 ? 0 : json_add(token, PLANNED, json_object_new_int(keyslot), error);

    return r ? r : volume_token_write(volume, &number, token, error);
}

static int announce(struct volume *volume, const struct protector *protector, int keyslot, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    int r = protector_to_json(protector, TOKEN_TYPE_PENDING, NULL, &token, error);

    return r ? r : write_pending(volume, token, keyslot, error);
}

int leftover_announce(struct volume *volume, const struct protector *protector, struct error *error)
{
    int keyslot = -1;
    int r = protector->payload == PAYLOAD_KEYSLOT ? first_free_keyslot(volume, &keyslot, error) : 0;

    return r ? r : announce(volume, protector, keyslot, error);
}

int leftover_announce_end(struct volume *volume, const struct protector *protector, struct error *error)
{
    struct protector ending = *protector;

    ending.keyslot = -1;
    return announce(volume, &ending, protector->keyslot, error);
}

int leftover_announce_recovery(struct volume *volume, const struct recovery *recovery, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    int keyslot = -1;
    int r = token_new(TOKEN_TYPE_PENDING, -1, &token, error);

    r = r ?: json_add(token, KIND, json_object_new_string(KIND_RECOVERY), error);
    r = r ?: json_add(token, "id", json_object_new_string(recovery->id), error);
    r = r ?: json_add(token, "created", json_object_new_string(recovery->created), error);
    r = r ?: first_free_keyslot(volume, &keyslot, error);
    return r ? r : write_pending(volume, token, keyslot, error);
}

static bool is_listed(const struct protector_list *list, const struct object_name *name)
{
    struct object_name other;
    struct error ignored;

    for (size_t i = 0; i < list->count; i++)
        if (!sealed_name(&list->items[i].sealed, &other, &ignored) && object_name_equal(&other, name))
            return true;
    return false;
}

/* Without the approval, or when the token cannot be read, nothing is known to be in force. */
static bool is_in_force(const struct json_view *token, const struct protector_list *list,
                        const struct approval *approval)
{
    struct protector protector;
    struct object_name name;
    struct error ignored;

    return approval && !protector_from_json(token, -1, &protector, &ignored) &&
           !sealed_name(&protector.sealed, &name, &ignored) && approval_find_object(approval, &name) >= 0 &&
           !is_listed(list, &name);
}

/* The keyslot that goes with a pending token, or -1. */
static int find_keyslot(struct volume *volume, const struct json_view *token, uint32_t named, int *ret,
                        struct error *error)
{
    int64_t planned = -1;
    bool ours = false; /* someone may have given the keyslot to a passphrase since */
    uint32_t used;
    int r = volume_keyslots(volume, &used, error);

    if (!r && json_has(token, PLANNED))
        r = json_get_integer(token, PLANNED, 0, VOLUME_MAX_KEYSLOTS - 1, &planned, error);
    if (!r && planned >= 0 && used & (1u << planned) && !(named & (1u << planned)))
        r = volume_keyslot_is_minimal(volume, (int)planned, &ours, error);
    *ret = ours ? (int)planned : -1;
    return r;
}

static int clear_keyslot(struct volume *volume, const struct json_view *token, uint32_t named, struct error *error)
{
    int keyslot;
    int r = find_keyslot(volume, token, named, &keyslot, error);

    return r || keyslot < 0 ? r : volume_keyslot_remove(volume, keyslot, error);
}

/* What tokens of protectors and recovery keys name. */
static int named_keyslots(struct volume *volume, const struct protector_list *list, uint32_t *ret, struct error *error)
{
    int r = recovery_keyslots(volume, ret, error);

    for (size_t i = 0; !r && i < list->count; i++)
        if (list->items[i].keyslot >= 0)
            *ret |= 1u << list->items[i].keyslot;
    return r;
}

static int drop_keys_without_keyslot(struct volume *volume, struct error *error)
{
    struct recovery_list list;
    int r = recovery_list_read(volume, &list, error);

    for (size_t i = 0; !r && i < list.count; i++)
        if (list.items[i].keyslot < 0)
            r = volume_token_remove(volume, list.items[i].token, error);
    return r;
}

static bool is_recovery(const struct json_view *token)
{
    const char *kind;
    struct error ignored;

    return !json_get_string(token, KIND, 64, &kind, &ignored) && strcmp(kind, KIND_RECOVERY) == 0;
}

static int clear_one(struct volume *volume, int number, uint32_t named, const struct protector_list *protectors,
                     const struct approval *approval, bool keys_only, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    int r = volume_token_read(volume, number, &token, &view, error);

    if (r || (keys_only && !is_recovery(&view)))
        return r;
    r = clear_keyslot(volume, &view, named, error);
    return r || is_in_force(&view, protectors, approval) ? r : volume_token_remove(volume, number, error);
}

static int clear(struct volume *volume, int keep, const struct approval *approval, bool keys_only, struct error *error)
{
    cleanup(protector_list_free) struct protector_list protectors = { 0 };
    struct token_list list;
    uint32_t named = 0;
    int r = volume_tokens(volume, TOKEN_TYPE_PENDING, &list, error);

    if (!r)
        r = protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &protectors, error);
    if (!r)
        r = named_keyslots(volume, &protectors, &named, error);
    if (keep >= 0)
        named |= 1u << keep;
    for (size_t i = 0; !r && i < list.count; i++)
        r = clear_one(volume, list.numbers[i], named, &protectors, approval, keys_only, error);
    return r ? r : drop_keys_without_keyslot(volume, error);
}

int leftover_clear_dead(struct volume *volume, int keep, const struct approval *approval, struct error *error)
{
    return clear(volume, keep, approval, false, error);
}

int leftover_clear(struct volume *volume, int keep, struct error *error)
{
    return clear(volume, keep, NULL, false, error);
}

int leftover_clear_recovery(struct volume *volume, int keep, struct error *error)
{
    return clear(volume, keep, NULL, true, error);
}

int leftover_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error)
{
    cleanup(protector_list_free) struct protector_list protectors = { 0 };
    struct token_list list;
    uint32_t named = 0;
    int keyslot, r = volume_tokens(volume, TOKEN_TYPE_PENDING, &list, error);

    *ret_mask = 0;
    if (!r)
        r = protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &protectors, error);
    if (!r)
        r = named_keyslots(volume, &protectors, &named, error);
    for (size_t i = 0; !r && i < list.count; i++) {
        cleanup(json_free) struct json_object *token = NULL;
        struct json_view view;

        r = volume_token_read(volume, list.numbers[i], &token, &view, error);
        if (!r)
            r = find_keyslot(volume, &view, named, &keyslot, error);
        if (!r && keyslot >= 0)
            *ret_mask |= 1u << keyslot;
    }
    return r;
}

/* The Name of the object that a pending token holds; *ret_has is false for a recovery key's, which has none. */
static int pending_object(struct volume *volume, int number, struct object_name *ret, bool *ret_has,
                          struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct protector protector;
    struct json_view view;
    const char *kind;
    int r = volume_token_read(volume, number, &token, &view, error);

    *ret_has = false;
    if (!r)
        r = json_get_string(&view, KIND, 64, &kind, error);
    if (r || strcmp(kind, KIND_RECOVERY) == 0)
        return r;
    r = protector_from_json(&view, number, &protector, error);
    if (!r)
        r = sealed_name(&protector.sealed, ret, error);
    *ret_has = !r;
    return r;
}

int leftover_objects(struct volume *volume, struct object_name ret[VOLUME_MAX_TOKENS], size_t *ret_count,
                     struct error *error)
{
    cleanup(protector_list_free) struct protector_list list = { 0 };
    struct token_list pending;
    int r = volume_tokens(volume, TOKEN_TYPE_PENDING, &pending, error);
    bool has;

    *ret_count = 0;
    if (!r)
        r = protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, error);
    for (size_t i = 0; !r && i < pending.count; i++) {
        r = pending_object(volume, pending.numbers[i], &ret[*ret_count], &has, error);
        if (!r && has && !is_listed(&list, &ret[*ret_count]))
            (*ret_count)++;
    }
    return r ? error_prefix(error, "\"%s\"", volume_path(volume)) : 0;
}
