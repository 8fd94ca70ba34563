/* Second half of an enrolment: the change. */
#include "protect/enroll/enroll.h"

#include "base/cleanup.h"
#include "protect/seal/approve.h"
#include "protect/seal/leftover.h"
#include "protect/seal/pin-search.h"
#include "protect/seal/sealing.h"
#include "protect/unlock/operators.h"

#include <string.h>

/* All pinned volumes but this one. */
static uint32_t other_volumes(const struct enroll *enroll)
{
    const struct pins *pins = &enroll->state.pins;
    uint32_t mask = 0;

    for (size_t i = 0; i < pins->volume_count; i++)
        if (strcmp(pins->volumes[i].uuid, enroll->pin.uuid) != 0)
            mask |= 1u << i;
    return mask;
}

/* A volume that cannot be read takes no number; the change itself will name it. */
static void add_operators(const char *device, struct operator_list *list)
{
    cleanup(volume_close) struct volume *volume = NULL;
    cleanup(protector_list_free) struct protector_list protectors = { 0 };
    struct error ignored;

    if (!volume_open(&volume, device, &ignored) &&
        !protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &protectors, &ignored))
        operators_add(list, &protectors);
}

static int free_operator(const struct enroll *enroll, unsigned *ret, struct error *error)
{
    const struct pins *pins = &enroll->state.pins;
    struct operator_list list = { 0 };

    operators_add(&list, &enroll->others);
    for (size_t i = 0; i < pins->volume_count; i++)
        if (strcmp(pins->volumes[i].uuid, enroll->pin.uuid) != 0)
            add_operators(pins->volumes[i].device, &list);
    *ret = operators_smallest_free(&list);
    if (*ret)
        return 0;
    error_set(error, ERROR_REFUSED, "all numbers of operators, 1 to %d, are in use", PROTECTOR_OPERATOR_MAX);
    return error_remedy(error, "choose one that the volume does not have, with --operator");
}

/* Salt, cost and operator. */
static int choose_pin(const struct enroll *enroll, const struct secret *pin, struct protector *ret, struct error *error)
{
    struct pin_search search = { enroll->request.tpm, &enroll->state, other_volumes(enroll) };
    unsigned found;
    int r;

    for (size_t i = 0; i < enroll->others.count; i++)
        if (enroll->others.items[i].kind == PROTECTOR_TPM2_PIN)
            pin_search_pass_over(&search, &enroll->others.items[i]);
    r = pin_search_choose(&search, &enroll->request.document.kdf, pin, &ret->kdf, &found, error);
    ret->operator_number = enroll->request.operator_number ? enroll->request.operator_number : found;
    return r || ret->operator_number ? r : free_operator(enroll, &ret->operator_number, error);
}

static int seal(const struct enroll *enroll, struct sealing *sealing, const struct secret *pin, struct error *error)
{
    const struct enroll_request *request = &enroll->request;
    enum protector_kind kind = request->no_pin ? PROTECTOR_TPM2 : PROTECTOR_TPM2_PIN;
    int r = sealing_describe(sealing, kind, request->label, error);

    sealing->protector.payload = request->payload;
    if (!r && pin)
        r = choose_pin(enroll, pin, &sealing->protector, error);
    return r ? r : sealing_seal(sealing, pin, error);
}

/* What differs in nothing but padding costs a needless build of the initramfs, no more. */
static bool bytes_differ(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) != 0;
}

static int update_pins(struct enroll *enroll, struct error *error)
{
    const struct policy_document *document = &enroll->request.document;
    struct pins *pins = &enroll->state.pins;
    struct pinned_volume *place = pins_find(pins, enroll->pin.uuid);

    if (!place && pins->volume_count == PINS_MAX_VOLUMES)
        return error_set(error, ERROR_REFUSED, "%d volumes are enrolled already, the most that there can be",
                         PINS_MAX_VOLUMES);
    if (!place)
        place = &pins->volumes[pins->volume_count++];
    *place = enroll->pin;
    pins_set_policy(pins, document);
    enroll->pins_changed = bytes_differ(&enroll->pins_before, pins, sizeof *pins);
    return state_save_pins(&enroll->state, error);
}

static int approve_object(struct enroll *enroll, const struct sealing *sealing, struct error *error)
{
    int r = sealing_add_object(sealing, &enroll->draft, error);

    if (!r)
        r = approve_switch(enroll->request.tpm, &enroll->state, &enroll->draft, error);
    return r ? r : approve_reopen(&enroll->state, &enroll->volume, error);
}

/* After a failure in the same run: what a power cut would have left, cleared at once. The first error is the one to
 * tell. While the object cannot be withdrawn the pending token stays: it is what the next enrolment finds the object
 * by. */
static void roll_back(struct enroll *enroll, const struct sealing *sealing)
{
    struct error ignored;
    struct object_name name;

    if (enroll->state.has_next || sealed_name(&sealing->protector.sealed, &name, &ignored) ||
        approve_withdraw(enroll->request.tpm, &enroll->state, &name, 1, &ignored))
        return;
    if (enroll->volume && !approve_reopen(&enroll->state, &enroll->volume, &ignored))
        (void)leftover_clear_dead(enroll->volume, enroll->key_keyslot, &enroll->state.approval, &ignored);
}

static int change(struct enroll *enroll, struct sealing *sealing, struct error *error)
{
    int r = sealing_announce(sealing, error);

    if (!r)
        r = update_pins(enroll, error);
    if (!r)
        r = approve_object(enroll, sealing, error);
    if (!r)
        r = sealing_install(sealing, error);
    return r ? r : sealing_write_token(sealing, -1, error);
}

int enroll_finish(struct enroll *enroll, const struct secret *pin, struct error *error)
{
    cleanup(sealing_free) struct sealing sealing = {
        .tpm = enroll->request.tpm,
        .state = &enroll->state,
        .volume = &enroll->volume,
        .key = &enroll->key,
    };
    struct error later;
    int r = seal(enroll, &sealing, pin, error);

    if (r)
        return r;
    r = change(enroll, &sealing, error);
    if (r) {
        roll_back(enroll, &sealing);
        return r;
    }
    enroll->protector = sealing.protector;
    /* the protector is there: a leftover is no failure */
    (void)leftover_clear_dead(enroll->volume, enroll->key_keyslot, &enroll->state.approval, &later);
    return 0;
}

void enroll_pause(struct enroll *enroll)
{
    state_close(&enroll->state);
}

int enroll_resume(struct enroll *enroll, struct error *error)
{
    int r = state_open(enroll->request.state_folder, STATE_CHANGE, &enroll->state, error);

    return r ?: approve_reopen(&enroll->state, &enroll->volume, error);
}
