#define JSON_IMPLEMENTATION
#include "base/json.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"

#include <stdarg.h>
#include <string.h>

static void free_tokener(struct json_tokener **tokener)
{
    if (*tokener)
        json_tokener_free(*tokener);
}

void json_free(struct json_object **object)
{
    if (*object)
        json_object_put(*object);
}

int json_fault(const struct json_view *view, const char *key, struct error *error, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(error, view->kind, "%s: \"%s\": %s", view->source, key, text);
}

int json_parse(const char *text, struct json_view *source, struct json_object **ret, struct error *error)
{
    cleanup(free_tokener) struct json_tokener *tokener = json_tokener_new_ex(JSON_MAX_DEPTH);
    cleanup(json_free) struct json_object *object = NULL;
    size_t length = strlen(text);

    if (!tokener)
        return error_no_memory(error);
    if (length > JSON_MAX_BYTES)
        return error_set(error, source->kind, "%s: more than %d bytes", source->source, JSON_MAX_BYTES);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    object = json_tokener_parse_ex(tokener, text, (int)length + 1);
    if (!object || !json_object_is_type(object, json_type_object)) {
        enum json_tokener_error fault = json_tokener_get_error(tokener);

        return error_set(error, source->kind, "%s: not a JSON object: %s, at byte %zu", source->source,
                         fault == json_tokener_success ? "another type" : json_tokener_error_desc(fault),
                         json_tokener_get_parse_end(tokener));
    }
    source->object = object;
    *ret = take_ptr(object);
    return 0;
}

int json_read(struct json_view *source, struct json_object **ret, struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    size_t size;
    int r = file_read(source->source, JSON_MAX_BYTES, &text, &size, error);

    if (r)
        return r;
    if (strlen(text) != size)
        return error_set(error, source->kind, "%s: has a NUL byte", source->source);
    return json_parse(text, source, ret, error);
}

int json_check_keys(const struct json_view *view, const char *const *allowed, struct error *error)
{
    json_object_object_foreach(view->object, key, value)
    {
        const char *const *name = allowed;

        (void)value;
        while (*name && strcmp(*name, key) != 0)
            name++;
        if (!*name)
            return json_fault(view, key, error, "unknown key");
    }
    return 0;
}

bool json_has(const struct json_view *view, const char *key)
{
    return json_object_object_get_ex(view->object, key, NULL);
}

static const char *type_words(enum json_type type)
{
    switch (type) {
    case json_type_boolean:
        return "true or false";
    case json_type_int:
        return "a whole number";
    case json_type_string:
        return "a string";
    case json_type_array:
        return "a list";
    case json_type_object:
        return "an object";
    case json_type_null:
    case json_type_double:
    default:
        return "another type";
    }
}

static int get_typed(const struct json_view *view, const char *key, enum json_type type, struct json_object **ret,
                     struct error *error)
{
    if (!json_object_object_get_ex(view->object, key, ret))
        return json_fault(view, key, error, "missing");
    if (!json_object_is_type(*ret, type))
        return json_fault(view, key, error, "must be %s", type_words(type));
    return 0;
}

int json_get_string(const struct json_view *view, const char *key, size_t max, const char **ret, struct error *error)
{
    struct json_object *value;
    int r = get_typed(view, key, json_type_string, &value, error);

    if (r)
        return r;
    if ((size_t)json_object_get_string_len(value) > max)
        return json_fault(view, key, error, "longer than %zu bytes", max);
    *ret = json_object_get_string(value);
    if (strlen(*ret) != (size_t)json_object_get_string_len(value))
        return json_fault(view, key, error, "has a NUL byte");
    return 0;
}

int json_get_text(const struct json_view *view, const char *key, char *ret, size_t size, struct error *error)
{
    const char *text = "";
    int r = json_get_string(view, key, size - 1, &text, error);

    if (!r)
        memcpy(ret, text, strlen(text) + 1);
    return r;
}

int json_get_integer(const struct json_view *view, const char *key, int64_t min, int64_t max, int64_t *ret,
                     struct error *error)
{
    struct json_object *value;
    int r = get_typed(view, key, json_type_int, &value, error);

    if (r)
        return r;
    *ret = json_object_get_int64(value);
    if (*ret < min || *ret > max)
        return json_fault(view, key, error, "%lld is not from %lld to %lld", (long long)*ret, (long long)min,
                          (long long)max);
    return 0;
}

