#include "policy/approval.h"
#include "policy/digest.h"

#include "base/cleanup.h"

/* What a suspension holds at besides the cap: the TPM has been reset since it was made, at most so often, never
 * restarted from Shutdown(STATE), which would not count as a reset; and before the clock has run out. */
static int suspend_limits(const struct branch *branch, struct digest *policy, struct error *error)
{
    const struct {
        uint64_t operand;
        size_t size;
        uint16_t offset;
        enum policy_operation operation;
    } limits[] = {
        { branch->after, 4, POLICY_TIME_RESET_COUNT, POLICY_UNSIGNED_GREATER },
        { branch->until, 4, POLICY_TIME_RESET_COUNT, POLICY_UNSIGNED_LESS_OR_EQUAL },
        { 0, 4, POLICY_TIME_RESTART_COUNT, POLICY_EQUAL },
        { branch->clock_ms, 8, POLICY_TIME_CLOCK, POLICY_UNSIGNED_LESS_OR_EQUAL },
    };
    size_t count = branch->has_clock ? array_size(limits) : array_size(limits) - 1;
    int r = 0;

    for (size_t i = 0; !r && i < count; i++)
        r = policy_digest_counter_timer(policy, limits[i].operand, limits[i].size, limits[i].offset,
                                        limits[i].operation, error);
    return r;
}

static int pcr_condition(const struct approval *approval, const struct branch *branch, uint32_t mask,
                         struct digest *policy, struct error *error)
{
    if (branch->values.bank != approval->bank || (mask & ~branch->values.mask) != 0)
        return error_set(error, ERROR_METADATA, "a branch does not have the PCR values that the approval selects");
    return policy_digest_pcr(policy, &branch->values, mask, error);
}

static int signed_condition(const struct branch *branch, struct digest *policy, struct error *error)
{
    struct object_name name;
    int r = authority_name(&branch->authority, &name, error);

    return r ? r : policy_digest_signed(policy, &name, authority_policy_ref(AUTHORITY_ADMIN), error);
}

static int branch_condition(const struct approval *approval, const struct branch *branch, struct digest *policy,
                            struct error *error)
{
    uint32_t cap = approval->cap < PCR_COUNT ? 1u << approval->cap : 0;
    int r;

    switch (branch->kind) {
    case BRANCH_BOOT:
        return pcr_condition(approval, branch, approval->pcrs, policy, error);
    case BRANCH_SUSPEND:
        r = pcr_condition(approval, branch, cap, policy, error);
        return r ? r : suspend_limits(branch, policy, error);
    case BRANCH_AUTHORITY:
        return signed_condition(branch, policy, error);
    }
    return error_set(error, ERROR_METADATA, "the approval has a branch of an unknown kind");
}

int approval_branch_digest(const struct approval *approval, size_t i, struct digest *ret, struct error *error)
{
    struct digest policy = { 0 };
    int r;

    if (i >= approval->branch_count)
        return error_set(error, ERROR_METADATA, "branch %zu is not among the %zu of the approval", i,
                         approval->branch_count);
    r = branch_condition(approval, &approval->branches[i], &policy, error);
    if (!r)
        *ret = policy;
    return r;
}

static int branch_leaves(const struct approval *approval, struct digest leaves[APPROVAL_MAX_BRANCHES],
                         struct error *error)
{
    int r = 0;

    if (approval->branch_count < 2 || approval->branch_count > APPROVAL_MAX_BRANCHES)
        return error_set(error, ERROR_METADATA, "an approval has 2 to %d branches, not %zu", APPROVAL_MAX_BRANCHES,
                         approval->branch_count);
    for (size_t i = 0; !r && i < approval->branch_count; i++)
        r = approval_branch_digest(approval, i, &leaves[i], error);
    return r;
}

/* d_i for each object, on top of the root of the branches. */
static int object_leaves(const struct approval *approval, const struct digest *root,
                         struct digest leaves[APPROVAL_MAX_OBJECTS], struct error *error)
{
    int r = 0;

    if (approval->object_count < 1 || approval->object_count > APPROVAL_MAX_OBJECTS)
        return error_set(error, ERROR_METADATA, "an approval has 1 to %d protectors, not %zu", APPROVAL_MAX_OBJECTS,
                         approval->object_count);
    for (size_t i = 0; !r && i < approval->object_count; i++) {
        struct digest cp_hash;

        leaves[i] = *root;
        r = policy_unseal_cp_hash(&approval->objects[i], &cp_hash, error);
        r = r ? r : policy_digest_cp_hash(&leaves[i], &cp_hash, error);
    }
    return r;
}

/* Both trees' leaves, from the bottom up. */
struct leaves {
    struct digest branches[APPROVAL_MAX_BRANCHES];
    struct digest objects[APPROVAL_MAX_OBJECTS];
};

static int all_leaves(const struct approval *approval, struct leaves *ret, struct error *error)
{
    struct digest root;
    int r = branch_leaves(approval, ret->branches, error);

    r = r ? r : or_tree_root(ret->branches, approval->branch_count, &root, error);
    return r ? r : object_leaves(approval, &root, ret->objects, error);
}

int approval_digest(const struct approval *approval, struct digest *ret, struct error *error)
{
    struct leaves leaves;
    int r = all_leaves(approval, &leaves, error);

    return r ? r : or_tree_root(leaves.objects, approval->object_count, ret, error);
}

int approval_path(const struct approval *approval, size_t branch, size_t object, struct approval_path *ret,
                  struct error *error)
{
    struct leaves leaves;
    int r = all_leaves(approval, &leaves, error);

    r = r ? r : or_tree_path(leaves.branches, approval->branch_count, branch, &ret->branches, error);
    r = r ? r : or_tree_path(leaves.objects, approval->object_count, object, &ret->objects, error);
    return r ? r : policy_unseal_cp_hash(&approval->objects[object], &ret->cp_hash, error);
}
