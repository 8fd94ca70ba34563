#include "protect/update/after-boot.h"

#include "base/cleanup.h"
#include "protect/suspend.h"

#include <string.h>

#define CHANGES_TOLD 6 /* in one journal entry */
#define FIRMWARE_PCRS                                                                                                  \
    0x000fu /* TCG PC Client Platform Firmware Profile, 3.3.4: firmware, option ROMs, their settings */

int after_boot_keep(const struct boot_ok *boot_ok, const char *log_path, enum golden_outcome *ret, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    int r;

    *ret = GOLDEN_NOT_GOOD;
    if (!boot_ok->is_enrolled || !golden_is_good(&boot_ok->approval, &boot_ok->record))
        return 0;
    r = state_open(boot_ok->state_folder, STATE_CHANGE, &state, error);
    r = r ?: golden_keep(&state, &boot_ok->record, log_path, ret, error);
    return r ? error_prefix(error, "the record of good boots") : 0;
}

int after_boot_look_ahead(const struct boot_ok *boot_ok, const char *log_path, struct foresee_result **ret,
                          struct error *error)
{
    const struct foresee_request request = {
        .reseal = { .state_folder = boot_ok->state_folder, .report_path = boot_ok->report_path },
        .log_path = log_path,
    };

    *ret = NULL;
    if (!boot_ok->is_enrolled || !golden_is_good(&boot_ok->approval, &boot_ok->record))
        return 0;
    return foresee_look(&request, ret, error);
}

int after_boot_count_outlived(const struct boot_ok *boot_ok, const struct pcr_values *coming, size_t coming_count,
                              size_t *ret, struct error *error)
{
    const struct reseal_request request = {
        .state_folder = boot_ok->state_folder, .keep_kept = true, .coming = coming, .coming_count = coming_count
    };

    return reseal_count_outlived(&request, &boot_ok->approval, &boot_ok->record.values, ret, error);
}

static bool has_mismatch(const struct boot_record *record)
{
    for (size_t i = 0; i < record->volume_count; i++)
        if (record->volumes[i].status == ERROR_MISMATCH)
            return true;
    return false;
}

static bool is_by_recovery(const struct boot_record *record)
{
    for (size_t i = 0; i < record->volume_count; i++)
        if (record->volumes[i].opened && strcmp(record->volumes[i].by, REPORT_BY_RECOVERY) == 0)
            return true;
    return false;
}

int after_boot_changes(const struct boot_ok *boot_ok, const char *log_path, struct boot_changes *ret, bool *ret_changed,
                       struct error *error)
{
    const struct boot_changes_request request = {
        .state_folder = boot_ok->state_folder,
        .report_path = boot_ok->report_path,
        .log_path = log_path,
    };
    int r;

    *ret = (struct boot_changes){ 0 };
    *ret_changed = false;
    if (!boot_ok->is_enrolled || !(has_mismatch(&boot_ok->record) || boot_record_is_suspended(&boot_ok->record)))
        return 0;
    r = boot_changes_read(&request, ret, error);
    *ret_changed = !r && ret->not_approved;
    return r;
}

static int words(const struct boot_changes *changes, char **ret, struct error *error)
{
    size_t size;
    FILE *stream = open_memstream(ret, &size);

    if (!stream)
        return error_no_memory(error);
    boot_changes_put_short(stream, changes, changes->not_approved | (changes->differ & changes->pcrs), CHANGES_TOLD);
    return fclose(stream) ? error_no_memory(error) : 0;
}

int after_boot_tell(struct boot_ok *boot_ok, const struct boot_changes *changes, struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    int r = words(changes, &text, error);

    return r
               ?: boot_events_changed(changes->not_approved, changes->has_golden ? changes->golden.date : NULL, text,
                                      &boot_ok->events, error);
}

static int explain(const struct boot_ok *boot_ok, const struct boot_changes *changes, bool *ret,
                   char ret_why[EXPLAINED_WHY_TEXT], struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    cleanup(known_files_free) struct known_files files = { 0 };
    int r = state_open(boot_ok->state_folder, STATE_READ, &state, error);

    r = r ?: known_files_read(&state, &files, error);
    *ret = !r && boot_changes_are_explained(changes, &files, ret_why);
    return r;
}

