#include "protect/seal/sealing.h"

#include "base/cleanup.h"
#include "policy/digest.h"
#include "protect/seal/approve.h"
#include "protect/seal/leftover.h"
#include "protect/unlock/keys.h"
#include "protect/unlock/payload.h"
#include "tpm/sealed.h"

#include <string.h>
#include <sys/random.h>

static int new_uuid(char ret[VOLUME_UUID_TEXT], struct error *error)
{
    uint8_t b[16];

    if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
        return error_set(error, ERROR_FAILED, "cannot get random bytes for a UUID");
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 4122, 4.4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(ret, VOLUME_UUID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return 0;
}

int sealing_describe(struct sealing *sealing, enum protector_kind kind, const char *label, struct error *error)
{
    struct protector *protector = &sealing->protector;
    int r;

    *protector = (struct protector){
        .token = -1,
        .keyslot = -1,
        .kind = kind,
        .srk = sealing->state->pins.srk.name,
        .approval = sealing->state->pins.index.name,
    };
    if (label)
        strcpy(protector->label, label);
    r = token_time_now(protector->created, error);
    return r ? r : new_uuid(protector->id, error);
}

int sealing_describe_twin(struct sealing *sealing, const struct protector *protector, struct error *error)
{
    struct protector *twin = &sealing->protector;
    int r;

    *twin = *protector;
    twin->token = twin->keyslot = -1;
    twin->srk = sealing->state->pins.srk.name;
    twin->approval = sealing->state->pins.index.name;
    twin->sealed = (struct sealed_blob){ 0 };
    r = token_time_now(twin->created, error);
    return r ? r : new_uuid(twin->id, error);
}

/* ---- the steps ---- */

/* authPolicy of the sealed object: PolicyAuthorizeNV, then PolicyAuthValue if it has a PIN. */
static int object_policy(const struct sealing *sealing, struct digest *ret, struct error *error)
{
    int r;

    *ret = (struct digest){ 0 };
    r = policy_digest_authorize_nv(ret, &sealing->state->pins.index.name, error);
    return r || sealing->protector.kind == PROTECTOR_TPM2 ? r : policy_digest_auth_value(ret, error);
}

static int choose_secret(struct sealing *sealing, struct error *error)
{
    if (sealing->protector.payload == PAYLOAD_VOLUME_KEY)
        return keys_wrap_volume_key(sealing->key, &sealing->mix, sealing->protector.id, &sealing->sealed, error);
    return secret_random(&sealing->sealed, KEYS_SEALED_BYTES, error);
}

/* With auth and mix in place. */
static int create_object(struct sealing *sealing, struct error *error)
{
    const struct secret *auth = sealing->auth.size ? &sealing->auth : NULL;
    struct digest policy;
    int r = choose_secret(sealing, error);

    if (!r)
        r = object_policy(sealing, &policy, error);
    return r ? r : tpm_seal(sealing->tpm, &policy, auth, &sealing->sealed, &sealing->protector.sealed, error);
}

int sealing_seal(struct sealing *sealing, const struct secret *pin, struct error *error)
{
    int r = pin ? keys_stretch(pin, &sealing->protector.kdf, &sealing->auth, &sealing->mix, error) : 0;

    return r ? r : create_object(sealing, error);
}

int sealing_seal_stretched(struct sealing *sealing, const struct secret *auth, const struct secret *mix,
                           struct error *error)
{
    int r = auth->size ? secret_copy(&sealing->auth, auth->bytes, auth->size, error) : 0;

    if (!r && mix->size)
        r = secret_copy(&sealing->mix, mix->bytes, mix->size, error);
    return r ? r : create_object(sealing, error);
}

int sealing_announce(struct sealing *sealing, struct error *error)
{
    return leftover_announce(*sealing->volume, &sealing->protector, error);
}

int sealing_add_object(const struct sealing *sealing, struct approval *draft, struct error *error)
{
    struct object_name name;
    int r = sealed_name(&sealing->protector.sealed, &name, error);

    return r ? r : approval_add_object(draft, &name, error);
}

int sealing_prepare_unseal(struct tpm *tpm, const struct state *state, const struct protector *protector,
                           const struct authority_signer *authority, struct unseal *ret, struct error *error)
{
    const struct unseal_request request = {
        .tpm = tpm,
        .protector = protector,
        .approval = &state->approval,
        .authority = authority,
    };

    return unseal_prepare(ret, &request, error);
}

/* The TPM must give back what it was given, by the way that the running system has: authority and PIN. */
static int prove_unseal(const struct sealing *sealing, struct error *error)
{
    cleanup(secret_free) struct secret sealed = { 0 };
    cleanup(unseal_free) struct unseal unseal = { 0 };
    struct authority_signer signer = authority_signer(sealing->state->authority);
    int r = sealing_prepare_unseal(sealing->tpm, sealing->state, &sealing->protector, &signer, &unseal, error);

    if (!r)
        r = unseal_finish(&unseal, sealing->auth.size ? &sealing->auth : NULL, &sealed, error);
    if (!r && !secret_equal(&sealed, &sealing->sealed))
        r = error_set(error, ERROR_TPM, "the TPM gave back another secret than it was given");
    return r ? error_prefix(error, "the new protector does not unseal") : 0;
}

/* What was sealed leads to the volume key, by a new keyslot if the payload wants one. */
static int prove_opening(struct sealing *sealing, struct error *error)
{
    cleanup(secret_free) struct secret opener = { 0 };
    cleanup(secret_free) struct secret key = { 0 };
    struct protector *protector = &sealing->protector;
    int r = payload_unwrap(protector, &sealing->sealed, &sealing->mix, &opener, error);

    if (!r && protector->payload == PAYLOAD_KEYSLOT)
        r = volume_keyslot_add(*sealing->volume, sealing->key, &opener, &protector->keyslot, error);
    if (!r)
        r = payload_check(*sealing->volume, protector, &opener, &key, error);
    if (!r && !secret_equal(&key, sealing->key))
        r = error_set(error, ERROR_FAILED, "the new protector gives another volume key");
    return r;
}

int sealing_install(struct sealing *sealing, struct error *error)
{
    int r = prove_unseal(sealing, error);

    return r ? r : prove_opening(sealing, error);
}

/* `base` is the token whose unknown keys are kept, or -1. */
static int write_token(struct sealing *sealing, int number, int base, struct error *error)
{
    cleanup(json_free) struct json_object *old = NULL;
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    int r = base < 0 ? 0 : volume_token_read(*sealing->volume, base, &old, &view, error);

    if (!r)
        r = protector_to_json(&sealing->protector, TOKEN_TYPE_PROTECTOR, old, &token, error);
    if (!r)
        r = volume_token_write(*sealing->volume, &number, token, error);
    if (!r)
        sealing->protector.token = number;
    return r;
}

int sealing_write_token(struct sealing *sealing, int number, struct error *error)
{
    return write_token(sealing, number, number, error);
}

int sealing_write_twin(struct sealing *sealing, int twin, struct error *error)
{
    return write_token(sealing, -1, twin, error);
}

void sealing_free(struct sealing *sealing)
{
    secret_free(&sealing->auth);
    secret_free(&sealing->mix);
    secret_free(&sealing->sealed);
}

static size_t count_in_force(const struct approval *approval, const struct object_name *names, size_t count)
{
    size_t in_force = 0;

    for (size_t i = 0; i < count; i++)
        in_force += approval_find_object(approval, &names[i]) >= 0;
    return in_force;
}

/* Whatever can go before the list is changed goes first: it is room in the header for the change. */
int sealing_settle(struct tpm *tpm, struct state *state, struct volume **volume, int keep, struct error *error)
{
    struct object_name names[VOLUME_MAX_TOKENS];
    size_t count;
    int r = approve_reopen(state, volume, error);

    if (!r)
        r = leftover_clear_dead(*volume, keep, &state->approval, error);
    if (!r)
        r = leftover_objects(*volume, names, &count, error);
    if (!r && count_in_force(&state->approval, names, count) < state->approval.object_count)
        r = approve_withdraw(tpm, state, names, count, error);
    if (!r)
        r = approve_reopen(state, volume, error);
    return r ? r : leftover_clear_dead(*volume, keep, &state->approval, error);
}
