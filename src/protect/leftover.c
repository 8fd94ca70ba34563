#include "protect/leftover.h"

#include "base/cleanup.h"

#include <stdlib.h>

#define PLANNED "planned_keyslot"

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

static int write_pending(struct volume *volume, const struct protector *protector, int keyslot, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    int number = -1;
    int r = protector_to_json(protector, TOKEN_TYPE_PENDING, NULL, &token, error);

    if (!r && keyslot >= 0)
        r = json_add(token, PLANNED, json_object_new_int(keyslot), error);
    return r ? r : volume_token_write(volume, &number, token, error);
}

int leftover_announce(struct volume *volume, const struct protector *protector, struct error *error)
{
    int keyslot = -1;
    int r = protector->payload == PAYLOAD_KEYSLOT ? first_free_keyslot(volume, &keyslot, error) : 0;

    return r ? r : write_pending(volume, protector, keyslot, error);
}

int leftover_announce_end(struct volume *volume, const struct protector *protector, struct error *error)
{
    struct protector ending = *protector;

    ending.keyslot = -1;
    return write_pending(volume, &ending, protector->keyslot, error);
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

static uint32_t named_keyslots(const struct protector_list *list)
{
    uint32_t named = 0;

    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].keyslot >= 0)
            named |= 1u << list->items[i].keyslot;
    return named;
}

int leftover_clear_dead(struct volume *volume, int keep, const struct approval *approval, struct error *error)
{
    cleanup(protector_list_free) struct protector_list protectors = { 0 };
    struct token_list list;
    uint32_t named = keep >= 0 ? 1u << keep : 0;
    int r = volume_tokens(volume, TOKEN_TYPE_PENDING, &list, error);

    if (!r)
        r = protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &protectors, error);
    named |= named_keyslots(&protectors);
    for (size_t i = 0; !r && i < list.count; i++) {
        cleanup(json_free) struct json_object *token = NULL;
        struct json_view view;

        r = volume_token_read(volume, list.numbers[i], &token, &view, error);
        if (!r)
            r = clear_keyslot(volume, &view, named, error);
        if (!r && !is_in_force(&view, &protectors, approval))
            r = volume_token_remove(volume, list.numbers[i], error);
    }
    return r;
}

int leftover_clear(struct volume *volume, int keep, struct error *error)
{
    return leftover_clear_dead(volume, keep, NULL, error);
}

int leftover_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error)
{
    cleanup(protector_list_free) struct protector_list protectors = { 0 };
    struct token_list list;
    int keyslot, r = volume_tokens(volume, TOKEN_TYPE_PENDING, &list, error);

    *ret_mask = 0;
    if (!r)
        r = protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &protectors, error);
    for (size_t i = 0; !r && i < list.count; i++) {
        cleanup(json_free) struct json_object *token = NULL;
        struct json_view view;

        r = volume_token_read(volume, list.numbers[i], &token, &view, error);
        if (!r)
            r = find_keyslot(volume, &view, named_keyslots(&protectors), &keyslot, error);
        if (!r && keyslot >= 0)
            *ret_mask |= 1u << keyslot;
    }
    return r;
}

int leftover_objects(struct volume *volume, struct object_name ret[VOLUME_MAX_TOKENS], size_t *ret_count,
                     struct error *error)
{
    cleanup(protector_list_free) struct protector_list pending = { 0 };
    cleanup(protector_list_free) struct protector_list list = { 0 };
    int r = protector_list_read(volume, TOKEN_TYPE_PENDING, &pending, error);

    *ret_count = 0;
    if (!r)
        r = protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, error);
    for (size_t i = 0; !r && i < pending.count; i++) {
        r = sealed_name(&pending.items[i].sealed, &ret[*ret_count], error);
        if (!r && !is_listed(&list, &ret[*ret_count]))
            (*ret_count)++;
    }
    return r;
}
