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

int leftover_announce(struct volume *volume, const struct protector *protector, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    int number = -1, keyslot = -1;
    int r = first_free_keyslot(volume, &keyslot, error);

    if (!r)
        r = protector_to_json(protector, TOKEN_TYPE_PENDING, NULL, &token, error);
    if (!r)
        r = json_add(token, PLANNED, json_object_new_int(keyslot), error);
    return r ? r : volume_token_write(volume, &number, token, error);
}

static int named_keyslots(struct volume *volume, uint32_t *ret, struct error *error)
{
    cleanup(protector_list_free) struct protector_list list = { 0 };
    int r = protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, error);

    *ret = 0;
    for (size_t i = 0; i < list.count; i++)
        if (list.items[i].keyslot >= 0)
            *ret |= 1u << list.items[i].keyslot;
    return r;
}

static int clear_one(struct volume *volume, int number, uint32_t named, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    int64_t planned = -1;
    bool ours = false; /* someone may have given the keyslot to a passphrase since */
    uint32_t used;
    int r = volume_token_read(volume, number, &token, &view, error);

    if (!r)
        r = volume_keyslots(volume, &used, error);
    if (!r && json_has(&view, PLANNED))
        r = json_get_integer(&view, PLANNED, 0, VOLUME_MAX_KEYSLOTS - 1, &planned, error);
    if (!r && planned >= 0 && used & (1u << planned) && !(named & (1u << planned)))
        r = volume_keyslot_is_minimal(volume, (int)planned, &ours, error);
    if (!r && ours)
        r = volume_keyslot_remove(volume, (int)planned, error);
    return r ? r : volume_token_remove(volume, number, error);
}

int leftover_clear(struct volume *volume, int keep, struct error *error)
{
    struct token_list list;
    uint32_t named = 0;
    int r = volume_tokens(volume, TOKEN_TYPE_PENDING, &list, error);

    if (!r)
        r = named_keyslots(volume, &named, error);
    if (keep >= 0)
        named |= 1u << keep;
    for (size_t i = 0; !r && i < list.count; i++)
        r = clear_one(volume, list.numbers[i], named, error);
    return r;
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
