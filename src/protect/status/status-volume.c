#include "protect/status/status.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock/target.h"
#include "tpm/approval-index.h"

#include <string.h>

/* What the boot state cannot show after the cap: that objects, index and list are in force. */
static int try_authority(struct target *target, struct tpm *tpm, const struct status *status, struct error *error)
{
    struct authority_signer signer;

    if (!status->state.authority)
        return error_set(error, ERROR_FAILED, "the state folder \"%s\" has no authority", status->state.folder);
    signer = authority_signer(status->state.authority);
    return target_prepare(target, tpm, &signer, error);
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
    if (r == ERROR_MISMATCH && target.unseal.capped)
        volume->authority_opens = !try_authority(&target, tpm, status, &volume->next_reason);
}

/* In the running system the cap hides what the initramfs will see: the boot state that it recorded is asked instead. */
static void foresee(const struct status *status, struct status_volume *volume)
{
    const struct status_boot *boot = &status->boot;
    bool mismatch = volume->unlock.kind == ERROR_MISMATCH;
    bool recorded = boot->error.kind == ERROR_NONE;
    bool approved = recorded && boot->branch >= 0;

    volume->next_unlock = volume->unlock.kind == ERROR_NONE ? STATUS_YES : STATUS_NO;
    if (mismatch && (status_is_suspended(status) || (approved && volume->authority_opens))) {
        volume->next_unlock = STATUS_YES;
        volume->next_reason.kind = ERROR_NONE;
    } else if (!mismatch || (recorded && !approved)) {
        volume->next_reason = volume->unlock;
    } else if (!recorded) {
        volume->next_unlock = STATUS_UNKNOWN;
        volume->next_reason = boot->error;
    } else if (!status->state.authority) {
        volume->next_unlock = STATUS_UNKNOWN;
    }
}

/* A keyslot of bootseal's own kind that nothing names is what a cut change or a lost token leaves behind. */
static void find_orphans(struct volume *opened, struct status_volume *volume)
{
    uint32_t named = 0;
    struct error ignored;

    if (volume_token_keyslots(opened, &named, &ignored))
        return;
    for (int i = 0; i < VOLUME_MAX_KEYSLOTS; i++) {
        bool minimal = false;

        if (volume->other_keyslots & ~named & (1u << i) && !volume_keyslot_is_minimal(opened, i, &minimal, &ignored) &&
            minimal)
            volume->orphan_keyslots |= 1u << i;
    }
}

static int read_keyslots(struct volume *opened, struct status_volume *volume, struct error *error)
{
    int r = protector_list_read(opened, TOKEN_TYPE_PROTECTOR, &volume->protectors, error);

    if (!r)
        r = status_read_recovery_keys(opened, volume, error);
    if (!r)
        r = volume_keyslots(opened, &volume->other_keyslots, error);
    for (size_t i = 0; !r && i < volume->protectors.count; i++)
        if (volume->protectors.items[i].keyslot >= 0)
            volume->other_keyslots &= ~(1u << volume->protectors.items[i].keyslot);
    for (size_t i = 0; !r && i < volume->recovery_key_count; i++)
        volume->other_keyslots &= ~(1u << volume->recovery_keys[i].keyslot);
    if (!r)
        find_orphans(opened, volume);
    return r;
}

static enum status_state judge(const struct status *status, const struct status_volume *volume)
{
    bool usable = volume->unlock.kind == ERROR_NONE || volume->unlock.kind == ERROR_MISMATCH;

    if (volume->unlock.kind == ERROR_LOCKOUT)
        return STATUS_LOCKED_OUT;
    if (!usable)
        return STATUS_NOT_PROTECTED;
    if (status_is_suspended(status))
        return STATUS_SUSPENDED;
    if (volume->other_keyslots)
        return STATUS_OTHER_KEYSLOTS;
    return strcmp(volume->boot.by, REPORT_BY_RECOVERY) == 0 ? STATUS_RECOVERY_USED : STATUS_PROTECTED;
}

/* No report, or one that cannot be read, tells nothing of this boot. */
static void read_opening(const char *report_path, struct status_volume *volume)
{
    struct error ignored;

    if (!report_path || !file_exists(report_path) ||
        report_read_opening(report_path, volume->uuid, &volume->boot, &ignored))
        volume->boot = (struct report_opening){ 0 };
}

bool status_has_bypassed_pin(const struct status_volume *volume)
{
    bool with = false, without = false;

    for (size_t i = 0; i < volume->protectors.count; i++) {
        with |= volume->protectors.items[i].kind == PROTECTOR_TPM2_PIN;
        without |= volume->protectors.items[i].kind == PROTECTOR_TPM2;
    }
    return with && without;
}

static int read_header(struct volume **opened, struct status_volume *volume, struct error *error)
{
    int r = volume_open(opened, volume->device, error);

    if (r)
        return r;
    snprintf(volume->uuid, sizeof(volume->uuid), "%s", volume_uuid(*opened));
    return read_keyslots(*opened, volume, error);
}

void status_read_volume(const struct status_request *request, struct status *status, const char *device,
                        const struct pinned_volume *known, struct status_volume *ret)
{
    cleanup(volume_close) struct volume *opened = NULL;
    const struct pinned_volume *pin = known;
    struct pinned_volume here;

    snprintf(ret->device, sizeof(ret->device), "%s", device);
    ret->state = STATUS_NOT_PROTECTED;
    if (known)
        snprintf(ret->name, sizeof(ret->name), "%s", known->name);
    if (read_header(&opened, ret, &ret->unlock)) {
        ret->next_reason = ret->unlock;
        return;
    }
    read_opening(request->report_path, ret);
    if (!pin && status->state.has_pins)
        pin = pins_find(&status->state.pins, volume_uuid(opened));
    if (!pin) {
        error_set(&ret->unlock, ERROR_NO_PROTECTOR, "\"%s\" is not enrolled on this machine", device);
        ret->next_reason = ret->unlock;
        return;
    }
    here = *pin;
    snprintf(here.device, sizeof(here.device), "%.*s", PINS_DEVICE_MAX, volume_path(opened));
    snprintf(ret->name, sizeof(ret->name), "%s", pin->name);
    try_unlock(request->tpm, status, &here, ret);
    foresee(status, ret);
    ret->state = judge(status, ret);
}
