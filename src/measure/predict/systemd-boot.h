/*
 * systemd-boot's menu: which entries it will have (Boot Loader Specification: loader/entries/<id>.conf,
 * EFI/Linux/<id>.efi, of the EFI system partition and of the extended boot loader partition), in which order, which of
 * them boots when nobody touches the keyboard, and what starting one of them measures: as boot-image.h has it, and
 * before that the options of the entry into PCR 12. systemd-boot's own image (PCR 4) is the caller's business.
 *
 * Followed is systemd-boot 252. Configuration comes from the attacker's partition: reading is total, sizes are capped.
 */
#pragma once

#include "measure/predict/boot-prediction.h"

#define SYSTEMD_BOOT_ENTRIES_MAX 256
#define SYSTEMD_BOOT_NONE SIZE_MAX

/* All of it is borrowed. EFI variables are systemd's, in UTF-8; NULL: not set. */
struct systemd_boot_machine {
    enum hash_algorithm bank;
    const char *esp;               /* where the EFI system partition is mounted, without a slash at the end */
    const char *boot;              /* the same for the extended boot loader partition; NULL: there is none */
    const char *loader;            /* systemd-boot itself, path in the ESP: "/EFI/systemd/systemd-bootx64.efi" */
    const char *entry_one_shot;    /* LoaderEntryOneShot */
    const char *entry_default;     /* LoaderEntryDefault */
    const char *entry_last_booted; /* LoaderEntryLastBooted */
    bool secure_boot;
    bool through_shim;
    const char *const *phases; /* as boot-image.h has them */
    size_t phase_count;
};

enum systemd_boot_kind {
    SYSTEMD_BOOT_LINUX,   /* a kernel, or what an entry calls one */
    SYSTEMD_BOOT_EFI,     /* some EFI program */
    SYSTEMD_BOOT_UNIFIED, /* a unified kernel image in EFI/Linux */
};

struct systemd_boot_entry {
    enum systemd_boot_kind kind;
    char *id;    /* file name as systemd-boot has it: lower case, with suffix and boot counters */
    char *title; /* NULL without, as the next three */
    char *version;
    char *sort_key;
    char *machine_id;
    const char *folder;  /* the machine's esp or boot, borrowed */
    char *image;         /* path in the folder */
    char *name_at_start; /* see boot-image.h */
    char **initrds;      /* paths in the folder */
    size_t initrd_count;
    char *options;    /* that systemd-boot measures and hands over, "initrd=…" included; NULL: none */
    char *devicetree; /* path in the folder; NULL without */
    char *problem;    /* why the entry cannot be followed; NULL: it can */
    char *file;       /* the .conf file on the running system, and the SHA-256 of what was read; NULL: unified */
    struct digest file_sha256;
    int64_t tries_left, tries_done; /* boot counting; -1 without */
};

struct systemd_boot_menu {
    struct systemd_boot_entry *entries; /* in the menu's order */
    size_t count;
    size_t chosen;  /* boots when nobody touches the keyboard; SYSTEMD_BOOT_NONE: not known, see `reason` */
    size_t lasting; /* boots then without LoaderEntryOneShot, which holds for one boot; else as `chosen` */
    char *reason;   /* why the menu's order, `chosen` or `lasting` is not known */
};

/* ERROR_FAILED: files cannot be read, or this is no systemd-boot that is followed. ERROR_METADATA: folders that no boot
 * loader should meet. An entry that cannot be followed has a `problem`. On an error *ret is empty. */
int systemd_boot_read_menu(const struct systemd_boot_machine *machine, struct systemd_boot_menu *ret,
                           struct error *error);

void systemd_boot_menu_free(struct systemd_boot_menu *menu);

/* Appends what the boot of one entry of the menu measures from the moment at which it is chosen; the files that it
 * rests on include the entry's own. Errors as of boot_image_predict(). */
int systemd_boot_predict(const struct systemd_boot_machine *machine, const struct systemd_boot_entry *entry,
                         struct boot_prediction *prediction, struct error *error);
