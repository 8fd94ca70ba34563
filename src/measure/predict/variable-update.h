/*
 * Updates of db, dbx, KEK and PK as they come in files (UEFI revocation lists, fwupd): EFI_VARIABLE_AUTHENTICATION_2
 * and the signature lists (UEFI 2.10, 8.2.2 and 32.4.1). Whether the firmware will take the update is for the firmware
 * to say: its signature is not verified here. The state without the update stays possible, and is to be approved as
 * well.
 */
#pragma once

#include "measure/predict/firmware-variable.h"

#define VARIABLE_UPDATE_MAX_BYTES (1024 * 1024)

/* 0 when the bytes are an update of that variable, for this way of writing it; else ERROR_METADATA. */
int variable_update_check(const char *name, struct span update, bool append, struct error *error);

/*
 * The variable as it will be. Before the update may stand four bytes of attributes, as in a file that is written to
 * efivarfs; they must say the same as `append`. With `append` (fwupd and efi-updatevar -a), lists are put at the end,
 * less each signature that the variable has already, as the firmware does it; without, they take its place.
 * ERROR_METADATA when the bytes are no such update.
 */
int variable_update_apply(const struct firmware_variable *before, struct span update, bool append,
                          struct firmware_variable *ret, struct error *error);
