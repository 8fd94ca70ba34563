/* What `bootseal predict --json` prints; tests/schema/predict.json is its schema. */
#pragma once

#include "measure/predict/predict.h"

#include <json-c/json.h>

struct predict_answer {
    const struct prediction *prediction;
    enum hash_algorithm bank;
    uint32_t pcrs;                           /* those that matter */
    const bool *approved;                    /* of each boot; NULL: nothing is enrolled */
    const struct verification *verification; /* NULL: not asked for */
};

/* Adds "after": what comes before that boot, ["dbx"]. */
int predict_add_after(struct json_object *object, const struct predicted_boot *boot, struct error *error);

int predict_to_json(const struct predict_answer *answer, struct json_object **ret, struct error *error);
