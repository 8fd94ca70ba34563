#include "luks/internal.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <libcryptsetup.h>
#include <string.h>

/* What libcryptsetup holds in memory, which is what it would activate. */
int metadata_read(struct volume *volume, struct json_object **ret, struct json_view *ret_view, struct error *error)
{
    const char *text = NULL;
    int code;

    if (volume->stale)
        return error_set(error, ERROR_FAILED, "\"%s\": the header cannot be read again after a failed change",
                         volume->path);
    code = crypt_dump_json(volume_device(volume), &text, 0);
    if (code < 0 || !text)
        return volume_fail(volume, code, error, "cannot read the header's JSON");
    *ret_view = (struct json_view){ .source = "LUKS2 header", .kind = ERROR_METADATA };
    return json_parse(text, ret_view, ret, error);
}

/* "0" to "31", as libcryptsetup writes them; -1 for anything else. */
static int number_of(const char *text)
{
    int number;

    if (!isdigit((unsigned char)text[0]) || (text[0] == '0' && text[1]))
        return -1;
    number = text[0] - '0';
    if (text[1]) {
        if (!isdigit((unsigned char)text[1]) || text[2])
            return -1;
        number = number * 10 + (text[1] - '0');
    }
    return number < VOLUME_MAX_KEYSLOTS ? number : -1;
}

int metadata_numbers(const struct json_view *object, const char *name, uint32_t *ret_mask, struct error *error)
{
    uint32_t mask = 0;

    json_object_object_foreach(object->object, key, value)
    {
        int number = number_of(key);

        (void)value;
        if (number < 0)
            return json_fault(object, name, error, "\"%s\" is not a number from 0 to 31", key);
        mask |= 1u << number;
    }
    *ret_mask = mask;
    return 0;
}

int metadata_item(const struct json_view *metadata, const char *name, int number, struct json_view *ret,
                  struct error *error)
{
    struct json_view items;
    char key[12];
    int r = json_get_object(metadata, name, &items, error);

    if (r)
        return r;
    snprintf(key, sizeof(key), "%d", number);
    return json_get_object(&items, key, ret, error);
}

int metadata_decimal(const struct json_view *view, const char *key, uint64_t *ret, struct error *error)
{
    const char *text;
    uint64_t value = 0;
    int r = json_get_string(view, key, 20, &text, error);

    if (r)
        return r;
    if (!text[0] || (text[0] == '0' && text[1]))
        return json_fault(view, key, error, "must be a number in decimal digits");
    for (const char *p = text; *p; p++) {
        if (!isdigit((unsigned char)*p))
            return json_fault(view, key, error, "must be a number in decimal digits");
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return json_fault(view, key, error, "is too large");
    }
    *ret = value;
    return 0;
}

bool metadata_lists(const struct json_view *array, const char *text)
{
    for (size_t i = 0; i < json_object_array_length(array->object); i++) {
        struct json_object *item = json_object_array_get_idx(array->object, i);

        if (json_object_is_type(item, json_type_string) && strcmp(json_object_get_string(item), text) == 0)
            return true;
    }
    return false;
}
