#include "measure/predict/mok-request.h"

#include "base/cleanup.h"
#include "measure/signature-list.h"

#include <string.h>

#define KEYS "MokListRT"
#define NEW_KEYS "MokNew"
#define PASSWORD "MokAuth" /* of the request for new keys */

#define LIST_HEADER_BYTES 28
#define OWNER_BYTES 16
#define EMPTY_BYTES (LIST_HEADER_BYTES + OWNER_BYTES + DIGEST_BYTES)

/* The variables at which shim starts MokManager. */
static const char *const requests[] = { NEW_KEYS, "MokDel",  "MokSB",   "MokPW",   "MokDB",
                                        PASSWORD, "MokXNew", "MokXDel", "MokXAuth" };

static int read_shims(const char *folder, const struct firmware_variable_list *changed, const char *name,
                      struct firmware_variable *ret, bool *ret_found, struct error *error)
{
    return firmware_variable_read(folder, changed, vendor_shim, name, ret, ret_found, error);
}

static bool is_import(const char *name)
{
    return strcmp(name, NEW_KEYS) == 0 || strcmp(name, PASSWORD) == 0;
}

/* What MokManager can enrol: lists of keys, with the password that it will ask for, where shim shows the keys that it
 * has. */
static int check_import(const char *folder, const struct firmware_variable_list *changed, bool *ret,
                        struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable keys = { 0 }, new_keys = { 0 }, password = { 0 };
    bool has_keys, has_new_keys, has_password;
    int r = read_shims(folder, changed, KEYS, &keys, &has_keys, error);

    r = r ?: read_shims(folder, changed, NEW_KEYS, &new_keys, &has_new_keys, error);
    r = r ?: read_shims(folder, changed, PASSWORD, &password, &has_password, error);
    *ret = !r && has_keys && has_new_keys && has_password && new_keys.size > 0 &&
           signature_lists_are_good((struct span){ keys.data, keys.size }) &&
           signature_lists_are_good((struct span){ new_keys.data, new_keys.size });
    return r;
}

int mok_request_read(const char *folder, const struct firmware_variable_list *changed, enum mok_request *ret,
                     const char **ret_name, struct error *error)
{
    bool good = false;
    int r = 0;

    *ret = MOK_REQUEST_NONE;
    *ret_name = NULL;
    for (size_t i = 0; !r && folder && *ret != MOK_REQUEST_OTHER && i < array_size(requests); i++) {
        cleanup(firmware_variable_free) struct firmware_variable request = { 0 };
        bool found;

        r = read_shims(folder, changed, requests[i], &request, &found, error);
        if (r || !found)
            continue;
        if (!*ret_name || !is_import(requests[i]))
            *ret_name = requests[i];
        *ret = is_import(requests[i]) ? MOK_REQUEST_IMPORT : MOK_REQUEST_OTHER;
    }
    if (!r && *ret == MOK_REQUEST_IMPORT)
        r = check_import(folder, changed, &good, error);
    if (*ret == MOK_REQUEST_IMPORT && !good)
        *ret = MOK_REQUEST_OTHER;
    return r;
}

static bool is_empty(const struct firmware_variable *keys)
{
    static const uint8_t nothing[DIGEST_BYTES];

    return keys->size == EMPTY_BYTES && memcmp(keys->data + EMPTY_BYTES - DIGEST_BYTES, nothing, DIGEST_BYTES) == 0;
}

/* MokListRT with the new keys. */
static int enrol(const char *folder, struct firmware_variable_list *changed, struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable keys = { 0 }, new_keys = { 0 };
    bool ignored;
    uint8_t *data;
    int r = read_shims(folder, changed, KEYS, &keys, &ignored, error);

    r = r ?: read_shims(folder, changed, NEW_KEYS, &new_keys, &ignored, error);
    if (r)
        return r;
    if (is_empty(&keys))
        keys.size = 0;
    data = realloc(keys.data, keys.size + new_keys.size);
    if (!data)
        return error_no_memory(error);
    memcpy(data + keys.size, new_keys.data, new_keys.size);
    keys.data = data;
    keys.size += new_keys.size;
    return firmware_variable_list_set(changed, &keys, error);
}

int mok_request_answer(const char *folder, bool enrolled, struct firmware_variable_list *changed, struct error *error)
{
    int r = enrolled ? enrol(folder, changed, error) : 0;

    r = r ?: firmware_variable_list_remove(changed, vendor_shim, NEW_KEYS, error);
    return r ?: firmware_variable_list_remove(changed, vendor_shim, PASSWORD, error);
}
