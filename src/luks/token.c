/*
 * Tokens as JSON. They are read from the metadata as a whole: libcryptsetup's own crypt_token_status() would load a
 * plugin for each type that the header names.
 */
#include "luks/token.h"

#include "base/cleanup.h"
#include "luks/internal.h"

#include <libcryptsetup.h>
#include <string.h>
#include <time.h>

static const char time_form[] = "%Y-%m-%dT%H:%M:%SZ";

static int tokens_of(const struct json_view *metadata, struct json_view *ret, uint32_t *ret_mask, struct error *error)
{
    int r = json_get_object(metadata, "tokens", ret, error);

    return r ?: metadata_numbers(ret, "tokens", ret_mask, error);
}

int volume_tokens(struct volume *volume, const char *type, struct token_list *ret, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct token_list list = { 0 };
    struct json_view metadata, tokens, token;
    uint32_t mask;
    int r = metadata_read(volume, &document, &metadata, error);

    r = r ?: tokens_of(&metadata, &tokens, &mask, error);
    for (int i = 0; !r && i < VOLUME_MAX_TOKENS; i++) {
        const char *text;

        if (!(mask & (1u << i)))
            continue;
        r = metadata_item(&metadata, "tokens", i, &token, error);
        r = r ?: json_get_string(&token, "type", JSON_MAX_BYTES, &text, error);
        if (!r && strcmp(text, type) == 0)
            list.numbers[list.count++] = i;
    }
    if (r)
        return error_prefix(error, "\"%s\"", volume->path);
    *ret = list;
    return 0;
}

/* A token without a list of keyslots names none; libcryptsetup takes no header with other names in one. */
static int named_by(const struct json_view *token, uint32_t *mask, struct error *error)
{
    struct json_view list;
    int r = json_has(token, "keyslots") ? json_get_array(token, "keyslots", VOLUME_MAX_KEYSLOTS, &list, error) : 0;

    for (int i = 0; !r && json_has(token, "keyslots") && i < VOLUME_MAX_KEYSLOTS; i++) {
        char number[12];

        snprintf(number, sizeof(number), "%d", i);
        if (metadata_lists(&list, number))
            *mask |= 1u << i;
    }
    return r;
}

int volume_token_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view metadata, tokens, token;
    uint32_t numbers, mask = 0;
    int r = metadata_read(volume, &document, &metadata, error);

    r = r ?: tokens_of(&metadata, &tokens, &numbers, error);
    for (int i = 0; !r && i < VOLUME_MAX_TOKENS; i++) {
        if (!(numbers & (1u << i)))
            continue;
        r = metadata_item(&metadata, "tokens", i, &token, error);
        r = r ?: named_by(&token, &mask, error);
    }
    if (r)
        return error_prefix(error, "\"%s\"", volume->path);
    *ret_mask = mask;
    return 0;
}

int volume_token_read(struct volume *volume, int number, struct json_object **ret, struct json_view *ret_view,
                      struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view metadata, token;
    int r = metadata_read(volume, &document, &metadata, error);

    r = r ?: metadata_item(&metadata, "tokens", number, &token, error);
    if (r)
        return error_prefix(error, "\"%s\": token %d", volume->path, number);
    *ret_view = (struct json_view){ token.object, volume->token_names[number], ERROR_METADATA };
    *ret = json_object_get(token.object); /* outlives the document that it is a part of */
    return 0;
}

static int find_free(struct volume *volume, uint32_t mask, int *ret, struct error *error)
{
    for (int i = 0; i < VOLUME_MAX_TOKENS; i++)
        if (!(mask & (1u << i))) {
            *ret = i;
            return 0;
        }
    error_set(error, ERROR_REFUSED, "\"%s\": all %d tokens are in use", volume->path, VOLUME_MAX_TOKENS);
    return error_remedy(error, "remove tokens that are no longer used: cryptsetup token remove");
}

/* Puts the token into our copy of the document, to see whether the whole still fits: libcryptsetup would notice too,
 * but only after it has dropped the old token from its copy. */
static int find_room(struct volume *volume, struct json_object *token, int *number, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view metadata, tokens;
    uint32_t mask;
    char name[12];
    int r = metadata_read(volume, &document, &metadata, error);

    r = r ?: tokens_of(&metadata, &tokens, &mask, error);
    if (!r && *number < 0)
        r = find_free(volume, mask, number, error);
    if (r)
        return r;
    snprintf(name, sizeof(name), "%d", *number);
    r = json_add(tokens.object, name, json_object_get(token), error);
    return r ?: room_for_json(volume, document, 0, error);
}

