/*
 * A disk's partition table as it is measured: UEFI_GPT_DATA (TCG PC Client Platform Firmware Profile 1.06, 10.4.4), the
 * table's header and its entries that are in use (UEFI 2.10, 5.3).
 */
#pragma once

#include "base/hash.h"

#include <stdbool.h>
#include <stdio.h>

#define GPT_MAX_PARTITIONS 1024 /* tables have room for 128 */

/* Writes the disk's GUID to `disk` and the partitions to `partitions`, in order: `"boot" (2048 to 264191), "" (…)`.
 * False when the bytes are no such table. */
bool gpt_put(FILE *disk, FILE *partitions, struct span bytes);
