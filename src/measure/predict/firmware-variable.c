#include "measure/predict/firmware-variable.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "base/file.h"
#include "measure/text.h"

#include <string.h>

#define ATTRIBUTE_BYTES 4

const uint8_t vendor_global[16] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                    0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
const uint8_t vendor_database[16] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
                                      0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
const uint8_t vendor_shim[16] = { 0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00, 0x43,
                                  0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23 };
const uint8_t vendor_loader[16] = { 0x82, 0xb0, 0x67, 0x4a, 0x4c, 0x0a, 0xcf, 0x41,
                                    0xb6, 0xc7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f };

void firmware_variable_free(struct firmware_variable *variable)
{
    free(variable->name);
    free(variable->data);
    *variable = (struct firmware_variable){ 0 };
}

void firmware_variable_list_free(struct firmware_variable_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        firmware_variable_free(&list->items[i]);
    list->count = 0;
}

const struct firmware_variable *firmware_variable_list_find(const struct firmware_variable_list *list,
                                                            const uint8_t *vendor, const char *name)
{
    for (size_t i = 0; list && i < list->count; i++)
        if (memcmp(list->items[i].vendor, vendor, GUID_BYTES) == 0 && strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    return NULL;
}

int firmware_variable_list_set(struct firmware_variable_list *list, struct firmware_variable *variable,
                               struct error *error)
{
    const struct firmware_variable *old = firmware_variable_list_find(list, variable->vendor, variable->name);
    struct firmware_variable *place = old ? &list->items[old - list->items] : &list->items[list->count];

    if (!old && list->count == FIRMWARE_VARIABLES_MAX)
        return error_set(error, ERROR_USAGE, "more than %d variables are to change", FIRMWARE_VARIABLES_MAX);
    if (old)
        firmware_variable_free(place);
    else
        list->count++;
    *place = *variable;
    *variable = (struct firmware_variable){ 0 };
    return 0;
}

/* A copy of these parts; nothing of the variable is owned on an error. */
static int make(const uint8_t *vendor, const char *name, uint32_t attributes, struct span data,
                struct firmware_variable *ret, struct error *error)
{
    *ret = (struct firmware_variable){ .attributes = attributes, .size = data.size };
    memcpy(ret->vendor, vendor, GUID_BYTES);
    ret->name = strdup(name);
    ret->data = malloc(data.size + 1);
    if (!ret->name || !ret->data) {
        firmware_variable_free(ret);
        return error_no_memory(error);
    }
    if (data.size)
        memcpy(ret->data, data.bytes, data.size);
    return 0;
}

int firmware_variable_list_remove(struct firmware_variable_list *list, const uint8_t *vendor, const char *name,
                                  struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable variable = { 0 };
    int r = make(vendor, name, 0, (struct span){ NULL, 0 }, &variable, error);

    variable.gone = true;
    return r ?: firmware_variable_list_set(list, &variable, error);
}

int firmware_variable_list_copy(const struct firmware_variable_list *list, struct firmware_variable_list *ret,
                                struct error *error)
{
    int r = 0;

    *ret = (struct firmware_variable_list){ 0 };
    for (; !r && ret->count < list->count; ret->count += !r) {
        const struct firmware_variable *item = &list->items[ret->count];

        r = make(item->vendor, item->name, item->attributes, (struct span){ item->data, item->size },
                 &ret->items[ret->count], error);
        ret->items[ret->count].gone = item->gone;
    }
    if (r)
        firmware_variable_list_free(ret);
    return r;
}

static int read_file(const char *path, const uint8_t *vendor, const char *name, struct firmware_variable *ret,
                     struct error *error)
{
    cleanup(free_ptr) char *bytes = NULL;
    struct cursor cursor;
    uint32_t attributes;
    size_t size;
    int r = file_read(path, FIRMWARE_VARIABLE_MAX_BYTES, &bytes, &size, error);

    if (r)
        return r;
    cursor = cursor_new(bytes, size);
    if (!cursor_u32(&cursor, &attributes))
        return error_set(error, ERROR_FAILED, "\"%s\" is shorter than a firmware variable's attributes", path);
    return make(vendor, name, attributes, cursor_rest(&cursor), ret, error);
}

int firmware_variable_read(const char *folder, const struct firmware_variable_list *changed, const uint8_t *vendor,
                           const char *name, struct firmware_variable *ret, bool *ret_found, struct error *error)
{
    const struct firmware_variable *known = firmware_variable_list_find(changed, vendor, name);
    cleanup(free_ptr) char *path = NULL;
    char guid[GUID_TEXT];

    *ret = (struct firmware_variable){ 0 };
    *ret_found = known && !known->gone;
    if (known && known->gone)
        return 0;
    if (known)
        return make(vendor, name, known->attributes, (struct span){ known->data, known->size }, ret, error);
    if (!folder || strchr(name, '/'))
        return 0;
    guid_format(vendor, guid);
    if (asprintf(&path, "%s/%s-%s", folder, name, guid) < 0) {
        path = NULL;
        return error_no_memory(error);
    }
    *ret_found = file_exists(path);
    return *ret_found ? read_file(path, vendor, name, ret, error) : 0;
}

static void put_u64(uint8_t *bytes, uint64_t number)
{
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
}

int firmware_variable_measured(const uint8_t *vendor, const char *name, struct span data, uint8_t **ret,
                               size_t *ret_size, struct error *error)
{
    size_t length = strlen(name), header = GUID_BYTES + 8 + 8;

    *ret_size = header + 2 * length + data.size;
    *ret = calloc(1, *ret_size);
    if (!*ret)
        return error_no_memory(error);
    memcpy(*ret, vendor, GUID_BYTES);
    put_u64(*ret + GUID_BYTES, length);
    put_u64(*ret + GUID_BYTES + 8, data.size);
    for (size_t i = 0; i < length; i++)
        (*ret)[header + 2 * i] = (uint8_t)name[i];
    if (data.size)
        memcpy(*ret + header + 2 * length, data.bytes, data.size);
    return 0;
}
