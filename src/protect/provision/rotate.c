#include "protect/provision/rotation.h"

#include "base/cleanup.h"
#include "protect/provision/provision.h"
#include "protect/seal/approve.h"
#include "protect/seal/leftover.h"
#include "protect/unlock/keys.h"
#include "protect/unlock/payload.h"

#include <string.h>

/* ---- what there is to move ---- */

/* The PIN of an item: one that it shares with an earlier one, or a new one. */
static int find_pin(struct rotate *rotate, const struct kdf_parameters *kdf)
{
    for (size_t i = 0; i < rotate->pin_count; i++)
        if (kdf_parameters_equal(rotate->pins[i].kdf, kdf))
            return (int)i;
    rotate->pins[rotate->pin_count].kdf = kdf;
    return (int)rotate->pin_count++;
}

static int add_item(struct rotate *rotate, struct rotate_volume *place, const struct protector *protector,
                    struct error *error)
{
    struct rotate_item *item = &rotate->items[rotate->item_count];
    int r = pins_check_protector(&rotate->state.pins, protector, error);

    if (!r && rotate->item_count == APPROVAL_MAX_OBJECTS)
        r = error_set(error, ERROR_REFUSED, "there are more protectors than the %d that an approval can hold",
                      APPROVAL_MAX_OBJECTS);
    if (r)
        return r;
    rotate->item_count++;
    *item = (struct rotate_item){ .place = place, .old = *protector, .pin = -1 };
    return 0;
}

static int add_volume(struct rotate *rotate, const struct pinned_volume *pin, struct error *error)
{
    cleanup(protector_list_free) struct protector_list list = { 0 };
    struct rotate_volume *place = &rotate->volumes[rotate->volume_count++];
    int r;

    place->pin = pin;
    r = volume_open(&place->volume, pin->device, error);
    r = r ?: pins_check_volume(pin, place->volume, error);
    r = r ?: protector_list_read(place->volume, TOKEN_TYPE_PROTECTOR, &list, error);
    pins_select_protectors(&rotate->state.pins, &list);
    for (size_t i = 0; !r && i < list.count; i++)
        r = add_item(rotate, place, &list.items[i], error);
    return r ? error_prefix(error, "volume \"%s\"", pin->name) : 0;
}

static int drop(struct rotate *rotate, const char *wanted, struct error *error)
{
    size_t found = 0;

    for (size_t i = 0; i < rotate->item_count; i++)
        if (strncmp(rotate->items[i].old.id, wanted, strlen(wanted)) == 0) {
            rotate->items[i].dropped = true;
            found++;
        }
    if (!wanted[0] || !found)
        return error_set(error, ERROR_NO_PROTECTOR, "no volume of this machine has a protector \"%s\"", wanted);
    if (found > 1)
        return error_set(error, ERROR_USAGE, "\"%s\" begins the IDs of %zu protectors: give more of it", wanted, found);
    return 0;
}

/* A volume without any is removed by its own verb, which looks after its pin and its last way in. */
static int check_dropped(const struct rotate *rotate, struct error *error)
{
    for (size_t i = 0; i < rotate->item_count; i++) {
        const struct rotate_volume *place = rotate->items[i].place;
        size_t kept = 0;

        for (size_t k = 0; k < rotate->item_count; k++)
            kept += rotate->items[k].place == place && !rotate->items[k].dropped;
        if (kept)
            continue;
        error_set(error, ERROR_REFUSED, "that would leave the volume \"%s\" without a protector", place->pin->name);
        return error_remedy(
            error,
            "give the PIN; if it is forgotten, change it by a recovery key or passphrase before: bootseal "
            "change-pin --forgotten %s; or take the volume out: bootseal remove %s",
            place->pin->device, place->pin->device);
    }
    return 0;
}

static int find_items(struct rotate *rotate, struct error *error)
{
    const struct pins *pins = &rotate->state.pins;
    int r = 0;

    rotate->volumes = calloc(PINS_MAX_VOLUMES, sizeof(*rotate->volumes));
    rotate->items = calloc(APPROVAL_MAX_OBJECTS, sizeof(*rotate->items));
    rotate->pins = calloc(APPROVAL_MAX_OBJECTS, sizeof(*rotate->pins));
    if (!rotate->volumes || !rotate->items || !rotate->pins)
        return error_no_memory(error);
    for (size_t i = 0; !r && i < pins->volume_count; i++)
        r = add_volume(rotate, &pins->volumes[i], error);
    for (size_t i = 0; !r && i < rotate->request.dropped_count; i++)
        r = drop(rotate, rotate->request.dropped[i], error);
    r = r ?: check_dropped(rotate, error);
    if (!r && !rotate->item_count && rotate->state.approval.object_count)
        r = error_set(error, ERROR_NO_PROTECTOR, "no volume has any of the protectors that are approved");
    for (size_t i = 0; !r && i < rotate->item_count; i++) {
        struct rotate_item *item = &rotate->items[i];

        if (item->old.kind == PROTECTOR_TPM2_PIN && !item->dropped)
            item->pin = find_pin(rotate, &item->old.kdf);
    }
    return r;
}

