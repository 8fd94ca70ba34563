/* `bootseal status --json`. */
#pragma once

#include "cli/verb.h"
#include "protect/status.h"

int status_to_json(const struct status *status, struct json_object **ret, struct error *error);
