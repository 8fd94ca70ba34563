/*
 * After a boot that went well enough to reach its services: what the initramfs did becomes journal entries, once a
 * boot, and after a boot by PIN the TPM's counter of wrong PINs goes back to 0. Running it again does no harm.
 */
#pragma once

#include "protect/boot/boot-event.h"
#include "protect/state.h"
#include "tpm/tpm.h"

struct boot_ok {
    const char *state_folder, *report_path;
    bool has_record;    /* else the initramfs left none */
    bool is_recorded;   /* by an earlier run in this boot */
    bool is_enrolled;   /* there is a record, and an approval to hold it against */
    bool wants_reset;   /* a PIN opened a volume of this machine */
    bool ends_rotation; /* this boot has proven a new authority: the old one is to go, by rotation_end() */
    struct error state_error; /* why the state folder cannot be used; its kind is ERROR_NONE otherwise */
    struct approval approval;
    struct boot_record record;
    struct boot_events events;
};

/*
 * Reads the report (of this boot; see report_read_document()) and makes the events; none on a machine with neither pins
 * nor report. A state folder that cannot be used is not in the way: the events then lack the PCRs, and state_error is for
 * the caller to return once they are written. `state_folder` NULL: STATE_FOLDER. Both paths are borrowed.
 * boot_ok_end() cleans up.
 */
int boot_ok_begin(struct boot_ok *ret, const char *state_folder, const char *report_path, struct error *error);
void boot_ok_end(struct boot_ok *boot_ok);

/* Takes the approval anew from the state folder, after it was changed. */
int boot_ok_reload(struct boot_ok *boot_ok, struct error *error);

/* Notes beside the report that its events are in the journal: REPORT.recorded, with the boot_id. */
int boot_ok_mark_recorded(const struct boot_ok *boot_ok, struct error *error);

/* Marks each recovery key that opened a volume of this machine as used, in its token: `recovery-key list` and `status`
 * then ask for its rotation. One that is gone by now is no fault. */
int boot_ok_mark_recovery_keys(const struct boot_ok *boot_ok, struct error *error);

/*
 * Sets the counter to 0 if it is not, with the kept lockout authorisation. *ret_before is what it was, *ret_after what
 * it is: the same when the authorisation is somebody else's.
 */
int boot_ok_reset_counter(const struct boot_ok *boot_ok, struct tpm *tpm, unsigned *ret_before, unsigned *ret_after,
                          struct error *error);
