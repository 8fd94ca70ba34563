#include "policy/approval.h"

#include "base/cleanup.h"
#include "policy/digest.h"
#include "policy/label.h"

#include <string.h>

void approval_free(struct approval *approval)
{
    free(approval->branches);
    free(approval->objects);
    *approval = (struct approval){ 0 };
}

int approval_copy(const struct approval *from, struct approval *ret, struct error *error)
{
    cleanup(approval_free) struct approval copy = { .bank = from->bank, .pcrs = from->pcrs, .cap = from->cap };
    int r = 0;

    for (size_t i = 0; !r && i < from->branch_count; i++)
        r = approval_add_branch(&copy, &from->branches[i], error);
    for (size_t i = 0; !r && i < from->object_count; i++)
        r = approval_add_object(&copy, &from->objects[i], error);
    if (r)
        return r;
    *ret = copy;
    copy = (struct approval){ 0 };
    return 0;
}

int approval_add_branch(struct approval *approval, const struct branch *branch, struct error *error)
{
    struct branch *grown;

    if (approval->branch_count >= APPROVAL_MAX_BRANCHES) {
        error_set(error, ERROR_REFUSED, "an approval holds %d branches at most", APPROVAL_MAX_BRANCHES);
        return error_remedy(error, "drop the boot states that are no longer used with \"bootseal reseal --commit\"");
    }
    grown = reallocarray(approval->branches, approval->branch_count + 1, sizeof(*grown));
    if (!grown)
        return error_no_memory(error);
    approval->branches = grown;
    grown[approval->branch_count] = *branch;
    branch_label_clean(grown[approval->branch_count].label);
    branch_entry_clean(grown[approval->branch_count].entry);
    approval->branch_count++;
    return 0;
}

int approval_add_object(struct approval *approval, const struct object_name *object, struct error *error)
{
    struct object_name *grown;

    if (approval->object_count >= APPROVAL_MAX_OBJECTS) {
        error_set(error, ERROR_REFUSED, "an approval holds %d protectors at most", APPROVAL_MAX_OBJECTS);
        return error_remedy(error, "remove a protector that is no longer used with \"bootseal remove\"");
    }
    grown = reallocarray(approval->objects, approval->object_count + 1, sizeof(*grown));
    if (!grown)
        return error_no_memory(error);
    approval->objects = grown;
    grown[approval->object_count++] = *object;
    return 0;
}

void approval_remove_branch(struct approval *approval, size_t i)
{
    struct branch *branches = approval->branches;

    if (i >= approval->branch_count)
        return;
    approval->branch_count--;
    memmove(branches + i, branches + i + 1, (approval->branch_count - i) * sizeof(*branches));
}

void approval_remove_object(struct approval *approval, size_t i)
{
    struct object_name *objects = approval->objects;

    if (i >= approval->object_count)
        return;
    approval->object_count--;
    memmove(objects + i, objects + i + 1, (approval->object_count - i) * sizeof(*objects));
}

int approval_find_branch(const struct approval *approval, enum branch_kind kind)
{
    for (size_t i = 0; i < approval->branch_count; i++)
        if (approval->branches[i].kind == kind)
            return (int)i;
    return -1;
}

int approval_find_state(const struct approval *approval, const struct pcr_values *values)
{
    for (size_t i = 0; values->bank == approval->bank && i < approval->branch_count; i++)
        if (approval->branches[i].kind == BRANCH_BOOT &&
            !pcr_values_differ(&approval->branches[i].values, values, approval->pcrs))
            return (int)i;
    return -1;
}

int approval_find_object(const struct approval *approval, const struct object_name *object)
{
    for (size_t i = 0; i < approval->object_count; i++)
        if (object_name_equal(&approval->objects[i], object))
            return (int)i;
    return -1;
}

uint32_t approval_mismatch(const struct approval *approval, const struct pcr_values *now, int *ret_branch)
{
    uint32_t nearest = approval->pcrs;
    int found = -1;

    for (size_t i = 0; i < approval->branch_count && now->bank == approval->bank; i++) {
        const struct branch *branch = &approval->branches[i];
        uint32_t differ;

        if (branch->kind != BRANCH_BOOT || branch->values.bank != now->bank)
            continue;
        differ = pcr_values_differ(now, &branch->values, approval->pcrs);
        if (found < 0 || __builtin_popcount(differ) < __builtin_popcount(nearest)) {
            nearest = differ;
            found = (int)i;
        }
    }
    if (ret_branch)
        *ret_branch = found;
    return nearest;
}
