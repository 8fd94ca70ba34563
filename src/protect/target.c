#include "protect/target.h"

#include "base/cleanup.h"
#include "protect/payload.h"

#include <string.h>

int target_read_approval(struct volume *volume, const struct pins *pins, struct approval *ret,
                         struct approval *ret_next, bool *ret_has_next, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct token_list list;
    struct json_view view;
    int r = volume_tokens(volume, TOKEN_TYPE_APPROVAL, &list, error);

    if (!r && list.count != 1)
        r = error_set(error, ERROR_METADATA, "\"%s\" has %zu lists of approved states, not one", volume_path(volume),
                      list.count);
    if (!r)
        r = volume_token_read(volume, list.numbers[0], &token, &view, error);
    if (!r)
        r = token_get_version(&view, error);
    if (!r)
        r = approval_from_json(&view, ret, ret_next, ret_has_next, error);
    if (!r && (ret->bank != pins->bank || ret->cap != pins->cap))
        r = error_set(error, ERROR_METADATA, "the list of approved states names another PCR bank or cap than the pins");
    return r;
}

static int choose_protector(struct target *target, struct error *error)
{
    const struct protector_list *list = &target->protectors;

    for (size_t i = 0; i < list->count; i++)
        if (!target->protector || list->items[i].kind == PROTECTOR_TPM2)
            target->protector = &list->items[i];
    if (!target->protector) {
        error_set(error, ERROR_NO_PROTECTOR, "\"%s\" has no bootseal protector", volume_path(target->volume));
        return error_remedy(error, "open it with its recovery key or passphrase, then run: bootseal enroll");
    }
    if (target->protector->payload == PAYLOAD_KEYSLOT && target->protector->keyslot < 0)
        return error_set(error, ERROR_METADATA, "the protector in token %d names no keyslot", target->protector->token);
    return pins_check_protector(target->pins, target->protector, error);
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
        r = choose_protector(ret, error);
    if (!r)
        r = target_read_approval(ret->volume, pins, &ret->approval, &ret->next, &ret->has_next, error);
    return r;
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

bool target_same_pin(const struct target *a, const struct target *b)
{
    const struct kdf_parameters *x = &a->protector->kdf, *y = &b->protector->kdf;

    return target_has_pin(a) && target_has_pin(b) && x->memory_kib == y->memory_kib && x->iterations == y->iterations &&
           x->lanes == y->lanes && memcmp(x->salt, y->salt, sizeof(x->salt)) == 0;
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