/* ---- room ---- */

#define PROTECTOR_TOKEN_BYTES 1200 /* as enroll-check.c has it */
#define LIST_SLACK_BYTES 256       /* its index's Name, and a longer label */

/* The new list, as a switch holds it: twice. */
static int list_bytes(const struct rotate *rotate, size_t *ret, struct error *error)
{
    cleanup(json_free) struct json_object *object = json_object_new_object();
    const struct approval *approval = &rotate->state.approval;
    int r = object ? 0 : error_no_memory(error);

    *ret = 0;
    if (!r && approval->object_count)
        r = approval_to_token(approval, approval, object, error);
    if (!r && !json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, ret))
        r = error_no_memory(error);
    *ret += LIST_SLACK_BYTES;
    return r;
}

static int check_volume_room(const struct rotate *rotate, const struct rotate_volume *place, size_t bytes,
                             struct error *error)
{
    struct volume_room room = { .tokens = 2, .token_bytes = bytes + PROTECTOR_TOKEN_BYTES }; /* list, pending */
    struct volume_facts facts;
    int r = volume_facts_read(place->volume, &facts, error);

    if (r)
        return r;
    room.key_size_bytes = facts.key_size_bytes ? facts.key_size_bytes : VOLUME_MAX_KEY_BYTES;
    for (size_t i = 0; i < rotate->item_count; i++) {
        const struct rotate_item *item = &rotate->items[i];

        if (item->place != place || item->dropped)
            continue;
        room.tokens++;
        room.token_bytes += PROTECTOR_TOKEN_BYTES;
        room.keyslots += item->old.payload == PAYLOAD_KEYSLOT;
    }
    r = volume_check_room(place->volume, &room, error);
    return r ? error_prefix(error, "volume \"%s\" has to hold old and new protectors for a while", place->pin->name)
             : 0;
}

static int check_room(const struct rotate *rotate, struct error *error)
{
    size_t bytes;
    int r = list_bytes(rotate, &bytes, error);

    for (size_t i = 0; !r && i < rotate->volume_count; i++)
        r = check_volume_room(rotate, &rotate->volumes[i], bytes, error);
    return r;
}

/* ---- the old objects ---- */

static int prepare(struct rotate *rotate, const struct rotate_item *item, const struct authority_signer *signer,
                   struct unseal *ret, struct error *error)
{
    int r = sealing_prepare_unseal(rotate->request.tpm, &rotate->state, &item->old, signer, ret, error);

    return r ? error_prefix(error, "volume \"%s\"", item->place->pin->name) : 0;
}

static int open_item(struct rotate *rotate, struct rotate_item *item, const struct secret *auth,
                     const struct secret *mix, struct error *error)
{
    cleanup(unseal_free) struct unseal unseal = { 0 };
    cleanup(secret_free) struct secret sealed = { 0 };
    cleanup(secret_free) struct secret opener = { 0 };
    struct authority_signer signer = authority_signer(rotate->state.authority);
    int r = prepare(rotate, item, &signer, &unseal, error);

    r = r ?: unseal_finish(&unseal, auth, &sealed, error);
    r = r ?: payload_unwrap(&item->old, &sealed, mix, &opener, error);
    return r ?: payload_check(item->place->volume, &item->old, &opener, &item->key, error);
}

/* All but the PINs: the old objects are in force, and the TPM takes PINs. */
static int check_objects(struct rotate *rotate, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < rotate->item_count; i++) {
        struct authority_signer signer = authority_signer(rotate->state.authority);
        cleanup(unseal_free) struct unseal unseal = { 0 };

        if (!rotate->items[i].dropped)
            r = prepare(rotate, &rotate->items[i], &signer, &unseal, error);
    }
    return r;
}

int rotate_prove(struct rotate *rotate, size_t i, const struct secret *pin, struct error *error)
{
    struct rotate_pin *shared = &rotate->pins[i];
    bool decided = false;
    int r;

    secret_free(&shared->auth);
    secret_free(&shared->mix);
    r = keys_stretch(pin, shared->kdf, &shared->auth, &shared->mix, error);
    for (size_t k = 0; !r && k < rotate->item_count; k++) {
        struct rotate_item *item = &rotate->items[k];

        if (item->pin != (int)i)
            continue;
        r = open_item(rotate, item, &shared->auth, &shared->mix, error);
        if (r == ERROR_WRONG_PIN && decided)
            return error_set(error, ERROR_METADATA, "protectors say that they share a PIN, and do not: \"%s\"",
                             item->place->pin->name);
        decided = true;
    }
    return r;
}

