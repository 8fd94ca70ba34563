#include "protect/unlock/report.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include <string.h>

#define REPORT_VERSION 1
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX 64
#define BY_RECOVERY "recovery"

static int boot_id(char ret[BOOT_ID_MAX], struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    int r = file_read(BOOT_ID_PATH, BOOT_ID_MAX - 1, &text, NULL, error);

    if (r)
        return r;
    text[strcspn(text, "\n")] = '\0';
    strcpy(ret, text);
    return 0;
}

static int add_text_or_null(struct json_object *object, const char *key, const char *text, struct error *error)
{
    if (text[0])
        return json_add(object, key, json_object_new_string(text), error);
    return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
}

static int values_to_json(struct json_object *document, const struct pcr_values *values, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_add(document, "pcrs", object, error);
    char number[4];

    for (unsigned i = 0; !r && i < PCR_COUNT; i++)
        if (values->mask & (1u << i)) {
            snprintf(number, sizeof(number), "%u", i);
            r = json_add(object, number, json_new_hex(values->value[i], hash_size(values->bank)), error);
        }
    return r;
}

static const char *opened_by(const struct report_volume *volume)
{
    if (!volume->opened)
        return "";
    return volume->by_recovery ? BY_RECOVERY : protector_kind_name(volume->by);
}

static int add_number_or_null(struct json_object *object, const char *key, unsigned number, struct error *error)
{
    if (number)
        return json_add(object, key, json_object_new_int((int)number), error);
    return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
}

static int volume_to_json(struct json_object *list, const struct report_volume *volume, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    if (!r)
        r = json_add(object, "name", json_object_new_string(volume->name), error);
    if (!r)
        r = json_add(object, "uuid", json_object_new_string(volume->uuid), error);
    if (!r)
        r = json_add(object, "opened", json_object_new_boolean(volume->opened), error);
    if (!r)
        r = add_text_or_null(object, "by", opened_by(volume), error);
    if (!r)
        r = json_add(object, "status", json_object_new_int((int)volume->status), error);
    if (!r)
        r = add_text_or_null(object, "reason", volume->reason, error);
    if (!r)
        r = add_text_or_null(object, "protector", volume->protector, error);
    if (!r)
        r = add_number_or_null(object, "operator", volume->operator_number, error);
    if (!r)
        r = json_add(object, "suspended", json_object_new_boolean(volume->suspended), error);
    if (!r)
        r = add_text_or_null(object, "recovery_id", volume->recovery_id, error);
    if (!r)
        r = json_add(object, "wrong_pins", json_object_new_int((int)volume->wrong_pins), error);
    if (!r)
        r = json_add(object, "milliseconds", json_object_new_int64((int64_t)volume->milliseconds), error);
    return r;
}

static int cap_to_json(struct json_object *document, const struct report *report, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_add(document, "cap", object, error);

    if (!r)
        r = json_add(object, "pcr", json_object_new_int((int)report->cap), error);
    if (!r)
        r = json_add(object, "done", json_object_new_boolean(report->cap_done), error);
    return r;
}

static int volumes_to_json(struct json_object *document, const struct report *report, struct error *error)
{
    struct json_object *list = json_object_new_array();
    int r = json_add(document, "volumes", list, error);

    for (size_t i = 0; !r && i < report->volume_count; i++)
        r = volume_to_json(list, &report->volumes[i], error);
    return r;
}

int report_write(const char *path, const struct report *report, struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    static const struct object_name no_index;
    char id[BOOT_ID_MAX];
    int r = document ? boot_id(id, error) : error_no_memory(error);

    if (!r)
        r = json_add(document, "version", json_object_new_int(REPORT_VERSION), error);
    if (!r)
        r = json_add(document, "boot_id", json_object_new_string(id), error);
    if (!r && !object_name_equal(&report->index, &no_index))
        r = json_add(document, "index", json_new_hex(report->index.bytes, NAME_BYTES), error);
    if (!r && report->values.mask)
        r = json_add(document, "bank", json_object_new_string(hash_name(report->values.bank)), error);
    if (!r)
        r = values_to_json(document, &report->values, error);
    if (!r)
        r = cap_to_json(document, report, error);
    if (!r)
        r = add_text_or_null(document, "tpm", report->tpm_error, error);
    if (!r)
        r = volumes_to_json(document, report, error);
    return r ? r : json_write(path, document, 0600, error);
}

static int values_from_json(const struct json_view *view, struct pcr_values *ret, struct error *error)
{
    struct json_view object;
    char number[4];
    int r = json_get_hash(view, "bank", &ret->bank, error);

    if (!r)
        r = json_get_object(view, "pcrs", &object, error);
    for (unsigned i = 0; !r && i < PCR_COUNT; i++) {
        snprintf(number, sizeof(number), "%u", i);
        if (!json_has(&object, number))
            continue;
        r = json_get_hex(&object, number, ret->value[i], hash_size(ret->bank), error);
        ret->mask |= 1u << i;
    }
    return r;
}

int report_read_document(const char *path, struct json_view *view, struct json_object **ret, struct error *error)
{
    const char *written_id;
    int64_t version;
    char id[BOOT_ID_MAX];
    int r = file_check_private(path, error);

    *view = (struct json_view){ .source = path, .kind = ERROR_METADATA };
    if (!r)
        r = json_read(view, ret, error);
    if (!r)
        r = json_get_integer(view, "version", REPORT_VERSION, REPORT_VERSION, &version, error);
    if (!r)
        r = json_get_string(view, "boot_id", BOOT_ID_MAX, &written_id, error);
    if (!r)
        r = boot_id(id, error);
    if (!r && strcmp(id, written_id) != 0)
        r = error_set(error, ERROR_FAILED, "\"%s\" was written in another boot", path);
    return r;
}

