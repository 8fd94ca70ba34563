/*
 * What boot-ok does for the approval: a good boot is kept on record, and what it has outlived is dropped; of a boot
 * that was not approved it is told what changed, and if the policy wants it, it is approved. Each step needs the report
 * that boot_ok_begin() has read, and does nothing without one.
 */
#pragma once

#include "protect/boot/boot-ok.h"
#include "protect/reseal.h"
#include "protect/update/boot-changes.h"
#include "protect/update/explained.h"
#include "protect/update/foresee.h"

/* golden_keep() for this boot. */
int after_boot_keep(const struct boot_ok *boot_ok, const char *log_path, enum golden_outcome *ret, struct error *error);

/* What may come after this boot, if it was a good one; *ret is NULL after any other. Later calls know from this one
 * which PCRs can be predicted on this machine (predictable.h). No TPM. */
int after_boot_look_ahead(const struct boot_ok *boot_ok, const char *log_path, struct foresee_result **ret,
                          struct error *error);

/* How many boot states reseal_commit() would drop after this good boot, if `coming` may still come. No TPM. */
int after_boot_count_outlived(const struct boot_ok *boot_ok, const struct pcr_values *coming, size_t coming_count,
                              size_t *ret, struct error *error);

/* Whether the initramfs found this boot not approved, suspended or not, and it still is not; *ret then has what
 * changed, and is freed by the caller. */
int after_boot_changes(const struct boot_ok *boot_ok, const char *log_path, struct boot_changes *ret, bool *ret_changed,
                       struct error *error);

/* Adds the journal entry for it. */
int after_boot_tell(struct boot_ok *boot_ok, const struct boot_changes *changes, struct error *error);

/* What became of a suspension. */
enum after_boot_suspension {
    AFTER_BOOT_NO_SUSPENSION,
    AFTER_BOOT_STAYS,    /* not used yet, or made by hand and not over: see `why`, if that is not empty */
    AFTER_BOOT_RESUMED,  /* ended: by a good boot, or it was over */
    AFTER_BOOT_RESEALED, /* ended, and what it let through is approved */
};

/*
 * Ends the suspension after a good boot, and when it is over. After a suspended boot one that was made for an update
 * has this boot approved, beside what is approved, and is ended; one for firmware only if nothing but the firmware's
 * own PCRs (0 to 3) changed, else it stays and ret_why says what is in the way. `changes`: NULL when this boot is
 * approved, or what changed is not known. boot_ok->approval follows.
 */
int after_boot_suspension(struct boot_ok *boot_ok, struct tpm *tpm, const struct boot_changes *changes,
                          enum after_boot_suspension *ret, char ret_why[EXPLAINED_WHY_TEXT], struct error *error);

/*
 * Approves a boot that a recovery key has opened, beside what is approved, if recorded updates explain all that
 * changed. If not, *ret_done is false, and ret_why has what is in the way.
 */
int after_boot_reseal(const struct boot_ok *boot_ok, struct tpm *tpm, const struct boot_changes *changes,
                      bool *ret_done, char ret_why[EXPLAINED_WHY_TEXT], struct error *error);
