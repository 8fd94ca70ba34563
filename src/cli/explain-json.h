/*
 * `bootseal explain --json`: tests/schema/explain.json has the shape.
 */
#pragma once

#include "protect/update/boot-changes.h"

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

/* Without --eventlog and --against: the running boot against the approval and the good boot on record. `log_path` is
 * where its event log would be. */
int explain_boot_to_json(const struct boot_changes *changes, const char *log_path, struct json_object **ret,
                         struct error *error);

/* Adds what differs under "differences"; null without a comparison. */
int explain_add_differences(struct json_object *document, const struct comparison *comparison, struct error *error);
