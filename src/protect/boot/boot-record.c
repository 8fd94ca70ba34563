#include "protect/boot/boot-record.h"

#include "base/cleanup.h"

#include <string.h>

/* The text under a key into `ret`; an empty one when it is missing or null. */
static int read_text(const struct json_view *view, const char *key, char *ret, size_t size, struct error *error)
{
    struct json_object *value = NULL;

    ret[0] = '\0';
    if (!json_object_object_get_ex(view->object, key, &value) || !value)
        return 0;
    return json_get_text(view, key, ret, size, error);
}

/* The number under a key; 0 when it is missing or null, the largest when it is too large. */
static int read_count(const struct json_view *view, const char *key, unsigned *ret, struct error *error)
{
    struct json_object *value = NULL;
    int64_t number = 0;
    int r = 0;

    if (json_object_object_get_ex(view->object, key, &value) && value)
        r = json_get_integer(view, key, 0, INT64_MAX, &number, error);

    *ret = number > UINT32_MAX ? UINT32_MAX : (unsigned)number;
    return r;
}

static int read_volume(const struct json_view *view, struct boot_volume *ret, struct error *error)
{
    int64_t status = 0;
    int r = read_text(view, "name", ret->name, sizeof(ret->name), error);

    if (!r)
        r = read_text(view, "uuid", ret->uuid, sizeof(ret->uuid), error);
    if (!r)
        r = json_get_bool(view, "opened", &ret->opened, error);
    if (!r)
        r = read_text(view, "by", ret->by, sizeof(ret->by), error);
    if (!r)
        r = read_text(view, "protector", ret->protector, sizeof(ret->protector), error);
    if (!r)
        r = read_count(view, "operator", &ret->operator_number, error);
    if (!r && json_has(view, "suspended"))
        r = json_get_bool(view, "suspended", &ret->suspended, error);
    if (!r)
        r = read_text(view, "recovery_id", ret->recovery_id, sizeof(ret->recovery_id), error);
    if (!r && json_has(view, "status"))
        r = json_get_integer(view, "status", ERROR_NONE, ERROR_REFUSED, &status, error);
    if (!r)
        r = read_text(view, "reason", ret->reason, sizeof(ret->reason), error);
    if (!r)
        r = read_count(view, "wrong_pins", &ret->wrong_pins, error);
    if (!r)
        r = read_count(view, "milliseconds", &ret->milliseconds, error);
    ret->status = (enum error_kind)status;
    return r;
}

static int read_volumes(const struct json_view *view, struct boot_record *ret, struct error *error)
{
    struct json_view list, volume;
    int r = json_get_array(view, "volumes", PINS_MAX_VOLUMES, &list, error);

    for (size_t i = 0; !r && i < json_object_array_length(list.object); i++) {
        r = json_array_object(&list, "volumes", i, &volume, error);
        if (!r)
            r = read_volume(&volume, &ret->volumes[i], error);
        ret->volume_count = i + 1;
    }
    return r;
}

int boot_record_read(const char *report_path, struct boot_record *ret, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    cleanup(free_ptr) struct report *report = calloc(1, sizeof(*report));
    struct json_view view;
    int r = report ? report_read_document(report_path, &view, &document, error) : error_no_memory(error);

    *ret = (struct boot_record){ 0 };
    if (!r)
        r = read_text(&view, "boot_id", ret->boot_id, sizeof(ret->boot_id), error);
    if (!r)
        r = read_text(&view, "tpm", ret->tpm_error, sizeof(ret->tpm_error), error);
    if (!r)
        r = read_volumes(&view, ret, error);
    if (!r)
        r = report_read_values(report_path, report, error);
    if (r)
        return r;
    ret->values = report->values;
    ret->cap = report->cap;
    ret->cap_done = report->cap_done;
    return 0;
}

bool boot_record_has_pin(const struct boot_record *record)
{
    for (size_t i = 0; i < record->volume_count; i++)
        if (record->volumes[i].opened && strcmp(record->volumes[i].by, "tpm2-pin") == 0)
            return true;
    return false;
}

bool boot_record_is_suspended(const struct boot_record *record)
{
    for (size_t i = 0; i < record->volume_count; i++)
        if (record->volumes[i].opened && record->volumes[i].suspended)
            return true;
    return false;
}
