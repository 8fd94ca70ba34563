/* The list of approved branches, and the digests and paths that follow from it. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "policy/approval.h"

#include <string.h>

/* Written and read again it is the same list: the same digest, or the same refusal. */
static void require_lasts(const struct approval *approval, const struct approval *next)
{
    cleanup(json_free) struct json_object *object = json_object_new_object();
    cleanup(approval_free) struct approval again = { 0 };
    cleanup(approval_free) struct approval again_next = { 0 };
    struct json_view view = { .object = object, .source = "token 4", .kind = ERROR_METADATA };
    struct digest a, b;
    struct error error;
    bool has_next;
    int r;

    fuzz_require(object && !approval_to_json(approval, next, object, &error));
    fuzz_require(!approval_from_json(&view, &again, &again_next, &has_next, &error));
    fuzz_require(has_next == (next != NULL) && again.branch_count == approval->branch_count);
    r = approval_digest(approval, &a, &error);
    fuzz_require(r == approval_digest(&again, &b, &error));
    fuzz_require(r || memcmp(a.bytes, b.bytes, DIGEST_BYTES) == 0);
}

static void try_paths(const struct approval *approval)
{
    struct pcr_values now = { .bank = approval->bank, .mask = approval->pcrs };
    struct approval_path path;
    struct digest digest;
    struct error error;
    int nearest;

    for (size_t i = 0; i < approval->branch_count; i++)
        fuzz_require_told(approval_branch_digest(approval, i, &digest, &error), &error);
    if (approval->branch_count && approval->object_count)
        fuzz_require_told(
            approval_path(approval, approval->branch_count - 1, approval->object_count - 1, &path, &error), &error);
    (void)approval_mismatch(approval, &now, &nearest);
    fuzz_require(nearest >= -1 && nearest < (int)approval->branch_count);
    (void)approval_find_state(approval, &now);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cleanup(json_free) struct json_object *document = NULL;
    cleanup(approval_free) struct approval approval = { 0 };
    cleanup(approval_free) struct approval next = { 0 };
    cleanup(approval_free) struct approval copy = { 0 };
    struct json_view view;
    struct error error;
    bool has_next;
    int r;

    if (!fuzz_json(fuzz_span(bytes, size), &view, &document))
        return 0;
    r = approval_from_json(&view, &approval, &next, &has_next, &error);
    fuzz_require_told(r, &error);
    if (r)
        return 0;
    fuzz_require(approval.branch_count <= APPROVAL_MAX_BRANCHES && approval.object_count <= APPROVAL_MAX_OBJECTS);
    require_lasts(&approval, has_next ? &next : NULL);
    try_paths(&approval);
    fuzz_require(!approval_copy(&approval, &copy, &error));
    return 0;
}
