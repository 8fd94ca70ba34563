#include "cli/status-json.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "cli/protector-words.h"
#include "cli/suspend-words.h"

#include <time.h>

void status_firmware_format(uint64_t firmware, char ret[STATUS_FIRMWARE_TEXT])
{
    snprintf(ret, STATUS_FIRMWARE_TEXT, "%u.%u.%u.%u", (unsigned)(firmware >> 48 & 0xffff),
             (unsigned)(firmware >> 32 & 0xffff), (unsigned)(firmware >> 16 & 0xffff), (unsigned)(firmware & 0xffff));
}

static int add_text(struct json_object *object, const char *key, const char *text, struct error *error)
{
    return json_add(object, key, json_object_new_string(text), error);
}

static int add_null(struct json_object *object, const char *key, struct error *error)
{
    return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
}

/* null for an empty one. */
static int add_text_or_null(struct json_object *object, const char *key, const char *text, struct error *error)
{
    return text[0] ? add_text(object, key, text, error) : add_null(object, key, error);
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
        return add_null(object, key, error);
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
    r = r ?: protector_add_operator(object, protector, error);
    if (!r)
        r = add_text(object, "label", protector->label, error);
    if (!r)
        r = add_text(object, "created", protector->created, error);
    if (!r)
        r = add_text(object, "payload", protector_payload_name(protector->payload), error);
    if (!r)
        r = protector_add_keyslot(object, protector, error);
    if (!r)
        r = add_number(object, "token", protector->token, error);
    return r;
}

static int add_recovery_keys(struct json_object *object, const struct status_volume *volume, struct error *error)
{
    struct json_object *list = json_object_new_array();
    int r = json_add(object, "recovery_keys", list, error);

    for (size_t i = 0; !r && i < volume->recovery_key_count; i++) {
        const struct recovery *key = &volume->recovery_keys[i];
        struct json_object *one = json_object_new_object();

        r = json_append(list, one, error);
        r = r ?: add_text(one, "id", key->id, error);
        r = r ?: add_text(one, "created", key->created, error);
        r = r ?: add_text_or_null(one, "used", key->used, error);
        r = r ?: add_number(one, "keyslot", key->keyslot, error);
        r = r ?: add_number(one, "token", key->token, error);
    }
    return r;
}

static int add_keyslots(struct json_object *object, const char *key, uint32_t mask, struct error *error)
{
    struct json_object *list = json_object_new_array();
    int r = json_add(object, key, list, error);

    for (int i = 0; !r && i < VOLUME_MAX_KEYSLOTS; i++)
        if (mask & (1u << i))
            r = json_append(list, json_object_new_int(i), error);
    return r;
}

static int add_protectors(struct json_object *object, const struct status_volume *volume, struct error *error)
{
    struct json_object *list = json_object_new_array();
    int r = json_add(object, "protectors", list, error);

    for (size_t i = 0; !r && i < volume->protectors.count; i++)
        r = add_protector(list, &volume->protectors.items[i], error);
    return r;
}

/* null when the initramfs of this boot left no word on the volume. */
static int add_this_boot(struct json_object *object, const struct report_opening *boot, struct error *error)
{
    struct json_object *words;
    int r;

    if (!boot->known)
        return add_null(object, "this_boot", error);
    words = json_object_new_object();
    r = json_add(object, "this_boot", words, error);
    r = r ?: add_bool(words, "opened", boot->opened, error);
    r = r ?: add_text_or_null(words, "by", boot->by, error);
    if (!r && boot->operator_number)
        r = add_number(words, "operator", boot->operator_number, error);
    else if (!r)
        r = add_null(words, "operator", error);
    r = r ?: add_text_or_null(words, "reason", boot->reason, error);
    r = r ?: add_bool(words, "suspended", boot->suspended, error);
    return r ?: add_number(words, "wrong_pins", boot->wrong_pins, error);
}

static int add_next_unlock(struct json_object *object, const struct status_volume *volume, struct error *error)
{
    struct json_object *next = json_object_new_object();
    int r = json_add(object, "next_unlock", next, error);

    if (!r && volume->next_unlock == STATUS_UNKNOWN)
        r = add_null(next, "works", error);
    else if (!r)
        r = add_bool(next, "works", volume->next_unlock == STATUS_YES, error);
    return r ?: add_error(next, "reason", &volume->next_reason, error);
}

