#include "protect/status.h"

#include "base/cleanup.h"
#include "protect/other-keyslots.h"
#include "protect/target.h"
#include "tpm/approval-index.h"

#include <string.h>

const char *status_state_name(enum status_state state)
{
    switch (state) {
    case STATUS_PROTECTED:
        return "protected";
    case STATUS_OTHER_KEYSLOTS:
        return "protected, but other keyslots remain";
    case STATUS_LOCKED_OUT:
        return "locked out";
    case STATUS_NOT_PROTECTED:
    default:
        return "not protected";
    }
}

static void read_tpm(struct tpm *tpm, const struct error *tpm_error, struct status_tpm *ret)
{
    *ret = (struct status_tpm){ 0 };
    if (!tpm) {
        ret->error = *tpm_error;
        return;
    }
    if (tpm_identity_read(tpm, &ret->identity, &ret->error) || tpm_state_read(tpm, &ret->state, &ret->error))
        return;
    ret->error.kind = ERROR_NONE;
}

/* All of an unlock that needs no PIN: whether this boot state would open the volume. */
static void try_unlock(struct tpm *tpm, const struct status *status, const struct pinned_volume *pin,
                       struct status_volume *volume)
{
    cleanup(target_free) struct target target = { 0 };
    struct error *error = &volume->unlock;
    int r = target_open(&target, &status->state.pins, pin, error);

    if (!r && !tpm) {
        *error = status->tpm.error;
        return;
    }
    if (!r)
        r = tpm_srk_use(tpm, &status->state.pins.srk, error);
    if (!r)
        r = tpm_index_use(tpm, &status->state.pins.index, error);
    if (!r)
        r = target_prepare(&target, tpm, NULL, error);
    if (!r)
        volume->unlock.kind = ERROR_NONE;
    volume->authority_opens = r == ERROR_MISMATCH && target.unseal.capped && status->state.authority;
}

static int read_keyslots(struct volume *opened, struct status_volume *volume, struct error *error)
{
    int r = protector_list_read(opened, TOKEN_TYPE_PROTECTOR, &volume->protectors, error);

    return r ? r : other_keyslots(opened, &volume->other_keyslots, error);
}

static enum status_state judge(const struct status_volume *volume)
{
    bool usable = volume->unlock.kind == ERROR_NONE || volume->unlock.kind == ERROR_MISMATCH;

    if (volume->unlock.kind == ERROR_LOCKOUT)
        return STATUS_LOCKED_OUT;
    if (!usable)
        return STATUS_NOT_PROTECTED;
    return volume->other_keyslots ? STATUS_OTHER_KEYSLOTS : STATUS_PROTECTED;
}

/* A volume that cannot be read at all keeps its reason in `unlock`. */
static void read_volume(struct tpm *tpm, struct status *status, const char *device, const struct pinned_volume *known,
                        struct status_volume *ret)
{
    cleanup(volume_close) struct volume *opened = NULL;
    const struct pinned_volume *pin = known;
    struct pinned_volume here;

    snprintf(ret->device, sizeof(ret->device), "%s", device);
    ret->state = STATUS_NOT_PROTECTED;
    if (known)
        snprintf(ret->name, sizeof(ret->name), "%s", known->name);
    if (volume_open(&opened, device, &ret->unlock))
        return;
    snprintf(ret->uuid, sizeof(ret->uuid), "%s", volume_uuid(opened));
    if (read_keyslots(opened, ret, &ret->unlock))
        return;
    if (!pin && status->state.has_pins)
        pin = pins_find(&status->state.pins, volume_uuid(opened));
    if (!pin) {
        error_set(&ret->unlock, ERROR_NO_PROTECTOR, "\"%s\" is not enrolled on this machine", device);
        return;
    }
    here = *pin;
    snprintf(here.device, sizeof(here.device), "%.*s", PINS_DEVICE_MAX, volume_path(opened));
    snprintf(ret->name, sizeof(ret->name), "%s", pin->name);
    try_unlock(tpm, status, &here, ret);
    ret->state = judge(ret);
}

int status_read(struct tpm *tpm, const struct error *tpm_error, const char *state_folder, const char *device,
                struct status *ret, struct error *error)
{
    int r;

    *ret = (struct status){ .state.lock = -1 };
    r = state_open(state_folder, STATE_READ, &ret->state, error);
    if (r)
        return r;
    ret->volume_count = device ? 1 : ret->state.pins.volume_count;
    ret->volumes = calloc(ret->volume_count ? ret->volume_count : 1, sizeof(*ret->volumes));
    if (!ret->volumes)
        return error_no_memory(error);
    read_tpm(tpm, tpm_error, &ret->tpm);
    for (size_t i = 0; i < ret->volume_count; i++)
        read_volume(tpm, ret, device ? device : ret->state.pins.volumes[i].device,
                    device ? NULL : &ret->state.pins.volumes[i], &ret->volumes[i]);
    return 0;
}

void status_free(struct status *status)
{
    for (size_t i = 0; status->volumes && i < status->volume_count; i++)
        protector_list_free(&status->volumes[i].protectors);
    free(status->volumes);
    state_close(&status->state);
    *status = (struct status){ .state.lock = -1 };
}