int volume_token_write(struct volume *volume, int *number, struct json_object *token, struct error *error)
{
    const char *text = json_object_to_json_string_ext(token, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    int code, chosen = *number, r;

    if (!text)
        return error_no_memory(error);
    if (chosen < -1 || chosen >= VOLUME_MAX_TOKENS)
        return error_set(error, ERROR_USAGE, "there is no token %d: they are numbered from 0 to 31", chosen);
    r = find_room(volume, token, &chosen, error);
    if (r)
        return r;
    code = crypt_token_json_set(volume_device(volume), chosen, text);
    if (code < 0) {
        r = volume_fail(volume, code, error, "cannot write token %d", chosen);
        volume_reload(volume);
        return r;
    }
    *number = code;
    return 0;
}

int volume_token_remove(struct volume *volume, int number, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    int code, r = volume_token_read(volume, number, &token, &view, error);

    if (r)
        return r;
    code = crypt_token_json_set(volume_device(volume), number, NULL);
    if (code < 0) {
        r = volume_fail(volume, code, error, "cannot remove token %d", number);
        volume_reload(volume);
        return r;
    }
    return 0;
}

static int new_keyslot_list(int keyslot, struct json_object **ret, struct error *error)
{
    cleanup(json_free) struct json_object *list = json_object_new_array();
    char name[12];
    int r = 0;

    if (!list)
        return error_no_memory(error);
    snprintf(name, sizeof(name), "%d", keyslot);
    if (keyslot >= 0)
        r = json_append(list, json_object_new_string(name), error);
    if (!r)
        *ret = take_ptr(list);
    return r;
}

static int set_head(struct json_object *token, const char *type, int keyslot, struct error *error)
{
    struct json_object *list = NULL;
    int r = json_add(token, "type", json_object_new_string(type), error);

    r = r ?: new_keyslot_list(keyslot, &list, error);
    r = r ?: json_add(token, "keyslots", list, error);
    return r ?: json_add(token, "version", json_object_new_int(TOKEN_VERSION), error);
}

int token_begin(struct json_object *base, const char *type, int keyslot, struct json_object **ret, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    int r;

    if (base && json_object_deep_copy(base, &token, NULL) < 0)
        return error_no_memory(error);
    if (!base)
        token = json_object_new_object();
    r = token ? set_head(token, type, keyslot, error) : error_no_memory(error);
    if (!r)
        *ret = take_ptr(token);
    return r;
}

int token_new(const char *type, int keyslot, struct json_object **ret, struct error *error)
{
    return token_begin(NULL, type, keyslot, ret, error);
}

/* ---- the fields that all of our tokens have ---- */

int token_get_version(const struct json_view *view, struct error *error)
{
    int64_t version;
    int r = json_get_integer(view, "version", 0, INT32_MAX, &version, error);

    if (r || version == TOKEN_VERSION)
        return r;
    json_fault(view, "version", error, "%lld is not known to this bootseal", (long long)version);
    return error_remedy(error, "use the bootseal that wrote it, or a newer one");
}

int token_refuse_newer(const struct json_view *view, struct error *error)
{
    struct error ignored;
    int64_t version;

    if (json_get_integer(view, "version", TOKEN_VERSION + 1, INT32_MAX, &version, &ignored))
        return 0;
    return token_get_version(view, error);
}

/* At most one: the keyslot is gone from the list when somebody removed it. */
int token_get_keyslot(const struct json_view *view, int *ret, struct error *error)
{
    struct json_view list;
    struct json_object *item;
    char name[12];
    int r = json_get_array(view, "keyslots", 1, &list, error);

    if (r)
        return r;
    *ret = -1;
    if (json_object_array_length(list.object) == 0)
        return 0;
    item = json_object_array_get_idx(list.object, 0);
    for (int i = 0; json_object_is_type(item, json_type_string) && i < VOLUME_MAX_KEYSLOTS; i++) {
        snprintf(name, sizeof(name), "%d", i);
        if (strcmp(json_object_get_string(item), name) == 0) {
            *ret = i;
            return 0;
        }
    }
    return json_fault(view, "keyslots", error, "must hold a number from 0 to 31, as a string");
}

/* "2026-11-21T20:00:00Z", and a date that exists: it reads as a time that is written in the same way. */
int token_get_time(const struct json_view *view, const char *key, char ret[TOKEN_TIME_TEXT], struct error *error)
{
    char again[32] = "";
    struct tm fields = { 0 };
    const char *text, *end;
    time_t seconds;
    int r = json_get_string(view, key, 20, &text, error);

    if (r)
        return r;
    end = strptime(text, time_form, &fields);
    seconds = timegm(&fields);
    if (!end || *end || !gmtime_r(&seconds, &fields) || !strftime(again, sizeof(again), time_form, &fields) ||
        strcmp(again, text) != 0 || strlen(text) != 20)
        return json_fault(view, key, error, "must be a time like 2026-11-21T20:00:00Z");
    memcpy(ret, text, TOKEN_TIME_TEXT);
    return 0;
}

int token_time_now(char ret[TOKEN_TIME_TEXT], struct error *error)
{
    time_t now = time(NULL);
    struct tm utc;

    if (gmtime_r(&now, &utc) && strftime(ret, TOKEN_TIME_TEXT, time_form, &utc))
        return 0;
    return error_set(error, ERROR_FAILED, "cannot tell the time");
}
