#include "luks/recovery.h"

#include "base/cleanup.h"
#include "luks/internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- reading ---- */

static int read_type(const struct json_view *view, struct error *error)
{
    const char *text;
    int r = json_get_string(view, "type", 64, &text, error);

    if (r || strcmp(text, TOKEN_TYPE_RECOVERY) == 0)
        return r;
    return json_fault(view, "type", error, "\"%s\" is not a recovery key's", text);
}

static int read_id(const struct json_view *view, char ret[RECOVERY_ID_TEXT], struct error *error)
{
    const char *text;
    int r = json_get_string(view, "id", RECOVERY_ID_TEXT - 1, &text, error);
    size_t digits;

    if (r)
        return r;
    digits = strspn(text, "0123456789abcdef");
    if (digits != RECOVERY_ID_TEXT - 1 || text[digits])
        return json_fault(view, "id", error, "must be eight hexadecimal digits in lower case");
    memcpy(ret, text, RECOVERY_ID_TEXT);
    return 0;
}

int recovery_from_json(const struct json_view *view, int number, struct recovery *ret, struct error *error)
{
    struct recovery recovery = { .token = number };
    int r = token_get_version(view, error);

    r = r ?: read_type(view, error);
    r = r ?: token_get_keyslot(view, &recovery.keyslot, error);
    r = r ?: read_id(view, recovery.id, error);
    r = r ?: token_get_time(view, "created", recovery.created, error);
    if (!r && json_has(view, "used"))
        r = token_get_time(view, "used", recovery.used, error);
    if (!r)
        *ret = recovery;
    return r;
}

int recovery_list_read(struct volume *volume, struct recovery_list *ret, struct error *error)
{
    struct token_list tokens;
    int r = volume_tokens(volume, TOKEN_TYPE_RECOVERY, &tokens, error);

    *ret = (struct recovery_list){ 0 };
    for (size_t i = 0; !r && i < tokens.count; i++) {
        cleanup(json_free) struct json_object *token = NULL;
        struct json_view view;
        struct error damage;

        r = volume_token_read(volume, tokens.numbers[i], &token, &view, error);
        if (r)
            break;
        if (recovery_from_json(&view, tokens.numbers[i], &ret->items[ret->count], &damage))
            ret->damaged++;
        else
            ret->count++;
    }
    return r;
}

const struct recovery *recovery_list_find(const struct recovery_list *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcasecmp(list->items[i].id, id) == 0)
            return &list->items[i];
    return NULL;
}

static uint32_t named_by(const struct json_object *keyslots)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < json_object_array_length(keyslots); i++) {
        struct json_object *item = json_object_array_get_idx(keyslots, i);
        const char *text = json_object_is_type(item, json_type_string) ? json_object_get_string(item) : "";
        char *end;
        unsigned long number = isdigit((unsigned char)text[0]) ? strtoul(text, &end, 10) : VOLUME_MAX_KEYSLOTS;

        if (number < VOLUME_MAX_KEYSLOTS && !*end)
            mask |= 1u << number;
    }
    return mask;
}

int recovery_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error)
{
    struct token_list tokens;
    int r = volume_tokens(volume, TOKEN_TYPE_RECOVERY, &tokens, error);

    *ret_mask = 0;
    for (size_t i = 0; !r && i < tokens.count; i++) {
        cleanup(json_free) struct json_object *token = NULL;
        struct json_view view, keyslots;

        r = volume_token_read(volume, tokens.numbers[i], &token, &view, error);
        r = r ?: json_get_array(&view, "keyslots", VOLUME_MAX_KEYSLOTS, &keyslots, error);
        if (!r)
            *ret_mask |= named_by(keyslots.object);
    }
    return r;
}

/* ---- writing ---- */

static int write_used(struct json_object *token, const char *used, struct error *error)
{
    if (used[0])
        return json_add(token, "used", json_object_new_string(used), error);
    json_object_object_del(token, "used");
    return 0;
}

static int write_escrow(struct json_object *token, struct error *error)
{
    struct json_object *kept;

    if (json_object_object_get_ex(token, "escrow", &kept))
        return 0;
    return json_object_object_add(token, "escrow", NULL) < 0 ? error_no_memory(error) : 0;
}

int recovery_to_json(const struct recovery *recovery, struct json_object *base, struct json_object **ret,
                     struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    int r = token_begin(base, TOKEN_TYPE_RECOVERY, recovery->keyslot, &token, error);

    r = r ?: json_add(token, "id", json_object_new_string(recovery->id), error);
    r = r ?: json_add(token, "created", json_object_new_string(recovery->created), error);
    r = r ?: write_used(token, recovery->used, error);
    r = r ?: write_escrow(token, error);
    if (!r)
        *ret = take_ptr(token);
    return r;
}

int recovery_mark_used(struct volume *volume, int token, struct error *error)
{
    cleanup(json_free) struct json_object *old = NULL, *changed = NULL;
    struct json_view view;
    struct recovery recovery;
    int number = token, r = volume_token_read(volume, token, &old, &view, error);

    r = r ?: recovery_from_json(&view, token, &recovery, error);
    r = r ?: token_time_now(recovery.used, error);
    r = r ?: recovery_to_json(&recovery, old, &changed, error);
    return r ?: volume_token_write(volume, &number, changed, error);
}
