#include "policy/value-table.h"

#include "base/cleanup.h"
#include "base/encode.h"

#include <string.h>

void value_table_free(struct value_table *table)
{
    free(table->values);
    *table = (struct value_table){ 0 };
}

int value_table_place(struct value_table *table, const uint8_t *value, size_t *ret, struct error *error)
{
    size_t size = hash_size(table->bank);
    void *grown;

    for (*ret = 0; *ret < table->count; ++*ret)
        if (memcmp(table->values[*ret], value, size) == 0)
            return 0;
    grown = reallocarray(table->values, table->count + 1, sizeof(*table->values));
    if (!grown)
        return error_no_memory(error);
    table->values = grown;
    memcpy(table->values[table->count++], value, size);
    return 0;
}

int value_table_to_json(const struct value_table *table, struct json_object **ret, struct error *error)
{
    cleanup(json_free) struct json_object *list = json_object_new_array();
    int r = list ? 0 : error_no_memory(error);

    for (size_t i = 0; !r && i < table->count; i++)
        r = json_append(list, json_new_hex(table->values[i], hash_size(table->bank)), error);
    if (!r)
        *ret = take_ptr(list);
    return r;
}

bool value_from_json(struct json_object *value, void *ret, size_t size)
{
    /* the length is asked for because a NUL inside would end the text for hex_decode() */
    return json_object_is_type(value, json_type_string) &&
           (size_t)json_object_get_string_len(value) == HEX_TEXT(size) - 1 &&
           hex_decode(json_object_get_string(value), ret, size);
}

int value_table_from_json(struct value_table *table, const struct json_view *view, struct error *error)
{
    size_t size = hash_size(table->bank), count;
    struct json_view list;
    int r = json_get_array(view, "values", VALUE_TABLE_MAX, &list, error);

    if (r)
        return r;
    count = json_object_array_length(list.object);
    table->values = calloc(count ? count : 1, sizeof(*table->values));
    if (!table->values)
        return error_no_memory(error);
    for (; table->count < count; table->count++) {
        struct json_object *value = json_object_array_get_idx(list.object, table->count);

        if (!value_from_json(value, table->values[table->count], size))
            return json_fault(&list, "values", error, "element %zu must be %zu bytes in hexadecimal", table->count,
                              size);
    }
    return 0;
}
