#include "protect/unlock/target.h"

#include "base/cleanup.h"
#include "protect/unlock/payload.h"

#include <string.h>

/* The list that names the pinned index, or none; of two such lists none is believed. */
static int find_list(struct volume *volume, const struct pins *pins, int *ret, struct error *error)
{
    struct token_list list;
    size_t fitting = 0;
    int r = volume_tokens(volume, TOKEN_TYPE_APPROVAL, &list, error);

    for (size_t i = 0; !r && i < list.count; i++) {
        cleanup(json_free) struct json_object *token = NULL;
        struct object_name index = pins->index.name;
        struct json_view view;

        r = volume_token_read(volume, list.numbers[i], &token, &view, error);
        if (!r && json_has(&view, TARGET_INDEX_KEY))
            r = json_get_hex(&view, TARGET_INDEX_KEY, index.bytes, sizeof(index.bytes), error);
        if (!r && object_name_equal(&index, &pins->index.name)) {
            *ret = list.numbers[i];
            fitting++;
        }
    }
    if (!r && fitting != 1)
        r = error_set(error, ERROR_METADATA, "\"%s\" has %zu lists of approved states for the pinned index, not one",
                      volume_path(volume), fitting);
    return r;
}

int target_read_approval(struct volume *volume, const struct pins *pins, struct approval *ret,
                         struct approval *ret_next, bool *ret_has_next, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    int number = -1, r = find_list(volume, pins, &number, error);

    if (!r)
        r = volume_token_read(volume, number, &token, &view, error);
    if (!r)
        r = token_get_version(&view, error);
    if (!r)
        r = approval_from_json(&view, ret, ret_next, ret_has_next, error);
    if (!r && (ret->bank != pins->bank || ret->cap != pins->cap))
        r = error_set(error, ERROR_METADATA, "the list of approved states names another PCR bank or cap than the pins");
    return r;
}

static int check_protector(const struct target *target, const struct protector *protector, struct error *error)
{
    if (protector->payload == PAYLOAD_KEYSLOT && protector->keyslot < 0)
        return error_set(error, ERROR_METADATA, "the protector in token %d names no keyslot", protector->token);
    return pins_check_protector(target->pins, protector, error);
}

/* By the header's lists; the TPM has the last word. */
static bool is_in_force(const struct target *target, const struct protector *protector)
{
    struct object_name name;
    struct error ignored;

    return !sealed_name(&protector->sealed, &name, &ignored) &&
           (approval_find_object(&target->approval, &name) >= 0 ||
            (target->has_next && approval_find_object(&target->next, &name) >= 0));
}

/* One of a kind, of any operator when that is 0. A fault that was told before is the one to tell. */
static int choose_of_kind(struct target *target, enum protector_kind kind, unsigned operator_number, bool in_force,
                          struct error *error)
{
    int r = ERROR_NO_PROTECTOR;

    for (size_t i = 0; i < target->protectors.count; i++) {
        const struct protector *protector = &target->protectors.items[i];
        struct error later;
        int fault;

        if (protector->kind != kind || (operator_number && protector->operator_number != operator_number) ||
            (in_force && !is_in_force(target, protector)))
            continue;
        fault = check_protector(target, protector, r == ERROR_NO_PROTECTOR ? error : &later);
        if (!fault) {
            target->protector = protector;
            return 0;
        }
        if (r == ERROR_NO_PROTECTOR)
            r = fault;
    }
    return r;
}

static int choose_protector(struct target *target, struct error *error)
{
    int r = choose_of_kind(target, PROTECTOR_TPM2, 0, true, error);

    if (r)
        r = choose_of_kind(target, PROTECTOR_TPM2_PIN, 0, true, error);
    if (r)
        r = choose_of_kind(target, PROTECTOR_TPM2, 0, false, error);
    return r == ERROR_NO_PROTECTOR ? choose_of_kind(target, PROTECTOR_TPM2_PIN, 0, false, error) : r;
}

