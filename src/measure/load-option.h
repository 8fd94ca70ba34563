/*
 * EFI_LOAD_OPTION (UEFI 2.10, 3.1.3): what a variable such as Boot0001 holds.
 */
#pragma once

#include "base/hash.h"

#include <stdbool.h>
#include <stdint.h>

struct load_option {
    uint32_t attributes;
    struct span description; /* UTF-16: up to its end, and all that follows it */
    struct span path;        /* measure/device-path.h */
    struct span options;     /* for the program that is started */
};

/* The spans are parts of `data`. False when it is no load option. */
bool load_option_parse(struct span data, struct load_option *ret);
