#include "policy/or-tree.h"

#include "policy/digest.h"

#include <string.h>

static size_t groups_of(size_t count)
{
    return (count + OR_GROUP - 1) / OR_GROUP;
}

static size_t group_size(size_t count, size_t group)
{
    size_t rest = count - group * OR_GROUP;

    return rest < OR_GROUP ? rest : OR_GROUP;
}

/* One level up: `ret` gets a digest per group. It may be `from`, since a group is read before its digest is written
 * and never lies before it. */
static int fold_level(const struct digest *from, size_t count, struct digest *ret, struct error *error)
{
    for (size_t i = 0; i < groups_of(count); i++) {
        const struct digest *group = from + i * OR_GROUP;
        int r = 0;

        if (group_size(count, i) == 1)
            ret[i] = *group;
        else
            r = policy_digest_or(&ret[i], group, group_size(count, i), error);
        if (r)
            return r;
    }
    return 0;
}

static int check_count(size_t count, struct error *error)
{
    if (count == 0 || count > OR_MAX_LEAVES)
        return error_set(error, ERROR_METADATA, "a policy joins one to %d branches, not %zu", OR_MAX_LEAVES, count);
    return 0;
}

int or_tree_root(const struct digest *leaves, size_t count, struct digest *ret, struct error *error)
{
    struct digest level[OR_MAX_LEAVES / OR_GROUP];
    int r = check_count(count, error);

    while (!r && count > 1) {
        r = fold_level(leaves, count, level, error);
        count = groups_of(count);
        leaves = level;
    }
    if (!r)
        *ret = leaves[0];
    return r;
}

static void add_step(struct or_path *path, const struct digest *group, size_t count)
{
    struct or_step *step = &path->steps[path->count++];

    memcpy(step->list, group, count * sizeof(*group));
    step->count = count;
}

int or_tree_path(const struct digest *leaves, size_t count, size_t leaf, struct or_path *ret, struct error *error)
{
    struct digest level[OR_MAX_LEAVES / OR_GROUP];
    int r = check_count(count, error);

    *ret = (struct or_path){ 0 };
    if (!r && leaf >= count)
        return error_set(error, ERROR_METADATA, "branch %zu is not among the %zu of the policy", leaf, count);
    while (!r && count > 1) {
        size_t group = leaf / OR_GROUP;

        if (group_size(count, group) > 1)
            add_step(ret, leaves + group * OR_GROUP, group_size(count, group));
        r = fold_level(leaves, count, level, error);
        leaf = group;
        count = groups_of(count);
        leaves = level;
    }
    return r;
}