static int no_protector(const struct target *target, struct error *error)
{
    error_set(error, ERROR_NO_PROTECTOR, "\"%s\" has no bootseal protector", volume_path(target->volume));
    return error_remedy(error, "open it with its recovery key or passphrase, then run: bootseal enroll");
}

int target_open_volume(struct target *ret, const struct pins *pins, const struct pinned_volume *pin,
                       struct error *error)
{
    int r;

    *ret = (struct target){ .pins = pins, .pin = pin };
    r = volume_open(&ret->volume, pin->device, error);
    if (!r)
        r = pins_check_volume(pin, ret->volume, error);
    ret->is_pinned = !r;
    return r;
}

int target_open(struct target *ret, const struct pins *pins, const struct pinned_volume *pin, struct error *error)
{
    int r = target_open_volume(ret, pins, pin, error);

    if (!r)
        r = protector_list_read(ret->volume, TOKEN_TYPE_PROTECTOR, &ret->protectors, error);
    if (!r)
        pins_select_protectors(pins, &ret->protectors);
    if (!r && ret->protectors.count == 0)
        r = no_protector(ret, error);
    if (!r)
        r = target_read_approval(ret->volume, pins, &ret->approval, &ret->next, &ret->has_next, error);
    return r ? r : choose_protector(ret, error);
}

int target_prepare(struct target *target, struct tpm *tpm, const struct authority_signer *authority,
                   struct error *error)
{
    const struct unseal_request request = {
        .tpm = tpm,
        .protector = target->protector,
        .approval = &target->approval,
        .next = target->has_next ? &target->next : NULL,
        .authority = authority,
    };
    int r;

    if (target->prepared)
        return 0;
    r = unseal_prepare(&target->unseal, &request, error);
    target->prepared = !r;
    return r;
}

bool target_has_pin(const struct target *target)
{
    return target->protector->kind == PROTECTOR_TPM2_PIN;
}

void target_operators(const struct target *target, struct operator_list *list)
{
    if (target_has_pin(target))
        operators_add(list, &target->protectors);
}

void target_release(struct target *target)
{
    unseal_free(&target->unseal);
    target->prepared = false;
}

int target_choose_operator(struct target *target, unsigned number, struct error *error)
{
    const struct protector *before = target->protector;
    int r = choose_of_kind(target, PROTECTOR_TPM2_PIN, number, true, error);

    if (r)
        r = choose_of_kind(target, PROTECTOR_TPM2_PIN, number, false, error);
    if (r == ERROR_NO_PROTECTOR)
        return error_set(error, ERROR_NO_PROTECTOR, "operator %u has no PIN for \"%s\"", number, target->pin->name);
    if (!r && target->protector != before)
        target_release(target);
    return r;
}

int target_choose_same_pin(struct target *target, const struct kdf_parameters *kdf, struct error *error)
{
    for (size_t i = 0; i < target->protectors.count; i++) {
        const struct protector *protector = &target->protectors.items[i];

        if (protector->kind == PROTECTOR_TPM2_PIN && kdf_parameters_equal(&protector->kdf, kdf))
            return target_choose_operator(target, protector->operator_number, error);
    }
    return error_set(error, ERROR_NO_PROTECTOR, "\"%s\" has no such PIN", target->pin->name);
}

bool target_same_pin(const struct target *a, const struct target *b)
{
    return target_has_pin(a) && target_has_pin(b) && kdf_parameters_equal(&a->protector->kdf, &b->protector->kdf);
}

int target_unseal(struct target *target, const struct secret *auth, const struct secret *mix, struct secret *ret_opener,
                  struct error *error)
{
    cleanup(secret_free) struct secret sealed = { 0 };
    int r = unseal_finish(&target->unseal, auth, &sealed, error);

    return r ? r : payload_unwrap(target->protector, &sealed, mix, ret_opener, error);
}

void target_free(struct target *target)
{
    unseal_free(&target->unseal);
    approval_free(&target->approval);
    approval_free(&target->next);
    protector_list_free(&target->protectors);
    volume_close(&target->volume);
    *target = (struct target){ 0 };
}
