#include "protect/boot/boot-ok.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/provision/provision.h"
#include "protect/provision/rotation.h"
#include "protect/recovery/recovery-key.h"

#include <string.h>

static int stamp_path(const struct boot_ok *boot_ok, char **ret, struct error *error)
{
    if (asprintf(ret, "%s.recorded", boot_ok->report_path) >= 0)
        return 0;
    *ret = NULL;
    return error_no_memory(error);
}

/* An unreadable stamp is none: entries that are there twice are better than none. */
static int find_stamp(struct boot_ok *boot_ok, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(free_ptr) char *text = NULL;
    struct error ignored;
    int r = stamp_path(boot_ok, &path, error);

    if (!r && file_exists(path) && !file_read(path, BOOT_ID_TEXT, &text, NULL, &ignored))
        boot_ok->is_recorded = strcmp(text, boot_ok->record.boot_id) == 0;
    return r;
}

static int read_record(struct boot_ok *boot_ok, const struct state *state, struct error *error)
{
    int r = boot_record_read(boot_ok->report_path, &boot_ok->record, error);

    if (!r)
        r = find_stamp(boot_ok, error);
    if (!r)
        r = boot_events_of_record(&boot_ok->record, state->has_approval ? &state->approval : NULL, &boot_ok->events,
                                  error);
    boot_ok->has_record = !r;
    if (!r && state->has_pins && state->has_approval) {
        r = approval_copy(&state->approval, &boot_ok->approval, error);
        boot_ok->is_enrolled = !r;
    }
    boot_ok->wants_reset = !r && state->has_pins && boot_record_has_pin(&boot_ok->record);
    return r;
}

int boot_ok_begin(struct boot_ok *ret, const char *state_folder, const char *report_path, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };

    *ret = (struct boot_ok){ .state_folder = state_folder, .report_path = report_path };
    if (state_open(state_folder, STATE_READ, &state, error))
        ret->state_error = *error;
    ret->ends_rotation = rotation_is_proven(&state, report_path);
    if (file_exists(report_path))
        return read_record(ret, &state, error);
    return state.has_pins && state.pins.volume_count ? boot_events_no_report(&ret->events, error) : 0;
}

void boot_ok_end(struct boot_ok *boot_ok)
{
    boot_events_free(&boot_ok->events);
    approval_free(&boot_ok->approval);
}

int boot_ok_reload(struct boot_ok *boot_ok, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    cleanup(approval_free) struct approval fresh = { 0 };
    int r = state_open(boot_ok->state_folder, STATE_READ, &state, error);

    r = r ?: approval_copy(&state.approval, &fresh, error);
    if (r)
        return r;
    approval_free(&boot_ok->approval);
    boot_ok->approval = fresh;
    fresh = (struct approval){ 0 };
    return 0;
}

int boot_ok_mark_recorded(const struct boot_ok *boot_ok, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = boot_ok->has_record ? stamp_path(boot_ok, &path, error) : 0;

    if (r || !boot_ok->has_record)
        return r;
    return file_write(path, boot_ok->record.boot_id, strlen(boot_ok->record.boot_id), 0600, error);
}

static int mark_recovery_key(struct state *state, const struct boot_volume *opened, struct error *error)
{
    cleanup(volume_close) struct volume *volume = NULL;
    const struct pinned_volume *pin = state->has_pins ? pins_find(&state->pins, opened->uuid) : NULL;
    int r;

    if (!pin)
        return 0;
    r = volume_open(&volume, pin->device, error);
    if (!r)
        r = pins_check_volume(pin, volume, error);
    if (!r)
        r = recovery_key_mark_used(volume, opened->recovery_id, error);
    return r == ERROR_NO_PROTECTOR ? 0 : r ? error_prefix(error, "volume \"%s\"", pin->name) : 0;
}

int boot_ok_mark_recovery_keys(const struct boot_ok *boot_ok, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    int r = 0;

    for (size_t i = 0; !r && i < boot_ok->record.volume_count; i++) {
        const struct boot_volume *volume = &boot_ok->record.volumes[i];

        if (!volume->opened || !volume->recovery_id[0])
            continue;
        if (state.lock < 0)
            r = state_open(boot_ok->state_folder, STATE_CHANGE, &state, error);
        if (!r)
            r = mark_recovery_key(&state, volume, error);
    }
    return r;
}

static int read_counter(struct tpm *tpm, unsigned *ret, struct error *error)
{
    struct tpm_state now;
    int r = tpm_state_read(tpm, &now, error);

    *ret = r ? 0 : now.lockout_counter;
    return r;
}

int boot_ok_reset_counter(const struct boot_ok *boot_ok, struct tpm *tpm, unsigned *ret_before, unsigned *ret_after,
                          struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    int r = read_counter(tpm, ret_before, error);

    *ret_after = *ret_before;
    if (r || !*ret_before)
        return r;
    r = state_open(boot_ok->state_folder, STATE_CHANGE, &state, error);
    if (!r)
        r = tpm_srk_use(tpm, &state.pins.srk, error);
    if (!r)
        r = provision_forgive(tpm, &state, error);
    return r ? r : read_counter(tpm, ret_after, error);
}
