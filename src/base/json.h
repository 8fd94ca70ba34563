/*
 * Reading JSON that nobody vouches for. A view is an object together with where it came from and what kind of error a
 * fault in it is; each getter checks presence, type and range and names file, key and rule when one does not hold.
 *
 * Ownership: views and what getters return are borrowed from the document, which json_parse() and json_read() hand to
 * the caller (cleanup(json_free)). Writing is json-c's own interface; json_add() is the one helper, since an allocation
 * that fails there must not be forgotten.
 */
#pragma once

#include "base/error.h"
#include "base/hash.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_BYTES (1024 * 1024) /* our largest document is a list of approvals, some KiB */
#define JSON_MAX_DEPTH 16

struct json_view {
    struct json_object *object;
    const char *source;   /* for messages: a path, or "token 3" */
    enum error_kind kind; /* of errors in this document */
};

void json_free(struct json_object **object);

/* Parses exactly one JSON object. Anything else, trailing text, or nesting past JSON_MAX_DEPTH: an error of
 * source->kind. On success the caller owns *ret, and source->object is set to it. */
int json_parse(const char *text, struct json_view *source, struct json_object **ret, struct error *error);

/* json_parse() on a file of at most JSON_MAX_BYTES. source->source is the path. */
int json_read(struct json_view *source, struct json_object **ret, struct error *error);

/* ERROR when the object has a key that is not in the NULL-terminated list. */
int json_check_keys(const struct json_view *view, const char *const *allowed, struct error *error);

bool json_has(const struct json_view *view, const char *key);

/* Strings: at most `max` bytes, no NUL inside. */
int json_get_string(const struct json_view *view, const char *key, size_t max, const char **ret, struct error *error);

/* The same, copied into `ret`, which has `size` bytes with the NUL; left alone on an error. */
int json_get_text(const struct json_view *view, const char *key, char *ret, size_t size, struct error *error);

int json_get_integer(const struct json_view *view, const char *key, int64_t min, int64_t max, int64_t *ret,
                     struct error *error);
int json_get_bool(const struct json_view *view, const char *key, bool *ret, struct error *error);

/* Exactly `size` bytes in hexadecimal. */
int json_get_hex(const struct json_view *view, const char *key, void *ret, size_t size, struct error *error);

/* At least one and at most `max` bytes in base64. */
int json_get_base64(const struct json_view *view, const char *key, void *ret, size_t max, size_t *ret_size,
                    struct error *error);

/* A hash algorithm by its name: "sha256". */
int json_get_hash(const struct json_view *view, const char *key, enum hash_algorithm *ret, struct error *error);

/* The object or array under the key, as a view with the same source; an array has at most `max` elements. */
int json_get_object(const struct json_view *view, const char *key, struct json_view *ret, struct error *error);
int json_get_array(const struct json_view *view, const char *key, size_t max, struct json_view *ret,
                   struct error *error);

/* Element i of an array view, which must be an object, as a view; `key` is the array's name, for messages. */
int json_array_object(const struct json_view *array, const char *key, size_t i, struct json_view *ret,
                      struct error *error);

/* For rules that a getter cannot know: `source: "key": text`, of the document's kind. */
int json_fault(const struct json_view *view, const char *key, struct error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds `value` (which is taken over, also on failure) under the key. A NULL value is a failed allocation. */
int json_add(struct json_object *object, const char *key, struct json_object *value, struct error *error);

/* json_add() with a text, with null, and with null where the text is empty or NULL. */
int json_add_text(struct json_object *object, const char *key, const char *text, struct error *error);
int json_add_null(struct json_object *object, const char *key, struct error *error);
int json_add_text_or_null(struct json_object *object, const char *key, const char *text, struct error *error);

/* Adds to the end of an array, in the same way as json_add(). */
int json_append(struct json_object *array, struct json_object *value, struct error *error);

/* A new JSON string with the bytes in hexadecimal or base64; NULL when memory is short. Not for secrets. */
struct json_object *json_new_hex(const void *bytes, size_t size);
struct json_object *json_new_base64(const void *bytes, size_t size);

/* Writes the document, indented, atomically (file_write()). */
int json_write(const char *path, struct json_object *object, unsigned mode, struct error *error);

/* For clang's analyzer, as in error.h. */
#if defined(__clang_analyzer__) && !defined(JSON_IMPLEMENTATION)
#define json_fault(...) (json_fault(__VA_ARGS__), (int)ERROR_METADATA)
#endif
