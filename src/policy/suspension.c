#include "policy/suspension.h"

#include "policy/approval-words.h"

bool suspension_find(const struct approval *approval, struct suspension *ret)
{
    int i = approval_find_branch(approval, BRANCH_SUSPEND);
    const struct branch *branch = i < 0 ? NULL : &approval->branches[i];

    if (!branch)
        return false;
    *ret = (struct suspension){
        .after = branch->after,
        .until = branch->until,
        .has_clock = branch->has_clock,
        .clock_ms = branch->clock_ms,
        .purpose = branch->purpose,
        .then_reseal = branch->then_reseal,
        .without_pin = branch->without_pin,
    };
    return true;
}

bool suspension_drop(struct approval *approval)
{
    size_t before = approval->branch_count;
    int i;

    while ((i = approval_find_branch(approval, BRANCH_SUSPEND)) >= 0)
        approval_remove_branch(approval, (size_t)i);
    return approval->branch_count < before;
}

static size_t count_suspend_branches(const struct approval *approval)
{
    size_t count = 0;

    for (size_t i = 0; i < approval->branch_count; i++)
        count += approval->branches[i].kind == BRANCH_SUSPEND;
    return count;
}

static bool has_cap(const struct approval *approval, const struct pcr_values *values)
{
    for (size_t i = 0; i < approval->branch_count; i++)
        if (approval->branches[i].kind == BRANCH_SUSPEND &&
            !pcr_values_differ(&approval->branches[i].values, values, 1u << approval->cap))
            return true;
    return false;
}

/* The value of the cap PCR that `values` have, once. */
static int add(struct approval *approval, const struct suspension *suspension, const struct pcr_values *values,
               struct error *error)
{
    struct branch branch = {
        .kind = BRANCH_SUSPEND,
        .values = *values,
        .after = suspension->after,
        .until = suspension->until,
        .has_clock = suspension->has_clock,
        .clock_ms = suspension->clock_ms,
        .purpose = suspension->purpose,
        .then_reseal = suspension->then_reseal,
        .without_pin = suspension->without_pin,
    };

    if (values->bank != approval->bank || !(values->mask & 1u << approval->cap))
        return error_set(error, ERROR_FAILED, "a suspension needs the value of PCR %u before the cap", approval->cap);
    branch.values.mask = 1u << approval->cap;
    if (has_cap(approval, &branch.values) || count_suspend_branches(approval) == SUSPEND_MAX_CAPS)
        return 0;
    return approval_add_branch(approval, &branch, error);
}

/* The running boot's values go first, should there be more than there is room for. */
int suspension_set(struct approval *approval, const struct suspension *suspension, const struct pcr_values *more,
                   size_t more_count, struct error *error)
{
    const struct pcr_values zero = { .bank = approval->bank, .mask = 1u << approval->cap };
    size_t count;
    int r = 0;

    (void)suspension_drop(approval);
    count = approval->branch_count;
    for (size_t i = 0; !r && i < more_count; i++)
        r = add(approval, suspension, &more[i], error);
    r = r ? r : add(approval, suspension, &zero, error);
    for (size_t i = 0; !r && i < count; i++)
        if (approval->branches[i].kind == BRANCH_BOOT)
            r = add(approval, suspension, &approval->branches[i].values, error);
    return r;
}

static bool is_late(const struct suspension *suspension, const struct suspension_time *now)
{
    return suspension->has_clock && now->clock_ms > suspension->clock_ms;
}

unsigned suspension_reboots_left(const struct suspension *suspension, const struct suspension_time *now)
{
    if (is_late(suspension, now) || now->reset_count >= suspension->until)
        return 0;
    /* as many as there are: a reset count below `after` is another TPM's */
    return suspension->until - (now->reset_count < suspension->after ? suspension->after : now->reset_count);
}

bool suspension_covers_running(const struct suspension *suspension, const struct suspension_time *now)
{
    return !is_late(suspension, now) && now->reset_count > suspension->after && now->reset_count <= suspension->until;
}

const char *suspend_purpose_name(enum suspend_purpose purpose)
{
    return suspend_purpose_words[purpose];
}
