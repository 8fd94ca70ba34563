/*
 * report.json: what the initramfs did, and the PCR values that it saw before the cap. Written to /run (memory only,
 * root only) by `bootseal-unlock --all`; read in the running system by enroll, reseal and, later, boot-ok.
 *
 *   { "version": 1, "boot_id": "…", "index": "Name of the pinned approval index", "bank": "sha256", "pcrs": { "0":
 * "hex", … }, "cap": { "pcr": 12, "done": true }, "tpm": null or "why it could not be used", "volumes": [ { "name":
 * "cryptroot", "uuid": "…", "opened": true, "by": "tpm2-pin", "status": 0, "reason": null, "protector": "UUID",
 * "operator": 1, "suspended": false, "recovery_id": null, "wrong_pins": 1, "milliseconds": 812 } ] }
 *
 * "protector" is the one that opened it, "operator" whose PIN it was; null when it was not that. "suspended": the boot
 * state was not approved, and a suspension opened it.
 * A volume that a recovery key opened is "by": "recovery", with the key's ID; status and reason then say what had kept
 * the TPM from opening it, 0 and null when the key was typed in the PIN's place.
 */
#pragma once

#include "base/json.h"
#include "base/pcr.h"
#include "luks/recovery.h"
#include "protect/unlock/pins.h"

#define REPORT_PATH "/run/bootseal/report.json"
#define REPORT_REASON_MAX 1023 /* as an error's text */

struct report_volume {
    char name[PINS_NAME_MAX + 1];
    char uuid[VOLUME_UUID_TEXT];
    bool opened;
    bool by_recovery;
    char recovery_id[RECOVERY_ID_TEXT]; /* by_recovery */
    enum protector_kind by;             /* when opened otherwise */
    char protector[VOLUME_UUID_TEXT];   /* the same: its ID */
    unsigned operator_number;           /* with a PIN, else 0 */
    bool suspended;                     /* opened by a suspension */
    enum error_kind status;
    char reason[REPORT_REASON_MAX + 1]; /* when the TPM did not open it */
    unsigned wrong_pins;
    uint64_t milliseconds; /* from the PIN to the opened volume */
};

struct report {
    struct object_name index; /* the pinned one; all zero without pins */
    struct pcr_values values; /* before the cap; mask 0 without a TPM */
    unsigned cap;
    bool cap_done;
    char tpm_error[REPORT_REASON_MAX + 1]; /* empty: it worked, or none is announced */
    struct report_volume volumes[PINS_MAX_VOLUMES];
    size_t volume_count;
};

int report_write(const char *path, const struct report *report, struct error *error);

/* Reads the document of this very boot, as far as its version and boot_id; the caller owns *ret. One of another boot is
 * ERROR_FAILED, one that another user could have written too, a damaged one ERROR_METADATA. */
int report_read_document(const char *path, struct json_view *view, struct json_object **ret, struct error *error);

/* Reads the PCR values and the cap of this boot's report. One of another boot (boot_id) is ERROR_FAILED. The volumes
 * are left empty. */
int report_read_values(const char *path, struct report *ret, struct error *error);

/* Reads which volumes this boot's report has, by UUID, and whether each was opened, and by a recovery key; nothing else
 * is filled in. */
int report_read_opened(const char *path, struct report *ret, struct error *error);

/* How this boot's report says that one volume was opened. All zero: it does not know the volume. */
#define REPORT_BY_RECOVERY "recovery"
struct report_opening {
    bool known;
    bool opened;
    char by[16];                        /* a protector's kind, or "recovery"; empty when not opened */
    bool suspended;                     /* by a suspension: the boot state was not approved */
    unsigned operator_number;           /* whose PIN it was; 0: not known, or none */
    char reason[REPORT_REASON_MAX + 1]; /* why the TPM did not open it; empty: it did */
    unsigned wrong_pins;
};
int report_read_opening(const char *path, const char *uuid, struct report_opening *ret, struct error *error);

/* The approval index that this boot's initramfs had pinned, and whether the TPM opened each of its volumes (one at the
 * least). */
int report_read_index(const char *path, struct object_name *ret, bool *ret_opened, struct error *error);
