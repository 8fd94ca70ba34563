/* `bootseal status --json`. */
#pragma once

#include "cli/verb.h"
#include "protect/status/status.h"

int status_to_json(const struct status *status, struct json_object **ret, struct error *error);

/* The TPM's firmware version in the form in which its maker tells it: four decimal numbers, "7.85.4600.0". */
#define STATUS_FIRMWARE_TEXT 24
void status_firmware_format(uint64_t firmware, char ret[STATUS_FIRMWARE_TEXT]);