static int open_without_pin(struct rotate *rotate, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < rotate->item_count; i++)
        if (!rotate->items[i].dropped && rotate->items[i].pin < 0)
            r = open_item(rotate, &rotate->items[i], NULL, NULL, error);
    return r;
}

void rotate_pin_name(const struct rotate *rotate, size_t i, char ret[ROTATE_PIN_TEXT])
{
    const char *label = "";
    size_t length = 0;

    ret[0] = '\0';
    for (size_t k = 0; k < rotate->item_count && length < ROTATE_PIN_TEXT; k++) {
        const struct rotate_item *item = &rotate->items[k];

        if (item->pin != (int)i)
            continue;
        length += (size_t)snprintf(ret + length, ROTATE_PIN_TEXT - length, "%s%s", length ? ", " : "",
                                   item->place->pin->name);
        label = label[0] ? label : item->old.label;
    }
    if (label[0] && length < ROTATE_PIN_TEXT)
        snprintf(ret + length, ROTATE_PIN_TEXT - length, " (%s)", label);
}

/* ---- beginning ---- */

static int check_state(const struct state *state, struct error *error)
{
    if (state->rotation == ROTATION_WAITING)
        return state_refuse_rotation(state, error);
    if (state->has_pins)
        return 0;
    error_set(error, ERROR_NO_PROTECTOR, "there is no authority yet that could be rotated (state folder \"%s\")",
              state->folder);
    return error_remedy(error, "run: bootseal enroll");
}

static int prepare_tpm(struct rotate *rotate, struct error *error)
{
    const struct secret *auth = rotate->request.owner_auth;
    struct tpm *tpm = rotate->request.tpm;
    struct tpm_state now;
    bool lost;
    int r = tpm_state_read(tpm, &now, error);

    if (r)
        return r;
    tpm_owner_auth_use(tpm, now.owner_auth_set && auth && auth->size ? auth : NULL);
    r = provision_tpm(tpm, &rotate->state, &lost, error);
    r = r ?: approve_settle(tpm, &rotate->state, lost, error);
    return r ?: rotation_take_back(tpm, &rotate->state, error);
}

int rotate_begin(struct rotate *ret, const struct rotate_request *request, struct error *error)
{
    int r;

    *ret = (struct rotate){ .request = *request, .state.lock = -1, .next.lock = -1 };
    r = state_open(request->state_folder, STATE_CHANGE, &ret->state, error);
    r = r ?: check_state(&ret->state, error);
    r = r ?: prepare_tpm(ret, error);
    r = r ?: find_items(ret, error);
    r = r ?: check_room(ret, error);
    return r ?: check_objects(ret, error);
}

/* ---- the change ---- */

static int reopen_all(struct rotate *rotate, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < rotate->volume_count; i++)
        r = approve_reopen(&rotate->state, &rotate->volumes[i].volume, error);
    return r;
}

/* What earlier changes have left goes; and each list of the old index gets its Name, should it be without. */
static int settle(struct rotate *rotate, struct error *error)
{
    struct tpm *tpm = rotate->request.tpm;
    cleanup(approval_free) struct approval same = { 0 };
    int r = 0;

    for (size_t i = 0; !r && i < rotate->volume_count; i++)
        r = sealing_settle(tpm, &rotate->state, &rotate->volumes[i].volume, -1, error);
    if (r || !rotate->state.approval.object_count)
        return r;
    r = approval_copy(&rotate->state.approval, &same, error);
    r = r ?: approve_switch(tpm, &rotate->state, &same, error);
    return r ?: reopen_all(rotate, error);
}

/* Key, then pins, then index: each is on disk before the next one is made. */
static int make_next(struct rotate *rotate, struct error *error)
{
    struct state *next = &rotate->next;
    struct object_name authority;
    struct entity index;
    int r = state_open_rotated(&rotate->state, STATE_NEXT, next, error);

    if (r)
        return r;
    rotate->state.rotation = ROTATION_BEGUN;
    next->pins.srk = rotate->state.pins.srk;
    r = provision_describe_index(rotate->request.tpm, next, error);
    if (r)
        return r;
    index = next->pins.index;
    authority = next->pins.authority;
    next->pins = rotate->state.pins;
    next->pins.index = index;
    next->pins.authority = authority;
    rotate->state.other_index = index.name;
    r = state_save_pins(next, error);
    return r ?: provision_index(rotate->request.tpm, next, NULL, error);
}