/* What to think about, though it works: a word for programs, and a sentence. */
static int add_warnings(struct json_object *object, const struct status_volume *volume, struct error *error)
{
    struct json_object *list = json_object_new_array(), *warning;
    int r = json_add(object, "warnings", list, error);

    if (r || !status_has_bypassed_pin(volume))
        return r;
    warning = json_object_new_object();
    r = json_append(list, warning, error);
    r = r ?: add_text(warning, "kind", "pin-bypassed", error);
    return r
               ?: add_text(warning, "text", "a protector without a PIN opens the volume: the PINs protect nothing",
                           error);
}

static int add_volume(struct json_object *list, const struct status_volume *volume, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    r = r ?: add_text(object, "device", volume->device, error);
    r = r ?: add_text(object, "name", volume->name, error);
    r = r ?: add_text(object, "uuid", volume->uuid, error);
    r = r ?: add_text(object, "state", status_state_name(volume->state), error);
    r = r ?: add_bool(object, "protected", status_is_protected(volume->state), error);
    r = r ?: add_protectors(object, volume, error);
    r = r ?: add_warnings(object, volume, error);
    r = r ?: add_recovery_keys(object, volume, error);
    r = r ?: add_keyslots(object, "other_keyslots", volume->other_keyslots, error);
    r = r ?: add_keyslots(object, "orphan_keyslots", volume->orphan_keyslots, error);
    r = r ?: add_this_boot(object, &volume->boot, error);
    r = r ?: add_bool(object, "boot_state_opens", volume->unlock.kind == ERROR_NONE, error);
    r = r ?: add_bool(object, "authority_opens", volume->authority_opens, error);
    r = r ?: add_error(object, "reason", &volume->unlock, error);
    return r ?: add_next_unlock(object, volume, error);
}

static int add_lockout_end(struct json_object *object, const struct status_tpm *tpm, struct error *error)
{
    time_t end = time(NULL) + (time_t)tpm->lockout_wait_s;
    struct tm utc;
    char text[TOKEN_TIME_TEXT] = "";
    int r;

    if (!tpm->lockout_wait_s) {
        r = add_null(object, "lockout_ends_within_s", error);
        return r ?: add_null(object, "lockout_ends_by", error);
    }
    if (!gmtime_r(&end, &utc) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc))
        text[0] = '\0';
    r = add_number(object, "lockout_ends_within_s", (int64_t)tpm->lockout_wait_s, error);
    return r ?: add_text_or_null(object, "lockout_ends_by", text, error);
}

static int add_tpm(struct json_object *document, const struct status_tpm *tpm, struct error *error)
{
    struct json_object *object = json_object_new_object();
    char firmware[STATUS_FIRMWARE_TEXT];
    int r = json_add(document, "tpm", object, error);

    if (!r)
        r = add_error(object, "error", &tpm->error, error);
    if (r || tpm->error.kind != ERROR_NONE)
        return r;
    status_firmware_format(tpm->identity.firmware, firmware);
    r = add_text(object, "manufacturer", tpm->identity.manufacturer, error);
    r = r ?: add_text(object, "vendor", tpm->identity.vendor, error);
    r = r ?: add_text(object, "firmware", firmware, error);
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
    return r ?: add_lockout_end(object, tpm, error);
}

static int add_approval(struct json_object *document, const struct status *status, struct error *error)
{
    const struct approval *approval = &status->state.approval;
    struct json_object *object;
    int r;

    if (!approval->object_count)
        return add_null(document, "approval", error);
    object = json_object_new_object();
    r = json_add(document, "approval", object, error);
    r = r ?: approval_to_json(approval, NULL, object, error);
    if (!r && status->boot.branch >= 0)
        return add_number(object, "matching_branch", status->boot.branch, error);
    return r ?: add_null(object, "matching_branch", error);
}

static int add_rotation(struct json_object *document, enum rotation_stage rotation, struct error *error)
{
    if (rotation == ROTATION_NONE)
        return add_null(document, "rotation", error);
    return add_text(document, "rotation", rotation == ROTATION_BEGUN ? "cut" : "waiting", error);
}

int status_to_json(const struct status *status, struct json_object **ret, struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    struct json_object *volumes;
    int r = document ? 0 : error_no_memory(error);

    if (!r)
        r = add_tpm(document, &status->tpm, error);
    if (!r)
        r = add_approval(document, status, error);
    if (!r)
        r = add_rotation(document, status->state.rotation, error);
    if (!r)
        r = suspension_add_json(document, status->has_suspension ? &status->suspension : NULL, &status->now, error);
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