int report_read_values(const char *path, struct report *ret, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view, cap;
    int64_t pcr;
    int r = report_read_document(path, &view, &document, error);

    *ret = (struct report){ 0 };
    if (!r && json_has(&view, "bank"))
        r = values_from_json(&view, &ret->values, error);
    if (!r)
        r = json_get_object(&view, "cap", &cap, error);
    if (!r)
        r = json_get_integer(&cap, "pcr", 0, PCR_COUNT - 1, &pcr, error);
    if (!r)
        r = json_get_bool(&cap, "done", &ret->cap_done, error);
    if (!r)
        ret->cap = (unsigned)pcr;
    return r;
}

static int volume_from_json(const struct json_view *view, struct report_volume *ret, struct error *error)
{
    const char *by = "";
    int r = json_get_text(view, "uuid", ret->uuid, sizeof(ret->uuid), error);

    if (!r)
        r = json_get_bool(view, "opened", &ret->opened, error);
    if (!r && ret->opened)
        r = json_get_string(view, "by", 64, &by, error);
    if (r)
        return r;
    ret->by_recovery = strcmp(by, BY_RECOVERY) == 0;
    return 0;
}

int report_read_opened(const char *path, struct report *ret, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view, list, volume;
    int r = report_read_document(path, &view, &document, error);

    *ret = (struct report){ 0 };
    if (!r)
        r = json_get_array(&view, "volumes", PINS_MAX_VOLUMES, &list, error);
    for (size_t i = 0; !r && i < json_object_array_length(list.object); i++) {
        r = json_array_object(&list, "volumes", i, &volume, error);
        if (!r)
            r = volume_from_json(&volume, &ret->volumes[i], error);
        if (!r)
            ret->volume_count = i + 1;
    }
    return r;
}

/* A string that may be null. */
static int read_text(const struct json_view *view, const char *key, char *ret, size_t size, struct error *error)
{
    struct json_object *value;

    ret[0] = '\0';
    if (json_object_object_get_ex(view->object, key, &value) && !value)
        return 0;
    return json_get_text(view, key, ret, size, error);
}

/* A number that may be null, or not there: the report may be of an older program. */
static int read_operator(const struct json_view *view, unsigned *ret, struct error *error)
{
    struct json_object *value;
    int64_t number = 0;
    int r = 0;

    if (json_object_object_get_ex(view->object, "operator", &value) && value)
        r = json_get_integer(view, "operator", 1, PROTECTOR_OPERATOR_MAX, &number, error);
    *ret = (unsigned)number;
    return r;
}

static int opening_from_json(const struct json_view *volume, struct report_opening *ret, struct error *error)
{
    int64_t wrong_pins;
    int r = json_get_bool(volume, "opened", &ret->opened, error);

    r = r ?: read_text(volume, "by", ret->by, sizeof(ret->by), error);
    r = r ?: read_operator(volume, &ret->operator_number, error);
    if (!r && json_has(volume, "suspended"))
        r = json_get_bool(volume, "suspended", &ret->suspended, error);
    r = r ?: read_text(volume, "reason", ret->reason, sizeof(ret->reason), error);
    r = r ?: json_get_integer(volume, "wrong_pins", 0, INT32_MAX, &wrong_pins, error);
    ret->known = !r;
    if (!r)
        ret->wrong_pins = (unsigned)wrong_pins;
    return r;
}

int report_read_opening(const char *path, const char *uuid, struct report_opening *ret, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view, list, volume;
    int r = report_read_document(path, &view, &document, error);

    *ret = (struct report_opening){ 0 };
    r = r ?: json_get_array(&view, "volumes", PINS_MAX_VOLUMES, &list, error);
    for (size_t i = 0; !r && !ret->known && i < json_object_array_length(list.object); i++) {
        const char *written;

        r = json_array_object(&list, "volumes", i, &volume, error);
        r = r ?: json_get_string(&volume, "uuid", VOLUME_UUID_TEXT - 1, &written, error);
        if (!r && strcmp(written, uuid) == 0)
            r = opening_from_json(&volume, ret, error);
    }
    return r;
}

static int opened_by_tpm(const struct json_view *volumes, size_t i, bool *ret, struct error *error)
{
    struct report_opening opening = { 0 };
    struct json_view volume;
    int r = json_array_object(volumes, "volumes", i, &volume, error);

    r = r ?: opening_from_json(&volume, &opening, error);
    *ret = !r && opening.opened && strcmp(opening.by, BY_RECOVERY) != 0;
    return r;
}

int report_read_index(const char *path, struct object_name *ret, bool *ret_opened, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view, list;
    bool all = false, opened = true;
    int r = report_read_document(path, &view, &document, error);

    r = r ?: json_get_hex(&view, "index", ret->bytes, sizeof(ret->bytes), error);
    r = r ?: json_get_array(&view, "volumes", PINS_MAX_VOLUMES, &list, error);
    for (size_t i = 0; !r && opened && i < json_object_array_length(list.object); i++) {
        r = opened_by_tpm(&list, i, &opened, error);
        all = opened;
    }
    *ret_opened = !r && all;
    return r;
}
