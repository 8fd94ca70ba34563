/*
 * The firmware's boot entries: BootOrder, BootNext, BootCurrent and Boot#### (UEFI 2.10, 3.1 and 3.3).
 */
#pragma once

#include "measure/predict/firmware-variable.h"

#define BOOT_OPTIONS_MAX 64

struct boot_option {
    uint16_t number;
    bool active, application; /* an application, such as the firmware's setup, is not booted by itself */
    char *description;        /* fit to be shown */
    char *file;               /* "\EFI\debian\shimx64.efi"; "" for none */
    char *path;               /* the whole device path as text */
    uint8_t *options;         /* what the program is given */
    size_t options_size;
};

struct boot_options {
    struct boot_option items[BOOT_OPTIONS_MAX]; /* in the order of BootOrder */
    size_t count;
    int next, current; /* numbers; -1: not there */
};

/* Entries that cannot be read are left out. An error is that of reading. */
int boot_options_read(const char *folder, const struct firmware_variable_list *changed, struct boot_options *ret,
                      struct error *error);

void boot_options_free(struct boot_options *options);

/* The entry that the firmware will start: BootNext, or the first of BootOrder that is active and no application. NULL
 * when there is none. */
const struct boot_option *boot_options_next(const struct boot_options *options);

/* The entry of a number; NULL when there is none. */
const struct boot_option *boot_options_find(const struct boot_options *options, int number);
