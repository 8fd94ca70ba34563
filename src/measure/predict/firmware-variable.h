/*
 * The firmware's variables as the running system shows them (efivarfs: a file NAME-GUID with four bytes of attributes
 * and then the data), and as they will be measured.
 */
#pragma once

#include "base/hash.h"

#include <stdbool.h>

#define FIRMWARE_VARIABLES "/sys/firmware/efi/efivars"
#define FIRMWARE_VARIABLE_MAX_BYTES (1024 * 1024) /* a dbx has some 25 KiB */
#define FIRMWARE_VARIABLES_MAX 16                 /* in a list */

/* The vendors of the variables that matter, as GUIDs' 16 bytes (UEFI 2.10: 3.3, 32.6.1; shim; systemd). */
extern const uint8_t vendor_global[16], vendor_database[16], vendor_shim[16], vendor_loader[16];

struct firmware_variable {
    uint8_t vendor[16];
    char *name; /* ASCII */
    uint32_t attributes;
    uint8_t *data;
    size_t size;
    bool gone; /* in a list of what will change: there will be none of that name */
};

struct firmware_variable_list {
    struct firmware_variable items[FIRMWARE_VARIABLES_MAX];
    size_t count;
};

/* Reads one from `folder`, or from `changed` (may be NULL) when that says something of it. *ret_found is false, and the
 * variable has no data, when there is none. A file that cannot be read or is no such file: ERROR_FAILED. */
int firmware_variable_read(const char *folder, const struct firmware_variable_list *changed, const uint8_t *vendor,
                           const char *name, struct firmware_variable *ret, bool *ret_found, struct error *error);

void firmware_variable_free(struct firmware_variable *variable);
void firmware_variable_list_free(struct firmware_variable_list *list);

/* Puts a variable into the list, in the place of one of the same name; the list takes its memory over. */
int firmware_variable_list_set(struct firmware_variable_list *list, struct firmware_variable *variable,
                               struct error *error);

/* Puts into the list that there will be no such variable. */
int firmware_variable_list_remove(struct firmware_variable_list *list, const uint8_t *vendor, const char *name,
                                  struct error *error);

/* The list's variable of that name, borrowed; NULL: it says nothing of one. `list` may be NULL. */
const struct firmware_variable *firmware_variable_list_find(const struct firmware_variable_list *list,
                                                            const uint8_t *vendor, const char *name);

/* Makes `ret`, which is empty, a copy. On an error it stays empty. */
int firmware_variable_list_copy(const struct firmware_variable_list *list, struct firmware_variable_list *ret,
                                struct error *error);

/* UEFI_VARIABLE_DATA (TCG PC Client Platform Firmware Profile 1.06, 10.4.2.5), which the caller frees: what is measured
 * of a variable. */
int firmware_variable_measured(const uint8_t *vendor, const char *name, struct span data, uint8_t **ret,
                               size_t *ret_size, struct error *error);
