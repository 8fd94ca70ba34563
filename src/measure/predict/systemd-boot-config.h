/*
 * Inner header of systemd-boot.h: its files, as it reads them.
 */
#pragma once

#include "measure/predict/boot-file.h"
#include "measure/predict/systemd-boot.h"

#define SYSTEMD_BOOT_CONFIG_MAX (64 * 1024)

/* Where entries are read, for whom. */
struct systemd_boot_place {
    const struct systemd_boot_machine *machine;
    const char *folder;       /* machine->esp or machine->boot */
    const char *architecture; /* "x64" */
    uint16_t pe_machine;
};

/* The next line with a key and a value, in a text that is cut up; false at the end. */
bool systemd_boot_next_line(char **rest, const char *separators, char **ret_key, char **ret_value);

/* loader.conf's pattern for the default entry, lower case; NULL without. */
int systemd_boot_read_default(char *text, char **ret, struct error *error);

/* True when loader.conf asks for the enrolment of Secure Boot keys without a question. */
bool systemd_boot_enrolls_keys(char *text);

/* loader/entries/<name>. *ret_listed is false when systemd-boot leaves it out. */
int systemd_boot_read_entry(const struct systemd_boot_place *place, const char *name, struct systemd_boot_entry *ret,
                            bool *ret_listed, struct error *error);

/* EFI/Linux/<name>. As above; ERROR_METADATA for an image of which it is not known how systemd-boot reads it. */
int systemd_boot_read_unified(const struct systemd_boot_place *place, const char *name, struct systemd_boot_entry *ret,
                              bool *ret_listed, struct error *error);

/* id, tries and name at start, from a file's name. */
int systemd_boot_set_id(struct systemd_boot_entry *entry, const char *name, const char *suffix, struct error *error);

void systemd_boot_entry_free(struct systemd_boot_entry *entry);

/* Lower-case ASCII, as systemd-boot makes it; the rest stays. */
void systemd_boot_lower(char *text);

/* A path of a running system's folder as EFI has it: "\EFI\BOOT". NULL when memory is short. */
char *systemd_boot_efi_path(const char *text);
