#include "protect/status.h"

#include "base/cleanup.h"
#include "base/encode.h"

#include <string.h>

#define TOKEN_TYPE_RECOVERY "bootseal-recovery"
#define ID_BYTES 4

static int read_time(const struct json_view *view, const char *key, char ret[STATUS_TIME_TEXT], struct error *error)
{
    const char *text;
    int r = json_get_string(view, key, STATUS_TIME_TEXT - 1, &text, error);

    if (!r)
        strcpy(ret, text);
    return r;
}

/* A list of one number in decimal. */
static int read_keyslot(const struct json_view *view, int *ret, struct error *error)
{
    struct json_view list;
    const char *text;
    char *end;
    int r = json_get_array(view, "keyslots", 1, &list, error);

    if (r)
        return r;
    text = json_object_get_string(json_object_array_get_idx(list.object, 0));
    if (!text || strlen(text) > 2 || strspn(text, "0123456789") != strlen(text))
        return json_fault(view, "keyslots", error, "is not one keyslot");
    *ret = (int)strtol(text, &end, 10);
    return *ret < VOLUME_MAX_KEYSLOTS && end != text ? 0 : json_fault(view, "keyslots", error, "is not one keyslot");
}

static int read_token(struct volume *volume, int number, struct status_recovery_key *ret, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    uint8_t id[ID_BYTES];
    int64_t version;
    int r = volume_token_read(volume, number, &token, &view, error);

    *ret = (struct status_recovery_key){ .token = number };
    r = r ?: json_get_integer(&view, "version", TOKEN_VERSION, TOKEN_VERSION, &version, error);
    r = r ?: json_get_hex(&view, "id", id, sizeof(id), error);
    r = r ?: read_time(&view, "created", ret->created, error);
    if (!r && json_has(&view, "used"))
        r = read_time(&view, "used", ret->used, error);
    r = r ?: read_keyslot(&view, &ret->keyslot, error);
    if (!r)
        hex_encode(id, sizeof(id), ret->id);
    return r;
}

int status_read_recovery_keys(struct volume *volume, struct status_volume *ret, struct error *error)
{
    struct token_list list;
    int r = volume_tokens(volume, TOKEN_TYPE_RECOVERY, &list, error);

    for (size_t i = 0; !r && i < list.count; i++) {
        struct status_recovery_key *key = &ret->recovery_keys[ret->recovery_key_count];
        struct error ignored;
        bool minimal = false;

        if (!read_token(volume, list.numbers[i], key, &ignored) &&
            !volume_keyslot_is_minimal(volume, key->keyslot, &minimal, &ignored) && minimal)
            ret->recovery_key_count++;
    }
    return r;
}
