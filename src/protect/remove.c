#include "protect/remove.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/provision/provision.h"
#include "protect/seal/approve.h"
#include "protect/seal/leftover.h"
#include "protect/unlock/check-root.h"

#include <string.h>

struct removal {
    const struct remove_request *request;
    struct state state;
    struct volume *volume;
    struct protector_list list;
    bool chosen[VOLUME_MAX_TOKENS];
    size_t count;
};

static void removal_free(struct removal *removal)
{
    protector_list_free(&removal->list);
    volume_close(&removal->volume);
    state_close(&removal->state);
}

static int choose(struct removal *removal, struct error *error)
{
    const char *wanted = removal->request->protector;
    unsigned operator_number = removal->request->operator_number;
    int r = protector_list_read(removal->volume, TOKEN_TYPE_PROTECTOR, &removal->list, error);

    if (r)
        return r;
    for (size_t i = 0; i < removal->list.count; i++) {
        const struct protector *protector = &removal->list.items[i];

        removal->chosen[i] = (!wanted || strncmp(protector->id, wanted, strlen(wanted)) == 0) &&
                             (!operator_number || protector->operator_number == operator_number);
        removal->count += removal->chosen[i];
    }
    if (removal->count == 0 && operator_number)
        return error_set(error, ERROR_NO_PROTECTOR, "\"%s\" has no PIN of operator %u", volume_path(removal->volume),
                         operator_number);
    if (removal->count == 0 && wanted)
        return error_set(error, ERROR_NO_PROTECTOR, "\"%s\" has no protector \"%s\"", volume_path(removal->volume),
                         wanted);
    if (wanted && removal->count > 1)
        return error_set(error, ERROR_USAGE, "\"%s\" begins the IDs of %zu protectors: give more of it", wanted,
                         removal->count);
    return 0;
}

/* Without protectors there is something to do only where a removal was cut: it is brought to its end. */
static int check_something_left(struct removal *removal, struct error *error)
{
    struct state *state = &removal->state;
    struct token_list pending, lists;
    int r;

    if (removal->count || (state->has_pins && pins_find(&state->pins, volume_uuid(removal->volume))))
        return 0;
    r = volume_tokens(removal->volume, TOKEN_TYPE_PENDING, &pending, error);
    r = r ?: volume_tokens(removal->volume, TOKEN_TYPE_APPROVAL, &lists, error);
    if (r || pending.count || lists.count)
        return r;
    return error_set(error, ERROR_NO_PROTECTOR, "\"%s\" has no protector", volume_path(removal->volume));
}

/* What a change that was cut has left goes with the last protector. */
static bool is_all(const struct removal *removal)
{
    return removal->count == removal->list.count;
}

/* The keyslots of what goes. */
static int keyslots_of(const struct removal *removal, uint32_t *ret, struct error *error)
{
    uint32_t mask = 0;
    int r = leftover_keyslots(removal->volume, &mask, error);

    for (size_t i = 0; i < removal->list.count; i++)
        if (removal->chosen[i] && removal->list.items[i].keyslot >= 0)
            mask |= 1u << removal->list.items[i].keyslot;
    *ret = mask;
    return r;
}

/* A volume key that stays sealed is a way in, as a keyslot is. */
static bool keeps_volume_key(const struct removal *removal)
{
    for (size_t i = 0; i < removal->list.count; i++)
        if (!removal->chosen[i] && removal->list.items[i].payload == PAYLOAD_VOLUME_KEY)
            return true;
    return false;
}

static const char *name_of(struct removal *removal)
{
    const char *uuid = volume_uuid(removal->volume);
    const struct pinned_volume *pin = removal->state.has_pins ? pins_find(&removal->state.pins, uuid) : NULL;

    return pin ? pin->name : uuid;
}

static int check_way_in(struct removal *removal, struct error *error)
{
    uint32_t used, going;
    int r = volume_keyslots(removal->volume, &used, error);

    if (!r)
        r = keyslots_of(removal, &going, error);
    if (r || used & ~going || keeps_volume_key(removal))
        return r;
    if (removal->request->confirm_last)
        return removal->request->confirm_last(removal->request->context, name_of(removal), error);
    error_set(error, ERROR_REFUSED, "that would remove the last way into \"%s\"", volume_path(removal->volume));
    return error_remedy(error,
                        "add a recovery key first (bootseal recovery-key add), or use --force-last to lose the data");
}

/* Each of a volume's tokens has one at most. */
static int names_of(const struct removal *removal, struct object_name ret[VOLUME_MAX_TOKENS], size_t *ret_count,
                    struct error *error)
{
    int r = 0;

