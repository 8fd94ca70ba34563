/* Second half of an enrolment: the change. */
#include "protect/enroll.h"

#include "base/cleanup.h"
#include "policy/digest.h"
#include "protect/approve.h"
#include "protect/keys.h"
#include "protect/leftover.h"
#include "protect/provision.h"
#include "protect/target.h"
#include "tpm/sealed.h"

#include <string.h>
#include <sys/random.h>

/* The secrets of one enrolment. */
struct material {
    struct secret auth;   /* A; empty without a PIN */
    struct secret mix;    /* B; empty without a PIN */
    struct secret sealed; /* S */
};

static void material_free(struct material *material)
{
    secret_free(&material->auth);
    secret_free(&material->mix);
    secret_free(&material->sealed);
}

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

static int describe_protector(struct enroll *enroll, struct error *error)
{
    struct protector *protector = &enroll->protector;
    int r;

    *protector = (struct protector){
        .token = -1,
        .keyslot = -1,
        .kind = enroll->request.no_pin ? PROTECTOR_TPM2 : PROTECTOR_TPM2_PIN,
        .srk = enroll->state.pins.srk.name,
        .approval = enroll->state.pins.index.name,
    };
    if (enroll->request.label)
        strcpy(protector->label, enroll->request.label);
    r = token_time_now(protector->created, error);
    return r ? r : new_uuid(protector->id, error);
}

/* Whether the PIN is the one of an enrolled volume: then both share salt and cost, and one question opens both. */
static int opens_other(struct enroll *enroll, const struct pinned_volume *pin, const struct secret *secret_pin,
                       struct kdf_parameters *ret_kdf, struct error *error)
{
    cleanup(target_free) struct target target = { 0 };
    cleanup(material_free) struct material other = { 0 };
    cleanup(secret_free) struct secret passphrase = { 0 };
    struct authority_signer signer = authority_signer(enroll->state.authority);
    int r = target_open(&target, &enroll->state.pins, pin, error);

    if (r || !target_has_pin(&target))
        return r ? r : ERROR_NO_PROTECTOR;
    r = target_prepare(&target, enroll->request.tpm, &signer, error);
    if (!r)
        r = keys_stretch(secret_pin, &target.protector->kdf, &other.auth, &other.mix, error);
    if (!r)
        r = target_passphrase(&target, &other.auth, &other.mix, &passphrase, error);
    if (!r)
        *ret_kdf = target.protector->kdf;
    return r;
}

static int choose_kdf(struct enroll *enroll, const struct secret *pin, struct error *error)
{
    const struct pins *pins = &enroll->state.pins;
    struct error ignored;
    int r;

    for (size_t i = 0; i < pins->volume_count; i++) {
        if (strcmp(pins->volumes[i].uuid, enroll->pin.uuid) == 0)
            continue;
        r = opens_other(enroll, &pins->volumes[i], pin, &enroll->protector.kdf, &ignored);
        if (!r)
            return 0;
        /* the wrong try that finding out has cost is ours, not a guesser's */
        if (r == ERROR_WRONG_PIN)
            (void)provision_forgive(enroll->request.tpm, &enroll->state, &ignored);
    }
    return keys_calibrate(&enroll->request.document.kdf, &enroll->protector.kdf, error);
}

/* authPolicy of the sealed object: PolicyAuthorizeNV, then PolicyAuthValue if it has a PIN. */
static int object_policy(const struct enroll *enroll, struct digest *ret, struct error *error)
{
    int r;

    *ret = (struct digest){ 0 };
    r = policy_digest_authorize_nv(ret, &enroll->state.pins.index.name, error);
    return r || enroll->request.no_pin ? r : policy_digest_auth_value(ret, error);
}

static int seal(struct enroll *enroll, const struct secret *pin, struct material *material, struct error *error)
{
    struct protector *protector = &enroll->protector;
    struct digest policy;
    int r = 0;

    if (pin)
        r = choose_kdf(enroll, pin, error);
    if (!r && pin)
        r = keys_stretch(pin, &protector->kdf, &material->auth, &material->mix, error);
    if (!r)
        r = secret_random(&material->sealed, KEYS_SEALED_BYTES, error);
    if (!r)
        r = object_policy(enroll, &policy, error);
    return r ? r
             : tpm_seal(enroll->request.tpm, &policy, pin ? &material->auth : NULL, &material->sealed,
                        &protector->sealed, error);
}

