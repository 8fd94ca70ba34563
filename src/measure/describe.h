/*
 * Within src/measure: the readers of events of one sort that component.c chooses between. Each writes name and value of
 * a component to the streams and sets its kind; false when the data is not as it should be, and then what was written
 * counts for nothing.
 */
#pragma once

#include "measure/component.h"

/* What events before this one told: GRUB names its kernel and initrd in commands, and then measures files. */
struct description {
    enum component_kind kind;
    FILE *name, *value;
    const char *kernel; /* the last kernel that GRUB was told to load, "" when there is none */
    const char *initrd; /* the arguments of its last initrd command */
};

/* Firmware: EFI variables, drivers and programs, partition tables, versions, steps. */
bool describe_firmware_event(const struct event *event, struct description *ret);

/* EV_IPL: what GRUB, shim, systemd-boot and systemd-stub measure. */
bool describe_ipl_event(const struct event *event, struct description *ret);

/* EV_EVENT_TAG: what the kernel's EFI stub, systemd-boot and systemd-stub measure. */
bool describe_tagged_event(const struct event *event, struct description *ret);

/* The text of GRUB's command in the event, without the prefix; false when it is none. */
bool grub_command_text(const struct event *event, struct span *ret);

/* True for names that distributions give to kernels; and to initrds. Of the path only the last part counts. */
bool looks_like_kernel(const char *path);
bool looks_like_initrd(const char *path);
