#include "protect/provision/provision.h"

#include "base/cleanup.h"
#include "policy/digest.h"

/* authPolicy of the index: PolicySigned(authority, "bootseal approve"). */
static int index_policy(const struct state *state, struct digest *ret, struct error *error)
{
    *ret = (struct digest){ 0 };
    return policy_digest_signed(ret, &state->pins.authority, authority_policy_ref(AUTHORITY_APPROVE), error);
}

int provision_srk(struct tpm *tpm, struct state *state, struct error *error)
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

/*
 * The index for a machine that has no pins yet. One that this authority may write is there when an earlier run was cut
 * after defining it: that one is taken, else the first free handle.
 */
static int choose_index(struct tpm *tpm, struct state *state, struct error *error)
{
    struct entity *index = &state->pins.index;
    enum tpm_index_condition condition;
    struct digest policy;
    uint32_t free_handle;
    int r = index_policy(state, &policy, error);

    for (uint32_t handle = TPM_INDEX_FIRST; !r && handle <= TPM_INDEX_LAST; handle++) {
        r = tpm_index_describe(handle, &policy, index, error);
        if (!r)
            r = tpm_index_probe(tpm, index, &condition, error);
        if (!r && (condition == TPM_INDEX_UNWRITTEN || condition == TPM_INDEX_WRITTEN))
            return 0;
    }
    if (!r)
        r = tpm_index_find_free(tpm, &free_handle, error);
    return r ? r : tpm_index_describe(free_handle, &policy, index, error);
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

int provision_describe_index(struct tpm *tpm, struct state *state, struct error *error)
{
    struct authority_signer signer = authority_signer(state->authority);
    int r = authority_name(&signer.public, &state->pins.authority, error);

    return r ? r : choose_index(tpm, state, error);
}

/* Only the authority that the index was made for can write it. */
static int check_authority(const struct state *state, struct error *error)
{
    struct authority_signer signer;
    struct object_name name;
    int r;

    if (state->authority && !state->has_pins)
        return 0;
    if (state->authority) {
        signer = authority_signer(state->authority);
        r = authority_name(&signer.public, &name, error);
        if (r || object_name_equal(&name, &state->pins.authority))
            return r;
        error_set(error, ERROR_FAILED, "the authority in \"%s\" is not the one that the approval index was made for",
                  state->folder);
    } else {
        error_set(error, ERROR_FAILED, "the state folder \"%s\" has no authority", state->folder);
    }
    return error_remedy(error,
                        "bring authority.pem back from a backup; else, with a recovery key or passphrase of each "
                        "volume at hand: move the folder away, bootseal remove its protectors, and enroll anew");
}

int provision_index(struct tpm *tpm, struct state *state, bool *ret_index_lost, struct error *error)
{
    bool lost;
    int r = check_authority(state, error);

    if (!r && !state->has_pins)
        r = provision_describe_index(tpm, state, error);
    if (!r)
        r = restore_index(tpm, state, &lost, error);
    if (!r)
        r = tpm_index_use(tpm, &state->pins.index, error);
    if (!r && ret_index_lost)
        *ret_index_lost = lost;
    return r;
}

int provision_tpm(struct tpm *tpm, struct state *state, bool *ret_index_lost, struct error *error)
{
    int r = provision_srk(tpm, state, error);

    return r ? r : provision_index(tpm, state, ret_index_lost, error);
}