    *ret_count = 0;
    if (is_all(removal))
        r = leftover_objects(removal->volume, ret, ret_count, error);
    for (size_t i = 0; !r && i < removal->list.count; i++)
        if (removal->chosen[i])
            r = sealed_name(&removal->list.items[i].sealed, &ret[(*ret_count)++], error);
    return r;
}

static int withdraw(struct removal *removal, struct error *error)
{
    struct object_name names[VOLUME_MAX_TOKENS];
    struct tpm *tpm = removal->request->tpm;
    size_t count;
    bool lost;
    int r = names_of(removal, names, &count, error);

    if (r || !removal->state.has_approval || !removal->state.approval.object_count)
        return r;
    if (tpm)
        r = provision_tpm(tpm, &removal->state, &lost, error);
    if (!r && tpm)
        r = approve_settle(tpm, &removal->state, lost, error);
    return r ? r : approve_withdraw(tpm, &removal->state, names, count, error);
}

static int remove_tokens(struct volume *volume, const char *type, struct error *error)
{
    struct token_list list;
    int r = volume_tokens(volume, type, &list, error);

    for (size_t i = 0; !r && i < list.count; i++)
        r = volume_token_remove(volume, list.numbers[i], error);
    return r;
}

static int clean_header(struct removal *removal, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < removal->list.count; i++) {
        const struct protector *protector = &removal->list.items[i];

        if (!removal->chosen[i])
            continue;
        if (protector->keyslot >= 0)
            r = volume_keyslot_remove(removal->volume, protector->keyslot, error);
        if (!r)
            r = volume_token_remove(removal->volume, protector->token, error);
    }
    if (!r && is_all(removal))
        r = leftover_clear(removal->volume, -1, error);
    if (!r && is_all(removal))
        r = remove_tokens(removal->volume, TOKEN_TYPE_APPROVAL, error);
    return r;
}

/* The pin that goes with the volume's last protector. */
static struct pinned_volume *pin_to_drop(struct removal *removal)
{
    if (!removal->state.has_pins || !is_all(removal))
        return NULL;
    return pins_find(&removal->state.pins, volume_uuid(removal->volume));
}

static void drop_pin(struct pins *pins, struct pinned_volume *pin)
{
    memmove(pin, pin + 1, (size_t)(pins->volumes + pins->volume_count - (pin + 1)) * sizeof(*pin));
    pins->volume_count--;
}

/* Other volumes stay pinned: then the root must still lie on one of them. */
static int check_root_stays(struct removal *removal, struct error *error)
{
    const struct pinned_volume *pin = pin_to_drop(removal);
    cleanup(free_ptr) struct pins *left = NULL;

    if (!pin || !pins_concern_this_boot(removal->request->state_folder, pin))
        return 0;
    left = malloc(sizeof(*left));
    if (!left)
        return error_no_memory(error);
    *left = removal->state.pins;
    drop_pin(left, pins_find(left, pin->uuid));
    if (!check_root_of_running(left, "/", error))
        return 0;
    error_prefix(error, "the boot would be stopped");
    return error_remedy(error, "remove the protectors of the other volumes first");
}

static int unpin(struct removal *removal, struct error *error)
{
    struct pinned_volume *pin = pin_to_drop(removal);

    if (!pin)
        return 0;
    drop_pin(&removal->state.pins, pin);
    return state_save_pins(&removal->state, error);
}

int remove_protectors(const struct remove_request *request, struct remove_result *ret, struct error *error)
{
    cleanup(removal_free) struct removal removal = { .request = request, .state.lock = -1 };
    enum state_mode mode;
    int r = volume_open(&removal.volume, request->device, error);

    if (!r)
        r = choose(&removal, error);
    /* after a reinstallation there are tokens, and no state to change */
    mode = file_exists(request->state_folder ? request->state_folder : STATE_FOLDER) ? STATE_CHANGE : STATE_READ;
    if (!r)
        r = state_open(request->state_folder, mode, &removal.state, error);
    if (!r)
        r = check_something_left(&removal, error);
    if (!r && request->tpm)
        r = state_refuse_rotation(&removal.state, error);
    if (!r)
        r = check_way_in(&removal, error);
    if (!r)
        r = check_root_stays(&removal, error);
    if (!r)
        r = withdraw(&removal, error);
    if (!r)
        r = approve_reopen(&removal.state, &removal.volume, error);
    if (!r)
        r = clean_header(&removal, error);
    if (!r)
        r = unpin(&removal, error);
    if (!r)
        r = volume_keyslots(removal.volume, &ret->keyslots_left, error);
    if (!r)
        ret->removed = removal.count;
    return r;
}
