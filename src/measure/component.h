/*
 * What an event stands for, in words: which component of the boot was measured, and what the log says that it held.
 * "the initrd /boot/initrd.img-6.1.0-50-amd64"; "kernel command line", with "root=/dev/sda1 quiet".
 *
 * The words come from the log's data, which nothing proves but what event-check.h says. Reading is total: an event
 * whose data is not as the specifications have it becomes COMPONENT_OTHER under its type's name.
 */
#pragma once

#include "measure/event-log.h"

#include <stdio.h>

enum component_kind {
    COMPONENT_OTHER,
    COMPONENT_NOTE,      /* EV_NO_ACTION: said, not measured */
    COMPONENT_SEPARATOR, /* the end of the firmware's own part of a PCR; value: "" or "error" */
    COMPONENT_FIRMWARE,
    COMPONENT_FIRMWARE_SETTING,
    COMPONENT_DRIVER,
    COMPONENT_BOOT_STEP, /* the firmware starts a boot entry, or comes back from it */
    COMPONENT_PARTITION_TABLE,
    COMPONENT_SECURE_BOOT, /* value: "on" or "off" */
    COMPONENT_KEY_LIST,    /* PK, KEK, db, dbx */
    COMPONENT_AUTHORITY,   /* what a program was verified by; shim's SbatLevel */
    COMPONENT_OWNER_KEYS,  /* shim's MokList and its like */
    COMPONENT_PROGRAM,     /* an EFI application: boot loader or kernel image; value: its whole device path */
    COMPONENT_LOADER_CONFIGURATION,
    COMPONENT_GRUB_COMMAND, /* name: the command; value: all of it */
    COMPONENT_MENU_ENTRY,   /* GRUB's; value: its body */
    COMPONENT_BOOT_FILE,    /* a file that GRUB read and of which nothing more is known */
    COMPONENT_KERNEL,
    COMPONENT_KERNEL_COMMAND_LINE, /* value: the command line */
    COMPONENT_LOAD_OPTIONS,        /* the command line as the kernel's EFI stub measures it: no text */
    COMPONENT_INITRD,
    COMPONENT_IMAGE_SECTION, /* of a unified kernel image */
    COMPONENT_EXTENSION,     /* system extensions, credentials and their like beside a unified kernel image */
    COMPONENT_KIND_COUNT,
};

struct component {
    enum component_kind kind;
    char *name;  /* "" when the kind says it all */
    char *value; /* "" when the log does not say */
};

struct component_list {
    struct component *items; /* as many, and in the same order, as the log's events */
    size_t count;
};

/* Reads all events. An error is short memory alone. */
int component_list_read(const struct event_log *log, struct component_list *ret, struct error *error);

void component_list_free(struct component_list *list);

/* A stable word for JSON: "kernel-command-line". */
const char *component_kind_name(enum component_kind kind);

/* Writes kind and name: "the initrd /boot/initrd.img". */
void component_put_subject(FILE *stream, const struct component *component);

/* Writes subject and value, "Secure Boot: on"; of a menu entry not the body, and nothing twice. */
void component_put(FILE *stream, const struct component *component);
