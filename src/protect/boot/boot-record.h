/*
 * What boot-ok reads of report.json (report.h): how each volume was opened, and what was in the way. Keys that are
 * missing or unknown are no fault: the report is of another program, which may be older or newer.
 */
#pragma once

#include "protect/unlock/report.h"

#define BOOT_ID_TEXT 65
#define BOOT_BY_TEXT 17
#define BOOT_RECOVERY_ID_TEXT 17

struct boot_volume {
    char name[PINS_NAME_MAX + 1];
    char uuid[VOLUME_UUID_TEXT];
    bool opened;
    char by[BOOT_BY_TEXT];            /* "tpm2-pin", "tpm2", "recovery"; empty when it was not opened */
    char protector[VOLUME_UUID_TEXT]; /* the ID of the one that opened it; empty: none, or not told */
    unsigned operator_number;         /* whose PIN it was; 0: nobody's, or not told */
    bool suspended;                   /* opened by a suspension: the boot state is not approved */
    char recovery_id[BOOT_RECOVERY_ID_TEXT];
    enum error_kind status; /* why the TPM did not open it */
    char reason[REPORT_REASON_MAX + 1];
    unsigned wrong_pins;
    unsigned milliseconds;
};

struct boot_record {
    char boot_id[BOOT_ID_TEXT];
    struct pcr_values values; /* before the cap; mask 0 without a TPM */
    unsigned cap;
    bool cap_done;
    char tpm_error[REPORT_REASON_MAX + 1];
    struct boot_volume volumes[PINS_MAX_VOLUMES];
    size_t volume_count;
};

/* Errors as report_read_document(). */
int boot_record_read(const char *report_path, struct boot_record *ret, struct error *error);

/* True when a volume was opened with a PIN in this boot. */
bool boot_record_has_pin(const struct boot_record *record);

/* True when a suspension opened a volume in this boot. */
bool boot_record_is_suspended(const struct boot_record *record);
