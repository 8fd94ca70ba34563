/* The name under /dev/mapper that a volume has, or will have, when the machine boots. */
#pragma once

#include "base/error.h"

#include <stddef.h>

/*
 * Writes the name into `ret`: `wanted` if it is not NULL, else the active mapping's on this device, else the one that
 * /etc/crypttab gives to its UUID or path, else "luks-UUID". ERROR_USAGE for a name that device-mapper does not take.
 */
int mapper_name_find(const char *device, const char *uuid, const char *wanted, char *ret, size_t size,
                     struct error *error);
