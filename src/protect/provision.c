#include "protect/provision.h"

#include "base/cleanup.h"
#include "policy/digest.h"
#include "tpm/lockout.h"

/* authPolicy of the index: PolicySigned(authority, "bootseal approve"). */
static int index_policy(const struct state *state, struct digest *ret, struct error *error)
{
    *ret = (struct digest){ 0 };
    return policy_digest_signed(ret, &state->pins.authority, authority_policy_ref(AUTHORITY_APPROVE), error);
}

static int provision_srk(struct tpm *tpm, struct state *state, struct error *error)
{
    struct entity srk;
    int r = tpm_srk_make(tpm, &srk, error);

    if (r)
        return r;
    if (state->has_pins && !object_name_equal(&srk.name, &state->pins.srk.name)) {
        error_set(error, ERROR_TPM, "\"%s\" belongs to another TPM, or this one was cleared", state->folder);
        return error_remedy(error,
                            "if this machine's TPM was cleared or replaced: bootseal remove its protectors, move "
                            "the folder away, and enroll anew");
    }
    state->pins.srk = srk;
    return 0;
}

static int choose_index(struct tpm *tpm, struct state *state, struct error *error)
{
    struct digest policy;
    uint32_t handle;
    int r = index_policy(state, &policy, error);

    if (!r)
        r = tpm_index_find_free(tpm, &handle, error);
    return r ? r : tpm_index_describe(handle, &policy, &state->pins.index, error);
}

/* Deleted, or made again by someone with empty owner authorisation: ours is put back, and then written. */
static int restore_index(struct tpm *tpm, struct state *state, bool *ret_lost, struct error *error)
{
    const struct entity *index = &state->pins.index;
    enum tpm_index_condition condition;
    int r = tpm_index_probe(tpm, index, &condition, error);

    *ret_lost = !r && condition != TPM_INDEX_WRITTEN;
    if (r || condition == TPM_INDEX_WRITTEN)
        return r;
    if (condition != TPM_INDEX_ABSENT)
        r = tpm_index_undefine(tpm, index, error);
    return r ? r : tpm_index_define(tpm, index, error);
}

int provision_tpm(struct tpm *tpm, struct state *state, bool *ret_index_lost, struct error *error)
{
    struct authority_signer signer;
    bool lost;
    int r = provision_srk(tpm, state, error);

    if (!r && !state->authority)
        r = error_set(error, ERROR_FAILED, "the state folder \"%s\" has no authority", state->folder);
    if (r)
        return r;
    signer = authority_signer(state->authority);
    if (!state->has_pins)
        r = authority_name(&signer.public, &state->pins.authority, error);
    if (!r && !state->has_pins)
        r = choose_index(tpm, state, error);
    if (!r)
        r = restore_index(tpm, state, &lost, error);
    if (!r)
        r = tpm_index_use(tpm, &state->pins.index, error);
    if (!r && ret_index_lost)
        *ret_index_lost = lost;
    return r;
}

static int make_lockout_auth(struct tpm *tpm, const struct state *state, struct secret *ret, struct error *error)
{
    int r = state_read_lockout_auth(state, ret, error);

    if (r)
        return r;
    if (!ret->size) {
        r = secret_random(ret, TPM_LOCKOUT_AUTH_BYTES, error);
        /* a TPM drops trailing zero bytes of an authValue */
        if (!r)
            ret->bytes[ret->size - 1] |= 1;
        if (!r)
            r = state_save_lockout_auth(state, ret, error);
    }
    return r ? r : tpm_lockout_set_auth(tpm, NULL, ret, error);
}

/* An authorisation that the TPM refuses is an old one: of a restored backup, or from before the TPM was cleared. */
static int note_refusal(const struct state *state, struct error *error)
{
    struct error failed;

    if (error->tpm_code != TPM_CODE_WRONG_AUTH)
        return (int)error->kind;
    if (state_refuse_lockout_auth(state, &failed))
        return error_prefix(error, "%s", failed.text);
    error_set(error, ERROR_TPM,
              "the TPM has another lockout authorisation than \"%s\" holds; it was tried once and is "
              "put aside",
              state->folder);
    return error_remedy(error,
                        "if the folder was restored from a backup, bring back the newest lockout-auth; else clear "
                        "the TPM in the firmware's setup and enroll anew");
}

static bool limits_are_strict(const struct tpm_state *now, const struct lockout_rules *rules)
{
    return now->max_tries > 0 && now->max_tries <= rules->max_tries && now->recovery_s >= rules->recovery_s;
}

static int refuse_foreign_lockout(const struct tpm_state *now, const struct lockout_rules *rules, struct error *error)
{
    if (limits_are_strict(now, rules))
        return 0;
    error_set(error, ERROR_REFUSED,
              "the TPM's lockout authorisation was set by someone else, and its limits are too loose for a PIN: %u "
              "tries, one more each %u s; the policy wants at most %u and at least %u s",
              now->max_tries, now->recovery_s, rules->max_tries, rules->recovery_s);
    return error_remedy(error,
                        "clear the TPM in the firmware's setup (what other programs sealed is lost), then enroll");
}

int provision_lockout(struct tpm *tpm, const struct state *state, const struct lockout_rules *rules,
                      struct error *error)
{
    cleanup(secret_free) struct secret auth = { 0 };
    struct tpm_state now;
    int r = tpm_state_read(tpm, &now, error);

    if (r)
        return r;
    r = now.lockout_auth_set ? state_read_lockout_auth(state, &auth, error)
                             : make_lockout_auth(tpm, state, &auth, error);
    if (r)
        return error_prefix(error, "lockout authorisation");
    if (!auth.size)
        return refuse_foreign_lockout(&now, rules, error);
    if (now.max_tries == rules->max_tries && now.recovery_s == rules->recovery_s &&
        now.lockout_recovery_s == rules->lockout_recovery_s && now.lockout_auth_set)
        return 0;
    r = tpm_lockout_set_limits(tpm, &auth, rules->max_tries, rules->recovery_s, rules->lockout_recovery_s, error);
    return r ? note_refusal(state, error) : 0;
}

int provision_forgive(struct tpm *tpm, const struct state *state, struct error *error)
{
    cleanup(secret_free) struct secret auth = { 0 };
    int r = state_read_lockout_auth(state, &auth, error);

    if (r || !auth.size)
        return r;
    r = tpm_lockout_reset(tpm, &auth, error);
    return r ? note_refusal(state, error) : 0;
}
