/*
 * PCR values as JSON: { "0": "hex", "7": "hex", … }, of a bank that is told elsewhere.
 */
#pragma once

#include "base/json.h"
#include "base/pcr.h"

/* Adds an object with the values under the key. */
int pcr_values_to_json(struct json_object *object, const char *key, const struct pcr_values *values,
                       struct error *error);

/* Reads it; keys that are no PCR are left aside. */
int pcr_values_from_json(const struct json_view *view, const char *key, enum hash_algorithm bank,
                         struct pcr_values *ret, struct error *error);
