/*
 * `bootseal explain --json`: tests/schema/explain.json has the shape.
 */
#pragma once

#include "measure/compare.h"

#include <json-c/json.h>

/* An event log, read from `path`, and what its events stand for. */
struct explained_log {
    const char *path;
    struct event_log log;
    struct component_list components;
};

/* `before` and `comparison` are NULL when there is nothing to compare with. The caller frees *ret. */
int explain_to_json(const struct explained_log *explained, const struct explained_log *before,
                    const struct comparison *comparison, struct json_object **ret, struct error *error);
