/*
 * PCR values as an approval's JSON has them: each distinct value once in a list, branches name it by its place. A LUKS2
 * header's room for tokens is small, and boot states differ in a PCR or two.
 */
#pragma once

#include "base/json.h"
#include "base/pcr.h"
#include "policy/approval.h"

#define VALUE_TABLE_MAX (2 * APPROVAL_MAX_BRANCHES * PCR_COUNT) /* the list in force and the next one */

/* Empty but for its bank at the start. */
struct value_table {
    enum hash_algorithm bank;
    uint8_t (*values)[HASH_MAX_BYTES];
    size_t count;
};

void value_table_free(struct value_table *table);

/* The place of a value of hash_size(bank) bytes; it is appended if it is not there yet. */
int value_table_place(struct value_table *table, const uint8_t *value, size_t *ret, struct error *error);

/* A new JSON list with all values in hexadecimal, owned by the caller. */
int value_table_to_json(const struct value_table *table, struct json_object **ret, struct error *error);

/* True when a JSON value is a string of exactly `size` bytes in hexadecimal. */
bool value_from_json(struct json_object *value, void *ret, size_t size);

/* Fills an empty table from the list under "values". */
int value_table_from_json(struct value_table *table, const struct json_view *view, struct error *error);