int after_boot_reseal(const struct boot_ok *boot_ok, struct tpm *tpm, const struct boot_changes *changes,
                      bool *ret_done, char ret_why[EXPLAINED_WHY_TEXT], struct error *error)
{
    cleanup(free_ptr) struct reseal_result *result = calloc(1, sizeof(*result));
    const struct reseal_request request = {
        .tpm = tpm,
        .state_folder = boot_ok->state_folder,
        .report_path = boot_ok->report_path,
        .keep = true,
    };
    bool explained;
    int r;

    *ret_done = false;
    if (!result)
        return error_no_memory(error);
    if (!is_by_recovery(&boot_ok->record)) {
        snprintf(ret_why, EXPLAINED_WHY_TEXT, "no recovery key has opened a volume in this boot");
        return 0;
    }
    r = explain(boot_ok, changes, &explained, ret_why, error);
    if (r || !explained)
        return r;
    r = reseal_current(&request, result, error);
    *ret_done = !r;
    return r;
}

/* ---- after a suspension ---- */

static int approve_suspended(const struct boot_ok *boot_ok, struct tpm *tpm, struct error *error)
{
    cleanup(free_ptr) struct reseal_result *result = calloc(1, sizeof(*result));
    const struct reseal_request request = {
        .tpm = tpm,
        .state_folder = boot_ok->state_folder,
        .report_path = boot_ok->report_path,
        .keep = true,
    };

    return result ? reseal_current(&request, result, error) : error_no_memory(error);
}

static int end_suspension(const struct boot_ok *boot_ok, struct tpm *tpm, struct error *error)
{
    const struct suspend_request request = {
        .tpm = tpm,
        .state_folder = boot_ok->state_folder,
        .report_path = boot_ok->report_path,
    };
    struct suspend_result ignored;

    return resume(&request, &ignored, error);
}

/* A firmware update is no reason for another boot loader, kernel or initrd. */
static bool may_approve(const struct suspension *suspension, const struct boot_changes *changes,
                        char ret_why[EXPLAINED_WHY_TEXT])
{
    char list[PCR_LIST_TEXT];
    uint32_t others;

    if (suspension->purpose != SUSPEND_FIRMWARE)
        return true;
    if (!changes) {
        snprintf(ret_why, EXPLAINED_WHY_TEXT, "what changed in this boot is not known");
        return false;
    }
    others = changes->not_approved & ~FIRMWARE_PCRS;
    pcr_mask_format(others, list);
    if (others)
        snprintf(ret_why, EXPLAINED_WHY_TEXT, "more changed than the firmware: PCR %s", list);
    return !others;
}

static enum after_boot_suspension decide(const struct boot_ok *boot_ok, const struct suspension *suspension,
                                         const struct suspension_time *now, const struct boot_changes *changes,
                                         char ret_why[EXPLAINED_WHY_TEXT])
{
    bool suspended = boot_record_is_suspended(&boot_ok->record);

    if (suspended && suspension->then_reseal && may_approve(suspension, changes, ret_why))
        return AFTER_BOOT_RESEALED;
    if (suspension_reboots_left(suspension, now) == 0)
        return AFTER_BOOT_RESUMED;
    /* a boot that came before it was made says nothing */
    if (now->reset_count > suspension->after && golden_is_good(&boot_ok->approval, &boot_ok->record))
        return AFTER_BOOT_RESUMED;
    return AFTER_BOOT_STAYS;
}

int after_boot_suspension(struct boot_ok *boot_ok, struct tpm *tpm, const struct boot_changes *changes,
                          enum after_boot_suspension *ret, char ret_why[EXPLAINED_WHY_TEXT], struct error *error)
{
    struct suspension suspension;
    struct suspension_time now;
    int r;

    ret_why[0] = '\0';
    *ret = AFTER_BOOT_NO_SUSPENSION;
    if (!boot_ok->is_enrolled || !suspension_find(&boot_ok->approval, &suspension))
        return 0;
    r = suspend_time(tpm, &now, error);
    if (r)
        return r;
    *ret = decide(boot_ok, &suspension, &now, changes, ret_why);
    if (*ret == AFTER_BOOT_RESEALED)
        r = approve_suspended(boot_ok, tpm, error);
    else if (*ret == AFTER_BOOT_RESUMED)
        r = end_suspension(boot_ok, tpm, error);
    else
        return 0;
    return r ? error_prefix(error, "the suspension") : boot_ok_reload(boot_ok, error);
}
