/* Results that hold a secret: written to standard output past stdio's buffer, which nobody wipes. */
#pragma once

#include "base/secret.h"

#include <json-c/json.h>
#include <stddef.h>

/* Sets the error of a standard output that takes no more. */
int stdout_failed(struct error *error);

/* Writes the bytes, after what stdio still holds. */
int stdout_write(const void *bytes, size_t size, struct error *error);

/* Writes one JSON document like print_json(), with `secret`, which needs no escaping, in the place of the
 * last `placeholder`, if that is not NULL. */
int stdout_write_json(struct json_object *object, const char *placeholder, const struct secret *secret,
                      struct error *error);
