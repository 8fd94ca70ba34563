/*
 * By which way a machine booted, from what its event log has: the last stage before the kernel decides. Where there is
 * no log the firmware's variables tell it less surely.
 */
#pragma once

#include "measure/component.h"

enum boot_chain {
    CHAIN_NONE,         /* nothing here that is known: no UEFI, no log, another boot loader */
    CHAIN_UKI,          /* a unified kernel image, by the firmware or any boot loader */
    CHAIN_SYSTEMD_BOOT, /* systemd-boot, kernel and initrd */
    CHAIN_SHIM_GRUB,    /* shim, GRUB */
    CHAIN_GRUB,         /* GRUB without shim */
    CHAIN_KERNEL,       /* the firmware starts a kernel with EFI stub */
};

enum boot_chain boot_chain_detect(const struct event_log *log, const struct component_list *components);

/* A stable word for JSON: "shim-grub". */
const char *boot_chain_name(enum boot_chain chain);

/* The same for people: "shim and GRUB". */
const char *boot_chain_words(enum boot_chain chain);

/*
 * The same from the variables in `folder` (FIRMWARE_VARIABLES): what systemd's stub and boot loader leave there for the
 * system, else the program that the running boot entry (BootCurrent) names. CHAIN_NONE when they do not say; shim alone
 * counts as shim and GRUB when `esp`, where the EFI system partition is mounted, has GRUB beside it (NULL: not looked).
 */
int boot_chain_from_variables(const char *folder, const char *esp, enum boot_chain *ret, struct error *error);