static int seal_all(struct rotate *rotate, struct error *error)
{
    static const struct secret none;
    int r = 0;

    for (size_t i = 0; !r && i < rotate->item_count; i++) {
        struct rotate_item *item = &rotate->items[i];
        const struct rotate_pin *pin = item->pin < 0 ? NULL : &rotate->pins[item->pin];

        if (item->dropped)
            continue;
        item->sealing = (struct sealing){ rotate->request.tpm, &rotate->next, &item->place->volume, &item->key };
        r = sealing_describe_twin(&item->sealing, &item->old, error);
        r = r ?: sealing_seal_stretched(&item->sealing, pin ? &pin->auth : &none, pin ? &pin->mix : &none, error);
    }
    return r;
}

/* The boot states of the old list, and the new authority in the old one's place. */
static int draft_list(const struct rotate *rotate, struct approval *draft, struct error *error)
{
    const struct approval *old = &rotate->state.approval;
    int r = approve_draft(&rotate->next, old->bank, old->pcrs, old->cap, draft, error);

    for (size_t i = 0; !r && i < old->branch_count; i++)
        if (old->branches[i].kind != BRANCH_AUTHORITY)
            r = approval_add_branch(draft, &old->branches[i], error);
    for (size_t i = 0; !r && i < rotate->item_count; i++)
        if (!rotate->items[i].dropped)
            r = sealing_add_object(&rotate->items[i].sealing, draft, error);
    return r;
}

static int approve_all(struct rotate *rotate, struct error *error)
{
    cleanup(approval_free) struct approval draft = { 0 };
    int r;

    if (!rotate->item_count)
        return approve_nothing(rotate->request.tpm, &rotate->next, error);
    r = draft_list(rotate, &draft, error);
    r = r ?: approve_switch(rotate->request.tpm, &rotate->next, &draft, error);
    return r ?: reopen_all(rotate, error);
}

static int install(struct rotate *rotate, struct rotate_item *item, struct error *error)
{
    struct volume *volume = item->place->volume;
    struct sealing *sealing = &item->sealing;
    int r = sealing_announce(sealing, error);

    r = r ?: sealing_install(sealing, error);
    if (!r && item->old.keyslot >= 0 && sealing->protector.keyslot >= 0)
        r = volume_keyslot_copy_priority(volume, item->old.keyslot, sealing->protector.keyslot, error);
    r = r ?: sealing_write_twin(sealing, item->old.token, error);
    r = r ?: leftover_clear_dead(volume, -1, &rotate->next.approval, error);
    return r ? error_prefix(error, "volume \"%s\"", item->place->pin->name) : 0;
}

static int install_all(struct rotate *rotate, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < rotate->item_count; i++)
        if (!rotate->items[i].dropped)
            r = install(rotate, &rotate->items[i], error);
    return r;
}

/* The first error is the one to tell. */
static int take_back(struct rotate *rotate, struct error *error)
{
    struct error ignored;

    state_close(&rotate->next);
    for (size_t i = 0; i < rotate->volume_count; i++)
        volume_close(&rotate->volumes[i].volume);
    error_prefix(error, "the authority is the old one");
    if (!rotation_take_back(rotate->request.tpm, &rotate->state, &ignored) || error->remedy[0])
        return (int)error->kind;
    return error_remedy(error, "run it again; or, to clear away what is left of it: bootseal provision "
                               "--rotate-authority --undo");
}

int rotate_finish(struct rotate *rotate, struct error *error)
{
    int r = open_without_pin(rotate, error);

    r = r ?: settle(rotate, error);
    if (r)
        return r;
    r = make_next(rotate, error);
    r = r ?: seal_all(rotate, error);
    r = r ?: approve_all(rotate, error);
    r = r ?: install_all(rotate, error);
    if (r)
        return take_back(rotate, error);
    return state_commit_next(&rotate->state, error);
}

void rotate_end(struct rotate *rotate)
{
    for (size_t i = 0; i < rotate->item_count; i++) {
        secret_free(&rotate->items[i].key);
        sealing_free(&rotate->items[i].sealing);
    }
    for (size_t i = 0; i < rotate->pin_count; i++) {
        secret_free(&rotate->pins[i].auth);
        secret_free(&rotate->pins[i].mix);
    }
    for (size_t i = 0; i < rotate->volume_count; i++)
        volume_close(&rotate->volumes[i].volume);
    free(rotate->pins);
    free(rotate->items);
    free(rotate->volumes);
    if (rotate->request.tpm)
        tpm_owner_auth_use(rotate->request.tpm, NULL);
    state_close(&rotate->next);
    state_close(&rotate->state);
    *rotate = (struct rotate){ .state.lock = -1, .next.lock = -1 };
}
