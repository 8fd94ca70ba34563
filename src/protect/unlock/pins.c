#include "protect/unlock/pins.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>
#include <unistd.h>

#define PINS_VERSION 1
#define ROOT_PINNED "pinned"
#define ROOT_ANY "any"
#define ROOT_TEXT_MAX 16
#define HANDLE_MAX 0xffffffffLL

static int entity_from_json(const struct json_view *pins, const char *key, struct entity *ret, struct error *error)
{
    struct json_view view;
    int64_t handle;
    int r = json_get_object(pins, key, &view, error);

    if (!r)
        r = json_get_integer(&view, "handle", 1, HANDLE_MAX, &handle, error);
    if (!r)
        r = json_get_base64(&view, "public", ret->public, sizeof(ret->public), &ret->public_size, error);
    if (r)
        return r;
    ret->handle = (uint32_t)handle;
    return object_name_compute(&ret->name, ret->public, ret->public_size, error);
}

static int copy_string(const struct json_view *view, const char *key, char *ret, size_t size, struct error *error)
{
    const char *text;
    int r = json_get_string(view, key, size - 1, &text, error);

    if (r)
        return r;
    if (!text[0])
        return json_fault(view, key, error, "is empty");
    strcpy(ret, text);
    return 0;
}

static int volume_from_json(const struct json_view *view, struct pinned_volume *ret, struct error *error)
{
    int r = copy_string(view, "name", ret->name, sizeof(ret->name), error);

    if (!r && strchr(ret->name, '/'))
        r = json_fault(view, "name", error, "has a slash");
    if (!r)
        r = copy_string(view, "uuid", ret->uuid, sizeof(ret->uuid), error);
    if (!r)
        r = copy_string(view, "device", ret->device, sizeof(ret->device), error);
    if (!r)
        r = json_get_hex(view, "facts", ret->facts.bytes, sizeof(ret->facts.bytes), error);
    return r;
}

static int volumes_from_json(const struct json_view *pins, struct pins *ret, struct error *error)
{
    struct json_view list, view;
    int r = json_get_array(pins, "volumes", PINS_MAX_VOLUMES, &list, error);

    ret->volume_count = r ? 0 : json_object_array_length(list.object);
    for (size_t i = 0; !r && i < ret->volume_count; i++) {
        r = json_array_object(&list, "volumes", i, &view, error);
        if (!r)
            r = volume_from_json(&view, &ret->volumes[i], error);
    }
    return r;
}

static int get_unsigned(const struct json_view *view, const char *key, int64_t min, int64_t max, uint32_t *ret,
                        struct error *error)
{
    int64_t value;
    int r = json_get_integer(view, key, min, max, &value, error);

    if (!r)
        *ret = (uint32_t)value;
    return r;
}

/* Pins from before there was a choice have no such key: then it is "pinned". */
static int root_from_json(const struct json_view *view, bool *ret_any, struct error *error)
{
    const char *text;
    int r;

    if (!json_has(view, "root"))
        return 0;
    r = json_get_string(view, "root", ROOT_TEXT_MAX, &text, error);
    if (r)
        return r;
    *ret_any = strcmp(text, ROOT_ANY) == 0;
    if (!*ret_any && strcmp(text, ROOT_PINNED) != 0)
        return json_fault(view, "root", error, "is neither \"" ROOT_PINNED "\" nor \"" ROOT_ANY "\"");
    return 0;
}

static int settings_from_json(const struct json_view *view, struct pins *ret, struct error *error)
{
    struct json_view floor;
    int r = json_get_hash(view, "bank", &ret->bank, error);

    if (!r)
        r = get_unsigned(view, "cap", 0, PCR_COUNT - 1, &ret->cap, error);
    if (!r)
        r = get_unsigned(view, "tries", 1, 100, &ret->tries, error);
    if (!r)
        r = root_from_json(view, &ret->any_root, error);
    if (!r)
        r = json_get_object(view, "kdf_floor", &floor, error);
    if (!r)
        r = get_unsigned(&floor, "memory_kib", 8, KDF_MAX_MEMORY_KIB, &ret->floor_memory_kib, error);
    if (!r)
        r = get_unsigned(&floor, "iterations", 1, KDF_MAX_ITERATIONS, &ret->floor_iterations, error);
    return r;
}

int pins_read(const char *path, struct pins *ret, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view = { .source = path, .kind = ERROR_METADATA };
    int64_t version;
    int r = json_read(&view, &document, error);

    *ret = (struct pins){ 0 };
    if (!r)
        r = json_get_integer(&view, "version", PINS_VERSION, PINS_VERSION, &version, error);
    if (!r)
        r = entity_from_json(&view, "srk", &ret->srk, error);
    if (!r)
        r = entity_from_json(&view, "approval", &ret->index, error);
    if (!r)
        r = json_get_hex(&view, "authority", ret->authority.bytes, NAME_BYTES, error);
    if (!r)
        r = settings_from_json(&view, ret, error);
    return r ? r : volumes_from_json(&view, ret, error);
}

static int entity_to_json(struct json_object *pins, const char *key, const struct entity *entity, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_add(pins, key, object, error);

    if (!r)
        r = json_add(object, "handle", json_object_new_int64(entity->handle), error);
    if (!r)
        r = json_add(object, "public", json_new_base64(entity->public, entity->public_size), error);
    return r;
}

