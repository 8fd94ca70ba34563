/* The tokens of protectors (and of pending ones, which are the same) and of recovery keys: what is read and written
 * again reads the same. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "luks/recovery.h"
#include "luks/token.h"
#include "protect/unlock/operators.h"

#include <string.h>

static void require_same(struct json_object *a, struct json_object *b)
{
    fuzz_require(json_object_equal(a, b));
}

static struct json_view view_of(struct json_object *object)
{
    return (struct json_view){ .object = object, .source = "token 4", .kind = ERROR_METADATA };
}

static void try_protector(const struct json_view *view, const char *type)
{
    cleanup(json_free) struct json_object *kept = NULL;
    cleanup(json_free) struct json_object *plain = NULL;
    cleanup(json_free) struct json_object *again = NULL;
    struct protector protector, copy;
    struct json_view plain_view;
    struct error error;
    int r = protector_from_json(view, 3, &protector, &error);

    fuzz_require_told(r, &error);
    if (r)
        return;
    fuzz_require(protector.token == 3 && protector.keyslot >= -1 && protector.keyslot < VOLUME_MAX_KEYSLOTS);
    fuzz_require(protector.operator_number <= PROTECTOR_OPERATOR_MAX);
    fuzz_require(!protector_to_json(&protector, type, view->object, &kept, &error));
    fuzz_require(!protector_to_json(&protector, type, NULL, &plain, &error));
    plain_view = view_of(plain);
    fuzz_require(!protector_from_json(&plain_view, 3, &copy, &error));
    fuzz_require(!protector_to_json(&copy, type, NULL, &again, &error));
    require_same(plain, again);
}

static void try_recovery(const struct json_view *view)
{
    cleanup(json_free) struct json_object *kept = NULL;
    cleanup(json_free) struct json_object *plain = NULL;
    cleanup(json_free) struct json_object *again = NULL;
    struct recovery recovery, copy;
    struct json_view plain_view;
    struct error error;
    int r = recovery_from_json(view, 3, &recovery, &error);

    fuzz_require_told(r, &error);
    if (r)
        return;
    fuzz_require(strlen(recovery.id) + 1 == RECOVERY_ID_TEXT);
    fuzz_require(!recovery_to_json(&recovery, view->object, &kept, &error));
    fuzz_require(!recovery_to_json(&recovery, NULL, &plain, &error));
    plain_view = view_of(plain);
    fuzz_require(!recovery_from_json(&plain_view, 3, &copy, &error));
    fuzz_require(!recovery_to_json(&copy, NULL, &again, &error));
    require_same(plain, again);
}

/* Several tokens of one volume ask for a number: their labels stand in the question. */
static void try_question(const struct json_view *view)
{
    cleanup(free_ptr) struct protector *items = calloc(2, sizeof(*items));
    struct operator_list operators = { 0 };
    struct protector_list list = { .items = items, .count = 2 };
    char prompt[OPERATOR_PROMPT_TEXT];
    struct error error;

    fuzz_require(items);
    if (protector_from_json(view, 3, &items[0], &error))
        return;
    items[1] = items[0];
    items[1].operator_number = 7;
    operators_add(&operators, &list);
    operators_prompt(&operators, 7, prompt);
    fuzz_require(strlen(prompt) < sizeof(prompt) && !strpbrk(prompt, "\r\n\x1b\x7f"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view;

    if (!fuzz_json(fuzz_span(bytes, size), &view, &document))
        return 0;
    try_protector(&view, TOKEN_TYPE_PROTECTOR);
    try_protector(&view, TOKEN_TYPE_PENDING);
    try_recovery(&view);
    try_question(&view);
    return 0;
}
