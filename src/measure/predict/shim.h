/*
 * What shim measures of itself and of its own variables before it starts the boot loader.
 */
#pragma once

#include "measure/predict/firmware-variable.h"

/*
 * The contents of SbatLevel as this shim will leave it: the newest of the level in force and the one that it brings
 * (its section .sbatlevel), by SbatPolicy. *ret is freed by the caller; NULL with *ret_reason (a string that stays
 * valid) when it cannot be known. Errors are those of reading.
 */
int shim_sbat_level(const char *shim, const char *variables, const struct firmware_variable_list *changed, char **ret,
                    const char **ret_reason, struct error *error);

/*
 * The lists that this shim brings (its section .vendor_cert), as it puts them before the machine owner's own into
 * MokListRT, and with `revoked` into MokListXRT. *ret is freed by the caller; NULL when there are none.
 */
int shim_vendor_lists(const char *shim, bool revoked, uint8_t **ret, size_t *ret_size, struct error *error);