static int volumes_to_json(struct json_object *document, const struct pins *pins, struct error *error)
{
    struct json_object *list = json_object_new_array();
    int r = json_add(document, "volumes", list, error);

    for (size_t i = 0; !r && i < pins->volume_count; i++) {
        const struct pinned_volume *volume = &pins->volumes[i];
        struct json_object *object = json_object_new_object();

        r = json_append(list, object, error);
        if (!r)
            r = json_add(object, "name", json_object_new_string(volume->name), error);
        if (!r)
            r = json_add(object, "uuid", json_object_new_string(volume->uuid), error);
        if (!r)
            r = json_add(object, "device", json_object_new_string(volume->device), error);
        if (!r)
            r = json_add(object, "facts", json_new_hex(volume->facts.bytes, DIGEST_BYTES), error);
    }
    return r;
}

static int settings_to_json(struct json_object *document, const struct pins *pins, struct error *error)
{
    struct json_object *floor = json_object_new_object();
    int r = json_add(document, "bank", json_object_new_string(hash_name(pins->bank)), error);

    if (!r)
        r = json_add(document, "cap", json_object_new_int64(pins->cap), error);
    if (!r)
        r = json_add(document, "tries", json_object_new_int64(pins->tries), error);
    if (!r)
        r = json_add(document, "root", json_object_new_string(pins->any_root ? ROOT_ANY : ROOT_PINNED), error);
    if (r) {
        json_object_put(floor);
        return r;
    }
    r = json_add(document, "kdf_floor", floor, error);
    if (!r)
        r = json_add(floor, "memory_kib", json_object_new_int64(pins->floor_memory_kib), error);
    if (!r)
        r = json_add(floor, "iterations", json_object_new_int64(pins->floor_iterations), error);
    return r;
}

int pins_write(const char *path, const struct pins *pins, struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    int r = document ? 0 : error_no_memory(error);

    if (!r)
        r = json_add(document, "version", json_object_new_int(PINS_VERSION), error);
    if (!r)
        r = entity_to_json(document, "srk", &pins->srk, error);
    if (!r)
        r = entity_to_json(document, "approval", &pins->index, error);
    if (!r)
        r = json_add(document, "authority", json_new_hex(pins->authority.bytes, NAME_BYTES), error);
    if (!r)
        r = settings_to_json(document, pins, error);
    if (!r)
        r = volumes_to_json(document, pins, error);
    return r ? r : json_write(path, document, 0600, error);
}

void pins_set_policy(struct pins *pins, const struct policy_document *document)
{
    pins->bank = document->bank;
    pins->cap = document->cap;
    pins->tries = document->tries;
    pins->any_root = document->any_root;
    pins->floor_memory_kib = document->kdf.floor_memory_kib;
    pins->floor_iterations = document->kdf.floor_iterations;
}

bool pins_concern_this_boot(const char *state_folder, const struct pinned_volume *pin)
{
    return !state_folder && strncmp(pin->device, "/dev/", 5) == 0;
}

struct pinned_volume *pins_find(struct pins *pins, const char *uuid)
{
    for (size_t i = 0; i < pins->volume_count; i++)
        if (strcmp(pins->volumes[i].uuid, uuid) == 0)
            return &pins->volumes[i];
    return NULL;
}

int pins_check_volume(const struct pinned_volume *pin, struct volume *volume, struct error *error)
{
    struct volume_facts facts;
    int r;

    if (strcmp(volume_uuid(volume), pin->uuid) != 0)
        return error_set(error, ERROR_METADATA, "\"%s\" has the UUID %s, the pinned volume \"%s\" has %s",
                         volume_path(volume), volume_uuid(volume), pin->name, pin->uuid);
    r = volume_facts_read(volume, &facts, error);
    if (r)
        return r;
    if (!digest_equal(&facts.digest, &pin->facts))
        return error_set(error, ERROR_METADATA,
                         "the header of \"%s\" is not that of the pinned volume \"%s\": cipher, key size, offset, "
                         "sector size or volume-key digest differ",
                         volume_path(volume), pin->name);
    return 0;
}

void pins_select_protectors(const struct pins *pins, struct protector_list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++)
        if (object_name_equal(&list->items[i].approval, &pins->index.name))
            list->items[kept++] = list->items[i];
    if (kept > 0)
        list->count = kept;
}

static int check_cost(const struct pins *pins, const struct kdf_parameters *kdf, struct error *error)
{
    uint64_t ram_kib = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;

    if (kdf->memory_kib < pins->floor_memory_kib || kdf->iterations < pins->floor_iterations)
        return error_set(error, ERROR_METADATA,
                         "its key derivation costs %u KiB and %u iterations, less than the pinned %u KiB and %u",
                         kdf->memory_kib, kdf->iterations, pins->floor_memory_kib, pins->floor_iterations);
    if (kdf->memory_kib > ram_kib / 2)
        return error_set(error, ERROR_METADATA, "its key derivation wants %u KiB, more than half of this machine's RAM",
                         kdf->memory_kib);
    return 0;
}

int pins_check_protector(const struct pins *pins, const struct protector *protector, struct error *error)
{
    int r = 0;

    if (!object_name_equal(&protector->srk, &pins->srk.name))
        r = error_set(error, ERROR_METADATA, "its SRK is not the pinned one");
    else if (!object_name_equal(&protector->approval, &pins->index.name))
        r = error_set(error, ERROR_METADATA, "its approval index is not the pinned one");
    else if (protector->kind == PROTECTOR_TPM2_PIN)
        r = check_cost(pins, &protector->kdf, error);
    if (r)
        error_prefix(error, "the protector in token %d was changed", protector->token);
    return r;
}
