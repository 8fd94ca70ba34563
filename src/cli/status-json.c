#include "cli/status-json.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "cli/protector-words.h"

static int add_text(struct json_object *object, const char *key, const char *text, struct error *error)
{
    return json_add(object, key, json_object_new_string(text), error);
}

static int add_number(struct json_object *object, const char *key, int64_t number, struct error *error)
{
    return json_add(object, key, json_object_new_int64(number), error);
}

static int add_bool(struct json_object *object, const char *key, bool value, struct error *error)
{
    return json_add(object, key, json_object_new_boolean(value), error);
}

/* null when the part went well, else kind, text and what to do. */
static int add_error(struct json_object *object, const char *key, const struct error *fault, struct error *error)
{
    struct json_object *words;
    int r;

    if (fault->kind == ERROR_NONE)
        return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
    words = json_object_new_object();
    r = json_add(object, key, words, error);
    if (!r)
        r = add_text(words, "kind", error_kind_name(fault->kind), error);
    if (!r)
        r = add_text(words, "text", fault->text, error);
    if (!r)
        r = add_text(words, "remedy", fault->remedy, error);
    return r;
}

static int add_protector(struct json_object *list, const struct protector *protector, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    if (!r)
        r = add_text(object, "id", protector->id, error);
    if (!r)
        r = add_text(object, "kind", protector_kind_name(protector->kind), error);
    if (!r)
        r = add_text(object, "payload", protector_payload_name(protector->payload), error);
    if (!r)
        r = add_text(object, "label", protector->label, error);
    if (!r)
        r = add_text(object, "created", protector->created, error);
    if (!r)
        r = protector_add_keyslot(object, protector, error);
    if (!r)
        r = add_number(object, "token", protector->token, error);
    return r;
}

static int add_keyslots(struct json_object *object, uint32_t mask, struct error *error)
{
    struct json_object *list = json_object_new_array();
    int r = json_add(object, "other_keyslots", list, error);

    for (int i = 0; !r && i < VOLUME_MAX_KEYSLOTS; i++)
        if (mask & (1u << i))
            r = json_append(list, json_object_new_int(i), error);
    return r;
}

static int add_volume(struct json_object *list, const struct status_volume *volume, struct error *error)
{
    struct json_object *object = json_object_new_object(), *protectors = json_object_new_array();
    int r = json_append(list, object, error);

    if (r) {
        json_object_put(protectors);
        return r;
    }
    r = json_add(object, "protectors", protectors, error);
    for (size_t i = 0; !r && i < volume->protectors.count; i++)
        r = add_protector(protectors, &volume->protectors.items[i], error);
    if (!r)
        r = add_text(object, "device", volume->device, error);
    if (!r)
        r = add_text(object, "name", volume->name, error);
    if (!r)
        r = add_text(object, "uuid", volume->uuid, error);
    if (!r)
        r = add_text(object, "state", status_state_name(volume->state), error);
    if (!r)
        r = add_keyslots(object, volume->other_keyslots, error);
    if (!r)
        r = add_bool(object, "boot_state_opens", volume->unlock.kind == ERROR_NONE, error);
    if (!r)
        r = add_bool(object, "authority_opens", volume->authority_opens, error);
    return r ? r : add_error(object, "reason", &volume->unlock, error);
}

static int add_tpm(struct json_object *document, const struct status_tpm *tpm, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_add(document, "tpm", object, error);

    if (!r)
        r = add_error(object, "error", &tpm->error, error);
    if (r || tpm->error.kind != ERROR_NONE)
        return r;
    r = add_text(object, "manufacturer", tpm->identity.manufacturer, error);
    if (!r)
        r = add_number(object, "revision", tpm->identity.revision, error);
    if (!r)
        r = add_bool(object, "in_lockout", tpm->state.in_lockout, error);
    if (!r)
        r = add_number(object, "lockout_counter", tpm->state.lockout_counter, error);
    if (!r)
        r = add_number(object, "max_tries", tpm->state.max_tries, error);
    if (!r)
        r = add_number(object, "recovery_s", tpm->state.recovery_s, error);
    if (!r)
        r = add_number(object, "lockout_recovery_s", tpm->state.lockout_recovery_s, error);
    if (!r)
        r = add_bool(object, "lockout_auth_set", tpm->state.lockout_auth_set, error);
    if (!r)
        r = add_bool(object, "owner_auth_set", tpm->state.owner_auth_set, error);
    return r;
}

static int add_approval(struct json_object *document, const struct state *state, struct error *error)
{
    struct json_object *object;
    int r;

    if (!state->has_approval || !state->approval.object_count)
        return json_object_object_add(document, "approval", NULL) < 0 ? error_no_memory(error) : 0;
    object = json_object_new_object();
    r = json_add(document, "approval", object, error);
    return r ? r : approval_to_json(&state->approval, NULL, object, error);
}

int status_to_json(const struct status *status, struct json_object **ret, struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    struct json_object *volumes;
    int r = document ? 0 : error_no_memory(error);

    if (!r)
        r = add_tpm(document, &status->tpm, error);
    if (!r)
        r = add_approval(document, &status->state, error);
    if (r)
        return r;
    volumes = json_object_new_array();
    r = json_add(document, "volumes", volumes, error);
    for (size_t i = 0; !r && i < status->volume_count; i++)
        r = add_volume(volumes, &status->volumes[i], error);
    if (!r)
        *ret = take_ptr(document);
    return r;
}
