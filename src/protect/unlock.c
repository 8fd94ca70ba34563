#include "protect/unlock.h"

#include "base/cleanup.h"
#include "protect/unlock/keys.h"
#include "protect/unlock/payload.h"
#include "protect/unlock/recover.h"
#include "tpm/approval-index.h"

#include <string.h>

static int find_pin(struct unlock *unlock, const char *device, struct error *error)
{
    cleanup(volume_close) struct volume *volume = NULL;
    const struct pinned_volume *pin;
    int r = volume_open(&volume, device, error);

    if (r)
        return r;
    pin = unlock->state.has_pins ? pins_find(&unlock->state.pins, volume_uuid(volume)) : NULL;
    if (!pin) {
        error_set(error, ERROR_NO_PROTECTOR, "\"%s\" is not enrolled on this machine (state folder \"%s\")", device,
                  unlock->state.folder);
        return error_remedy(error, "run: bootseal enroll %s", device);
    }
    unlock->pin = *pin;
    if (strlen(volume_path(volume)) > PINS_DEVICE_MAX)
        return error_set(error, ERROR_USAGE, "the path of \"%s\" is too long", device);
    strcpy(unlock->pin.device, volume_path(volume));
    return 0;
}

static int use_tpm(struct tpm *tpm, const struct pins *pins, struct error *error)
{
    int r = tpm_srk_use(tpm, &pins->srk, error);

    return r ? r : tpm_index_use(tpm, &pins->index, error);
}

static int prepare(struct unlock *unlock, struct error *error)
{
    int r = target_prepare(&unlock->target, unlock->tpm, NULL, error);

    if (r != ERROR_MISMATCH || !unlock->target.unseal.capped || !unlock->state.authority)
        return r;
    unlock->signer = authority_signer(unlock->state.authority);
    unlock->by_authority = true;
    return target_prepare(&unlock->target, unlock->tpm, &unlock->signer, error);
}

int unlock_begin(struct unlock *ret, struct tpm *tpm, const char *state_folder, const char *device, struct error *error)
{
    int r;

    *ret = (struct unlock){ .tpm = tpm, .state.lock = -1 };
    r = state_open(state_folder, STATE_READ, &ret->state, error);
    if (!r)
        r = find_pin(ret, device, error);
    if (!r)
        r = target_open(&ret->target, &ret->state.pins, &ret->pin, error);
    if (!r)
        r = use_tpm(tpm, &ret->state.pins, error);
    return r ? r : prepare(ret, error);
}

int unlock_choose(struct unlock *unlock, unsigned operator_number, struct error *error)
{
    int r = target_choose_operator(&unlock->target, operator_number, error);

    return r ? r : prepare(unlock, error);
}

int unlock_begin_recovery(struct unlock *ret, const char *state_folder, const char *device, struct error *error)
{
    int r;

    *ret = (struct unlock){ .state.lock = -1 };
    r = state_open(state_folder, STATE_READ, &ret->state, error);
    if (!r)
        r = find_pin(ret, device, error);
    return r ? r : target_open_volume(&ret->target, &ret->state.pins, &ret->pin, error);
}

int unlock_try(struct unlock *unlock, const struct secret *pin, struct secret *ret_opener, struct error *error)
{
    cleanup(secret_free) struct secret auth = { 0 };
    cleanup(secret_free) struct secret mix = { 0 };
    cleanup(secret_free) struct secret opener = { 0 };
    struct target *target = &unlock->target;
    int r = pin ? keys_stretch(pin, &target->protector->kdf, &auth, &mix, error) : 0;

    if (!r)
        r = target_unseal(target, pin ? &auth : NULL, pin ? &mix : NULL, &opener, error);
    if (!r)
        r = payload_check(target->volume, target->protector, &opener, NULL, error);
    if (!r)
        *ret_opener = secret_take(&opener);
    return r;
}

int unlock_try_recovery(struct unlock *unlock, const struct secret *typed, struct secret *ret_opener,
                        struct error *error)
{
    cleanup(recovered_free) struct recovered recovered = { 0 };
    int r = recover_open(unlock->target.volume, typed, &recovered, error);

    if (r)
        return r;
    unlock->recovery = recovered.recovery;
    *ret_opener = secret_take(&recovered.passphrase);
    return 0;
}

int unlock_activate(struct unlock *unlock, const char *name, const struct secret *opener, struct error *error)
{
    static const struct volume_options options;

    if (!name)
        name = unlock->pin.name;
    if (unlock->recovery.id[0])
        return volume_activate(unlock->target.volume, name, unlock->recovery.keyslot, opener, &options, error);
    return payload_activate(unlock->target.volume, unlock->target.protector, name, opener, &options, error);
}

void unlock_end(struct unlock *unlock)
{
    target_free(&unlock->target);
    state_close(&unlock->state);
}