int json_get_bool(const struct json_view *view, const char *key, bool *ret, struct error *error)
{
    struct json_object *value;
    int r = get_typed(view, key, json_type_boolean, &value, error);

    if (!r)
        *ret = json_object_get_boolean(value);
    return r;
}

int json_get_hex(const struct json_view *view, const char *key, void *ret, size_t size, struct error *error)
{
    const char *text = "";
    int r = json_get_string(view, key, JSON_MAX_BYTES, &text, error);

    if (!r && !hex_decode(text, ret, size))
        return json_fault(view, key, error, "must be %zu bytes in hexadecimal", size);
    return r;
}

int json_get_base64(const struct json_view *view, const char *key, void *ret, size_t max, size_t *ret_size,
                    struct error *error)
{
    const char *text = "";
    int r = json_get_string(view, key, JSON_MAX_BYTES, &text, error);

    if (!r && !base64_decode(text, ret, max, ret_size))
        return json_fault(view, key, error, "must be one to %zu bytes in base64", max);
    return r;
}

int json_get_hash(const struct json_view *view, const char *key, enum hash_algorithm *ret, struct error *error)
{
    const char *name = "";
    int r = json_get_string(view, key, 16, &name, error);

    if (r)
        return r;
    *ret = hash_from_name(name);
    return *ret ? 0 : json_fault(view, key, error, "unknown hash algorithm \"%s\"", name);
}

int json_get_object(const struct json_view *view, const char *key, struct json_view *ret, struct error *error)
{
    struct json_object *value;
    int r = get_typed(view, key, json_type_object, &value, error);

    if (!r)
        *ret = (struct json_view){ value, view->source, view->kind };
    return r;
}

int json_get_array(const struct json_view *view, const char *key, size_t max, struct json_view *ret,
                   struct error *error)
{
    struct json_object *value;
    int r = get_typed(view, key, json_type_array, &value, error);

    if (r)
        return r;
    if (json_object_array_length(value) > max)
        return json_fault(view, key, error, "more than %zu elements", max);
    *ret = (struct json_view){ value, view->source, view->kind };
    return 0;
}

int json_array_object(const struct json_view *array, const char *key, size_t i, struct json_view *ret,
                      struct error *error)
{
    struct json_object *value = json_object_array_get_idx(array->object, i);

    if (!json_object_is_type(value, json_type_object))
        return json_fault(array, key, error, "element %zu must be an object", i);
    *ret = (struct json_view){ value, array->source, array->kind };
    return 0;
}

int json_add(struct json_object *object, const char *key, struct json_object *value, struct error *error)
{
    if (!value)
        return error_no_memory(error);
    if (json_object_object_add(object, key, value) < 0) {
        json_object_put(value);
        return error_no_memory(error);
    }
    return 0;
}

int json_add_text(struct json_object *object, const char *key, const char *text, struct error *error)
{
    return json_add(object, key, json_object_new_string(text), error);
}

int json_add_null(struct json_object *object, const char *key, struct error *error)
{
    return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
}

int json_add_text_or_null(struct json_object *object, const char *key, const char *text, struct error *error)
{
    return text && text[0] ? json_add_text(object, key, text, error) : json_add_null(object, key, error);
}

int json_append(struct json_object *array, struct json_object *value, struct error *error)
{
    if (!value)
        return error_no_memory(error);
    if (json_object_array_add(array, value) < 0) {
        json_object_put(value);
        return error_no_memory(error);
    }
    return 0;
}

struct json_object *json_new_hex(const void *bytes, size_t size)
{
    cleanup(free_ptr) char *text = malloc(HEX_TEXT(size));

    if (!text)
        return NULL;
    hex_encode(bytes, size, text);
    return json_object_new_string(text);
}

struct json_object *json_new_base64(const void *bytes, size_t size)
{
    cleanup(free_ptr) char *text = malloc(BASE64_TEXT(size));

    if (!text)
        return NULL;
    base64_encode(bytes, size, text);
    return json_object_new_string(text);
}

int json_write(const char *path, struct json_object *object, unsigned mode, struct error *error)
{
    cleanup(free_ptr) char *line = NULL;
    const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);

    if (!text || asprintf(&line, "%s\n", text) < 0) {
        line = NULL;
        return error_no_memory(error);
    }
    return file_write(path, line, strlen(line), mode, error);
}
