#include "protect/seal/renew.h"

#include "base/cleanup.h"
#include "protect/seal/approve.h"
#include "protect/seal/leftover.h"
#include "protect/seal/sealing.h"
#include "protect/unlock/payload.h"

struct renewal {
    struct tpm *tpm;
    struct state *state;
    struct volume *volume;
    struct protector old;
    struct secret key; /* the volume key */
    struct sealing sealing;
};

static void renewal_free(struct renewal *renewal)
{
    sealing_free(&renewal->sealing);
    secret_free(&renewal->key);
    volume_close(&renewal->volume);
}

static int open_by_old(struct renewal *renewal, struct error *error)
{
    cleanup(unseal_free) struct unseal unseal = { 0 };
    cleanup(secret_free) struct secret sealed = { 0 };
    cleanup(secret_free) struct secret opener = { 0 };
    struct authority_signer signer = authority_signer(renewal->state->authority);
    int r = sealing_prepare_unseal(renewal->tpm, renewal->state, &renewal->old, &signer, &unseal, error);

    r = r ?: unseal_finish(&unseal, NULL, &sealed, error);
    r = r ?: payload_unwrap(&renewal->old, &sealed, NULL, &opener, error);
    return r ?: payload_check(renewal->volume, &renewal->old, &opener, &renewal->key, error);
}

static int seal(struct renewal *renewal, struct error *error)
{
    struct sealing *sealing = &renewal->sealing;
    int r;

    *sealing = (struct sealing){ renewal->tpm, renewal->state, &renewal->volume, &renewal->key };
    r = sealing_describe_twin(sealing, &renewal->old, error);
    r = r ?: sealing_seal(sealing, NULL, error);
    return r ?: sealing_announce(sealing, error);
}

static int approve(struct renewal *renewal, struct error *error)
{
    cleanup(approval_free) struct approval draft = { 0 };
    int r = approval_copy(&renewal->state->approval, &draft, error);

    r = r ?: sealing_add_object(&renewal->sealing, &draft, error);
    r = r ?: approve_switch(renewal->tpm, renewal->state, &draft, error);
    return r ?: approve_reopen(renewal->state, &renewal->volume, error);
}

static int install(struct renewal *renewal, struct error *error)
{
    struct sealing *sealing = &renewal->sealing;
    int r = sealing_install(sealing, error);

    r = r ?: volume_keyslot_copy_priority(renewal->volume, renewal->old.keyslot, sealing->protector.keyslot, error);
    r = r ?: leftover_announce_end(renewal->volume, &renewal->old, error);
    return r ?: sealing_write_token(sealing, renewal->old.token, error);
}

static int replace(struct renewal *renewal, struct error *error)
{
    int r = sealing_settle(renewal->tpm, renewal->state, &renewal->volume, -1, error);

    r = r ?: open_by_old(renewal, error);
    r = r ?: seal(renewal, error);
    r = r ?: approve(renewal, error);
    r = r ?: install(renewal, error);
    return r ?: sealing_settle(renewal->tpm, renewal->state, &renewal->volume, -1, error);
}

static int renew(struct tpm *tpm, struct state *state, const struct pinned_volume *pin,
                 const struct protector *protector, struct error *error)
{
    cleanup(renewal_free) struct renewal renewal = { .tpm = tpm, .state = state, .old = *protector };
    int r = volume_open(&renewal.volume, pin->device, error);

    r = r ?: pins_check_volume(pin, renewal.volume, error);
    r = r ?: pins_check_protector(&state->pins, protector, error);
    return r ?: replace(&renewal, error);
}

static int renew_volume(struct tpm *tpm, struct state *state, const struct pinned_volume *pin, struct error *error)
{
    cleanup(protector_list_free) struct protector_list list = { 0 };
    cleanup(volume_close) struct volume *volume = NULL;
    int r = volume_open(&volume, pin->device, error);

    r = r ?: pins_check_volume(pin, volume, error);
    r = r ?: protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, error);
    volume_close(&volume);
    for (size_t i = 0; !r && i < list.count; i++)
        if (list.items[i].kind == PROTECTOR_TPM2 && list.items[i].payload == PAYLOAD_KEYSLOT)
            r = renew(tpm, state, pin, &list.items[i], error);
    return r ? error_prefix(error, "the secret of volume \"%s\", which is without a PIN", pin->name) : 0;
}

int renew_without_pin(struct tpm *tpm, struct state *state, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < state->pins.volume_count; i++)
        r = renew_volume(tpm, state, &state->pins.volumes[i], error);
    return r;
}
