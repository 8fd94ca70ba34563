/*
 * EFI variables as they are measured: UEFI_VARIABLE_DATA (TCG PC Client Platform Firmware Profile 1.06, 10.4.2.5), and
 * what those that matter to a boot hold.
 */
#pragma once

#include "base/hash.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define VARIABLE_NAME_MAX 64 /* characters; the longest that is known has 20 */

struct efi_variable {
    const uint8_t *vendor;            /* a GUID's 16 bytes */
    char name[8 * VARIABLE_NAME_MAX]; /* UTF-8, fit to be shown */
    struct span data;
};

/* False when the bytes are no UEFI_VARIABLE_DATA. What is left after the data is ignored: some firmware pads. */
bool efi_variable_parse(struct span bytes, struct efi_variable *ret);

/* True for the variables that hold lists of keys: PK, KEK, db, dbx and their like, of their own vendors. */
bool efi_variable_is_key_list(const struct efi_variable *variable);

/* True for SecureBoot itself. */
bool efi_variable_is_secure_boot(const struct efi_variable *variable);

/* True when shim keeps it. */
bool efi_variable_is_shims(const struct efi_variable *variable);

/* Writes what the variable says in words: "on", "3 certificates (…), 2 hashes", a boot entry's name and path. */
void efi_variable_put(FILE *stream, const struct efi_variable *variable);

/* Writes what an authority event says (PFP 10.4.2.6): the one certificate or hash; SbatLevel's text. */
void efi_variable_put_authority(FILE *stream, const struct efi_variable *variable);