static int update_pins(struct enroll *enroll, struct error *error)
{
    const struct policy_document *document = &enroll->request.document;
    struct pins *pins = &enroll->state.pins;
    struct pinned_volume *place = pins_find(pins, enroll->pin.uuid);

    if (!place && pins->volume_count == PINS_MAX_VOLUMES)
        return error_set(error, ERROR_REFUSED, "%d volumes are enrolled already, the most that there can be",
                         PINS_MAX_VOLUMES);
    if (!place)
        place = &pins->volumes[pins->volume_count++];
    *place = enroll->pin;
    pins_set_policy(pins, document);
    return state_save_pins(&enroll->state, error);
}

static int approve_object(struct enroll *enroll, struct error *error)
{
    struct object_name name;
    int r = sealed_name(&enroll->protector.sealed, &name, error);

    if (!r)
        r = approval_add_object(&enroll->draft, &name, error);
    if (!r)
        r = approve_switch(enroll->request.tpm, &enroll->state, &enroll->draft, error);
    return r ? r : approve_reopen(&enroll->state, &enroll->volume, error);
}

/* The TPM must give back what it was given, by the way that the running system has: authority and PIN. */
static int prove_unseal(struct enroll *enroll, const struct material *material, bool has_pin, struct error *error)
{
    cleanup(secret_free) struct secret sealed = { 0 };
    cleanup(unseal_free) struct unseal unseal = { 0 };
    struct authority_signer signer = authority_signer(enroll->state.authority);
    const struct unseal_request request = {
        .tpm = enroll->request.tpm,
        .protector = &enroll->protector,
        .approval = &enroll->state.approval,
        .authority = &signer,
    };
    int r = unseal_prepare(&unseal, &request, error);

    if (!r)
        r = unseal_finish(&unseal, has_pin ? &material->auth : NULL, &sealed, error);
    if (!r && !secret_equal(&sealed, &material->sealed))
        r = error_set(error, ERROR_TPM, "the TPM gave back another secret than it was given");
    return r ? error_prefix(error, "the new protector does not unseal") : 0;
}

static int add_keyslot(struct enroll *enroll, const struct material *material, struct error *error)
{
    cleanup(secret_free) struct secret passphrase = { 0 };
    cleanup(secret_free) struct secret key = { 0 };
    int r = keys_passphrase(&material->sealed, &material->mix, enroll->protector.id, &passphrase, error);

    if (!r)
        r = volume_keyslot_add(enroll->volume, &enroll->key, &passphrase, &enroll->protector.keyslot, error);
    if (!r)
        r = volume_keyslot_open(enroll->volume, enroll->protector.keyslot, &passphrase, &key, NULL, error);
    if (!r && !secret_equal(&key, &enroll->key))
        r = error_set(error, ERROR_FAILED, "the new keyslot gives another volume key");
    return r;
}

static int write_token(struct enroll *enroll, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    int r = protector_to_json(&enroll->protector, TOKEN_TYPE_PROTECTOR, NULL, &token, error);

    return r ? r : volume_token_write(enroll->volume, &enroll->protector.token, token, error);
}

/* After a failure in the same run: what a power cut would have left, cleared at once. The first error is the one to
 * tell. While the object cannot be withdrawn the pending token stays: it is what the next enrolment finds the object
 * by. */
static void roll_back(struct enroll *enroll)
{
    struct error ignored;
    struct object_name name;

    if (enroll->state.has_next || sealed_name(&enroll->protector.sealed, &name, &ignored) ||
        approve_withdraw(enroll->request.tpm, &enroll->state, &name, 1, &ignored))
        return;
    if (enroll->volume && !approve_reopen(&enroll->state, &enroll->volume, &ignored))
        (void)leftover_clear(enroll->volume, enroll->key_keyslot, &ignored);
}

static int change(struct enroll *enroll, const struct material *material, bool has_pin, struct error *error)
{
    int r = leftover_announce(enroll->volume, &enroll->protector, error);

    if (!r)
        r = update_pins(enroll, error);
    if (!r)
        r = approve_object(enroll, error);
    if (!r)
        r = prove_unseal(enroll, material, has_pin, error);
    if (!r)
        r = add_keyslot(enroll, material, error);
    return r ? r : write_token(enroll, error);
}

int enroll_finish(struct enroll *enroll, const struct secret *pin, struct error *error)
{
    cleanup(material_free) struct material material = { 0 };
    struct error later;
    int r = describe_protector(enroll, error);

    if (!r)
        r = seal(enroll, pin, &material, error);
    if (r)
        return r;
    r = change(enroll, &material, pin != NULL, error);
    if (r) {
        roll_back(enroll);
        return r;
    }
    (void)leftover_clear(enroll->volume, enroll->key_keyslot,
                         &later); /* the protector is there: a leftover is no failure */
    return 0;
}
