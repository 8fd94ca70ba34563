/* The lockout authorisation and what it sets. Whoever has it can reset the counter of wrong PINs. */
#include "protect/provision/provision.h"

#include "base/cleanup.h"
#include "protect/provision/lockout-refusal.h"
#include "tpm/lockout.h"

static int make_lockout_auth(struct tpm *tpm, const struct state *state, struct secret *ret, struct error *error)
{
    int r = state_read_lockout_auth(state, ret, error);

    if (r)
        return r;
    if (!ret->size) {
        r = secret_random(ret, TPM_LOCKOUT_AUTH_BYTES, error);
        /* a TPM drops trailing zero bytes of an authValue, and a file's last newline is dropped by people */
        if (!r)
            ret->bytes[ret->size - 1] |= 1;
        if (!r)
            r = state_save_lockout_auth(state, ret, error);
    }
    return r ? r : tpm_lockout_set_auth(tpm, NULL, ret, error);
}

static int tell_how_long(const struct lockout_refusal *now, struct error *error)
{
    if (now->recovery_s == 0)
        return error_remedy(error, "reboot: the TPM takes one again after its next start");
    return error_remedy(error, "leave the machine switched on: the TPM takes one again after %u s at the most",
                        now->recovery_s);
}

/* The one place that sends a lockout authorisation which may be wrong. Sets the limits, or with NULL the counter to 0.
 */
static int use_auth(struct tpm *tpm, const struct state *state, const struct secret *auth,
                    const struct lockout_rules *limits, struct error *error)
{
    struct lockout_refusal refusal;
    struct error failed;
    int r = lockout_refusal_prepare(tpm, state, auth, &refusal, error);

    if (!r)
        r = lockout_refusal_check(state, &refusal, error);
    if (r)
        return r;
    if (limits)
        r = tpm_lockout_set_limits(tpm, auth, limits->max_tries, limits->recovery_s, limits->lockout_recovery_s, error);
    else
        r = tpm_lockout_reset(tpm, auth, error);
    if (!r)
        return lockout_refusal_forget(state, error);
    if (error->tpm_code == TPM_CODE_WRONG_AUTH && lockout_refusal_write(state, &refusal, &failed))
        error_prefix(error, "%s", failed.text);
    return error->tpm_code == TPM_CODE_LOCKOUT ? tell_how_long(&refusal, error) : r;
}

/* A kept one that the TPM refuses is an old one: of a restored backup, or somebody has changed it since. */
static int use_kept(struct tpm *tpm, const struct state *state, const struct secret *auth,
                    const struct lockout_rules *limits, struct error *error)
{
    struct error failed;
    int r = use_auth(tpm, state, auth, limits, error);

    if (!r || error->tpm_code != TPM_CODE_WRONG_AUTH)
        return r;
    if (state_refuse_lockout_auth(state, &failed))
        return error_prefix(error, "%s", failed.text);
    error_set(error, ERROR_TPM,
              "the TPM has another lockout authorisation than \"%s\" holds; it was tried once and is put aside as "
              "lockout-auth.refused",
              state->folder);
    return error_remedy(error,
                        "if the folder was restored from a backup, give the newest lockout-auth: bootseal provision "
                        "--lockout-auth-file FILE; else clear the TPM in the firmware's setup and enroll anew");
}

/* One that somebody else has set, and gives. It stays what it is, and is kept once the TPM has taken it. */
static int use_given(struct tpm *tpm, const struct state *state, const struct secret *given,
                     const struct lockout_rules *limits, struct error *error)
{
    int r = use_auth(tpm, state, given, limits, error);

    if (!r)
        return state_save_lockout_auth(state, given, error);
    if (error->tpm_code != TPM_CODE_WRONG_AUTH)
        return r;
    error_set(error, ERROR_TPM,
              "the TPM has another lockout authorisation than the one that was given; it takes none "
              "for some time now");
    return error_remedy(error, "find the right one; see bootseal-provision(8) for when it can be tried");
}

static bool limits_are_strict(const struct tpm_state *now, const struct lockout_rules *rules)
{
    return now->max_tries > 0 && now->max_tries <= rules->max_tries && now->recovery_s >= rules->recovery_s;
}

static bool limits_are(const struct tpm_state *now, const struct lockout_rules *rules)
{
    return now->max_tries == rules->max_tries && now->recovery_s == rules->recovery_s &&
           now->lockout_recovery_s == rules->lockout_recovery_s;
}

static int refuse_foreign_lockout(const struct tpm_state *now, const struct lockout_rules *rules, struct error *error)
{
    if (limits_are_strict(now, rules))
        return 0;
    error_set(error, ERROR_REFUSED,
              "the TPM's lockout authorisation was set by someone else, and its limits are too loose for a PIN: %u "
              "tries, one more each %u s; the policy wants at most %u and at least %u s",
              now->max_tries, now->recovery_s, rules->max_tries, rules->recovery_s);
    return error_remedy(error, "give it: bootseal provision --lockout-auth-file FILE; or clear the TPM in the "
                               "firmware's setup (what other programs sealed is lost), then enroll");
}

static int provision(struct tpm *tpm, const struct state *state, const struct lockout_rules *rules,
                     const struct secret *given, bool prove, struct error *error)
{
    cleanup(secret_free) struct secret auth = { 0 };
    struct tpm_state now;
    int r = tpm_state_read(tpm, &now, error);

    if (r)
        return r;
    if (now.lockout_auth_set && given && given->size)
        return use_given(tpm, state, given, rules, error);
    r = now.lockout_auth_set ? state_read_lockout_auth(state, &auth, error)
                             : make_lockout_auth(tpm, state, &auth, error);
    if (r)
        return error_prefix(error, "lockout authorisation");
    if (!auth.size)
        return refuse_foreign_lockout(&now, rules, error);
    if (!prove && now.lockout_auth_set && limits_are(&now, rules))
        return 0;
    return use_kept(tpm, state, &auth, rules, error);
}

int provision_lockout(struct tpm *tpm, const struct state *state, const struct lockout_rules *rules,
                      struct error *error)
{
    return provision(tpm, state, rules, NULL, false, error);
}

int provision_lockout_with(struct tpm *tpm, const struct state *state, const struct lockout_rules *rules,
                           const struct secret *given, struct error *error)
{
    return provision(tpm, state, rules, given, true, error);
}

int provision_forgive(struct tpm *tpm, const struct state *state, struct error *error)
{
    cleanup(secret_free) struct secret auth = { 0 };
    int r = state_read_lockout_auth(state, &auth, error);

    return r || !auth.size ? r : use_kept(tpm, state, &auth, NULL, error);
}
