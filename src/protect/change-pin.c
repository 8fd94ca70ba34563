#include "protect/change-pin.h"

#include "base/cleanup.h"
#include "protect/provision/provision.h"
#include "protect/seal/approve.h"
#include "protect/seal/leftover.h"
#include "protect/seal/pin-search.h"
#include "protect/unlock/keys.h"
#include "protect/unlock/payload.h"
#include "protect/unlock/recover.h"

#include <string.h>

#define NAMES_TEXT 256

/* ---- which volumes, which protectors ---- */

static void volume_free(struct change_pin_volume *volume)
{
    sealing_free(&volume->sealing);
    secret_free(&volume->key);
    protector_list_free(&volume->protectors);
    volume_close(&volume->volume);
}

static int nothing_enrolled(const struct state *state, struct error *error)
{
    error_set(error, ERROR_NO_PROTECTOR, "nothing is enrolled on this machine (state folder \"%s\")", state->folder);
    return error_remedy(error, "run: bootseal enroll");
}

static void no_such_protector(const struct change_pin_volume *volume, const char *wanted, struct error *error)
{
    const char *path = volume_path(volume->volume);

    if (wanted) {
        error_set(error, ERROR_NO_PROTECTOR, "\"%s\" has no protector \"%s\" with a PIN", path, wanted);
    } else {
        error_set(error, ERROR_NO_PROTECTOR, "\"%s\" has no protector with a PIN", path);
        error_remedy(error, "run: bootseal enroll %s", path);
    }
}

static size_t count_operators(const struct change_pin_volume *volume)
{
    struct operator_list list = { 0 };

    operators_add(&list, &volume->protectors);
    return list.count;
}

/* The only one with a PIN that has this ID; without one, any, where each operator has one. */
static int find_protector(const struct change_pin_volume *volume, const char *wanted, const struct protector **ret,
                          struct error *error)
{
    size_t found = 0;

    for (size_t i = 0; i < volume->protectors.count; i++) {
        const struct protector *protector = &volume->protectors.items[i];

        if (protector->kind != PROTECTOR_TPM2_PIN || (wanted && strncmp(protector->id, wanted, strlen(wanted)) != 0))
            continue;
        *ret = protector;
        found++;
    }
    if (!found) {
        no_such_protector(volume, wanted, error);
        return ERROR_NO_PROTECTOR;
    }
    if (wanted ? found == 1 : found == count_operators(volume))
        return 0;
    error_set(error, ERROR_USAGE, "\"%s\" has %zu protectors with a PIN%s%s", volume_path(volume->volume), found,
              wanted ? " whose IDs begin with " : ", and several of one operator", wanted ? wanted : "");
    return error_remedy(error, "name the volume and, with --protector, the one that is meant; bootseal status "
                               "lists them");
}

static int add_volume(struct change_pin *change, const struct pinned_volume *pin, const char *device,
                      struct error *error)
{
    struct change_pin_volume *volume = &change->volumes[change->count++];
    const struct protector *found = NULL;
    int r;

    volume->pin = pin;
    volume->keep = -1;
    r = volume_open(&volume->volume, device, error);
    r = r ?: pins_check_volume(pin, volume->volume, error);
    r = r ?: protector_list_read(volume->volume, TOKEN_TYPE_PROTECTOR, &volume->protectors, error);
    r = r ?: find_protector(volume, change->request.protector, &found, error);
    if (!r)
        volume->old = *found;
    return r;
}

static int find_one(struct change_pin *change, struct error *error)
{
    cleanup(volume_close) struct volume *volume = NULL;
    const char *device = change->request.device;
    const struct pinned_volume *pin;
    int r = volume_open(&volume, device, error);

    if (r)
        return r;
    pin = pins_find(&change->state.pins, volume_uuid(volume));
    if (pin)
        return add_volume(change, pin, device, error);
    error_set(error, ERROR_NO_PROTECTOR, "\"%s\" is not enrolled on this machine (state folder \"%s\")", device,
              change->state.folder);
    return error_remedy(error, "run: bootseal enroll %s", device);
}

/* Volumes without a PIN have none to change. */
static int find_all(struct change_pin *change, struct error *error)
{
    const struct pins *pins = &change->state.pins;
    int r = 0;

    for (size_t i = 0; !r && i < pins->volume_count; i++) {
        r = add_volume(change, &pins->volumes[i], pins->volumes[i].device, error);
        if (r == ERROR_NO_PROTECTOR) {
            volume_free(&change->volumes[--change->count]);
            change->volumes[change->count] = (struct change_pin_volume){ 0 };
            r = 0;
        }
    }
    if (!r && !change->count)
        r = error_set(error, ERROR_NO_PROTECTOR, "no volume of this machine has a protector with a PIN");
    return r;
}

static int find_volumes(struct change_pin *change, struct error *error)
{
    change->volumes = calloc(PINS_MAX_VOLUMES, sizeof(*change->volumes));
    if (!change->volumes)
        return error_no_memory(error);
    if (!change->state.has_pins)
        return nothing_enrolled(&change->state, error);
    return change->request.device ? find_one(change, error) : find_all(change, error);
}

/* ---- whose PIN ---- */

/* Whose it may be, if that is not said yet. */
static void list_operators(struct change_pin *change)
{
    bool several = false;

    if (change->request.protector || change->request.operator_number)
        return;
    for (size_t i = 0; i < change->count; i++) {
        operators_add(&change->operators, &change->volumes[i].protectors);
        several |= count_operators(&change->volumes[i]) > 1;
    }
    if (!several)
        change->operators.count = 0;
}

static bool choose_by(struct change_pin_volume *volume, unsigned operator_number, const struct kdf_parameters *kdf)
{
    for (size_t i = 0; i < volume->protectors.count; i++) {
        const struct protector *protector = &volume->protectors.items[i];

        if (protector->kind == PROTECTOR_TPM2_PIN &&
            (kdf ? kdf_parameters_equal(&protector->kdf, kdf) : protector->operator_number == operator_number)) {
            volume->old = *protector;
            return true;
        }
    }
    return false;
}

/* Who has the same PIN for a volume under another number has that one too. */
static bool shares_pin(const struct change_pin *change, const bool chosen[PINS_MAX_VOLUMES], unsigned operator_number,
                       struct change_pin_volume *volume)
{
    for (size_t i = 0; i < change->count; i++)
        if (chosen[i] && change->volumes[i].old.operator_number == operator_number &&
            choose_by(volume, 0, &change->volumes[i].old.kdf))
            return true;
    return false;
}

static void keep_volumes(struct change_pin *change, const bool kept[PINS_MAX_VOLUMES])
{
    size_t count = 0;

    for (size_t i = 0; i < change->count; i++) {
        struct change_pin_volume *volume = &change->volumes[i];

        if (kept[i])
            change->volumes[count++] = *volume;
        else
            volume_free(volume);
    }
    memset(&change->volumes[count], 0, (change->count - count) * sizeof(*change->volumes));
    change->count = count;
}

static int choose_operator(struct change_pin *change, unsigned operator_number, struct error *error)
{
    bool chosen[PINS_MAX_VOLUMES] = { 0 };
    size_t found = 0;

    for (size_t i = 0; i < change->count; i++)
        found += chosen[i] = choose_by(&change->volumes[i], operator_number, NULL);
    if (!found) {
        error_set(error, ERROR_NO_PROTECTOR, "operator %u has no PIN %s", operator_number,
                  change->request.device ? "for this volume" : "on this machine");
        return error_remedy(error, "bootseal status shows the operators' numbers");
    }
    for (size_t i = 0; i < change->count; i++)
        chosen[i] = chosen[i] || shares_pin(change, chosen, operator_number, &change->volumes[i]);
    keep_volumes(change, chosen);
    return 0;
}

/* Each change of the approval writes all headers. */
static int reopen_all(struct change_pin *change, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < change->count; i++)
        r = approve_reopen(&change->state, &change->volumes[i].volume, error);
    return r;
}

static int prepare_tpm(struct change_pin *change, struct error *error)
{
    struct state *state = &change->state;
    bool lost;
    int r = provision_tpm(change->request.tpm, state, &lost, error);

    r = r ?: approve_settle(change->request.tpm, state, lost, error);
    if (!r && !state->approval.object_count)
        r = nothing_enrolled(state, error);
    return r ?: reopen_all(change, error);
}

/* ---- being entitled ---- */

static int prepare(struct change_pin *change, const struct change_pin_volume *volume,
                   const struct authority_signer *signer, struct unseal *ret, struct error *error)
{
    int r = pins_check_protector(&change->state.pins, &volume->old, error);

    return r ?: sealing_prepare_unseal(change->request.tpm, &change->state, &volume->old, signer, ret, error);
}

/* Everything about the first one but the PIN: a lockout is told before anyone types. */
static int check_first(struct change_pin *change, struct error *error)
{
    cleanup(unseal_free) struct unseal unseal = { 0 };
    struct authority_signer signer = authority_signer(change->state.authority);

    return prepare(change, &change->volumes[0], &signer, &unseal, error);
}

int change_pin_begin(struct change_pin *ret, const struct change_pin_request *request, struct error *error)
{
    int r;

    *ret = (struct change_pin){ .request = *request, .state.lock = -1 };
    if (request->forgotten && !request->device)
        return error_set(error, ERROR_USAGE, "a passphrase opens one volume: name it");
    r = state_open(request->state_folder, STATE_CHANGE, &ret->state, error);
    r = r ?: state_refuse_rotation(&ret->state, error);
    r = r ?: find_volumes(ret, error);
    if (!r && request->operator_number)
        r = choose_operator(ret, request->operator_number, error);
    list_operators(ret);
    r = r ?: prepare_tpm(ret, error);
    return r || request->forgotten || ret->operators.count ? r : check_first(ret, error);
}

int change_pin_choose(struct change_pin *change, unsigned operator_number, struct error *error)
{
    int r = choose_operator(change, operator_number, error);

    return r || change->request.forgotten ? r : check_first(change, error);
}

static int open_by_keys(struct change_pin *change, struct change_pin_volume *volume, const struct secret *auth,
                        const struct secret *mix, struct error *error)
{
    cleanup(unseal_free) struct unseal unseal = { 0 };
    cleanup(secret_free) struct secret sealed = { 0 };
    cleanup(secret_free) struct secret opener = { 0 };
    struct authority_signer signer = authority_signer(change->state.authority);
    int r = prepare(change, volume, &signer, &unseal, error);

    r = r ?: unseal_finish(&unseal, auth, &sealed, error);
    r = r ?: payload_unwrap(&volume->old, &sealed, mix, &opener, error);
    return r ?: payload_check(volume->volume, &volume->old, &opener, &volume->key, error);
}

static bool share_pin(const struct change_pin_volume *a, const struct change_pin_volume *b)
{
    return kdf_parameters_equal(&a->old.kdf, &b->old.kdf);
}

/* The first one decides whether the PIN is right for all that share it; it is not tried on the others when it is not.
 */
static int try_group(struct change_pin *change, size_t first, const struct secret *pin, struct error *error)
{
    cleanup(secret_free) struct secret auth = { 0 };
    cleanup(secret_free) struct secret mix = { 0 };
    struct change_pin_volume *leader = &change->volumes[first];
    int r = pins_check_protector(&change->state.pins, &leader->old, error);
    bool decided = false;

    r = r ?: keys_stretch(pin, &leader->old.kdf, &auth, &mix, error);
    for (size_t i = first; i < change->count; i++) {
        struct change_pin_volume *volume = &change->volumes[i];

        if (!share_pin(leader, volume))
            continue;
        volume->tried = true;
        r = r ?: open_by_keys(change, volume, &auth, &mix, error);
        if (r == ERROR_WRONG_PIN && decided)
            return error_set(error, ERROR_METADATA, "\"%s\" and \"%s\" say that they share a PIN, and do not",
                             leader->pin->name, volume->pin->name);
        decided = !r;
    }
    return r;
}

static void leave_out_closed(struct change_pin *change)
{
    bool opened[PINS_MAX_VOLUMES] = { 0 };

    for (size_t i = 0; i < change->count; i++)
        opened[i] = change->volumes[i].key.size;
    keep_volumes(change, opened);
}

/* What a change that was cut has left. */
static int settle_all(struct change_pin *change, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < change->count; i++)
        r = sealing_settle(change->request.tpm, &change->state, &change->volumes[i].volume, change->volumes[i].keep,
                           error);
    return r ?: reopen_all(change, error);
}

int change_pin_by_pin(struct change_pin *change, const struct secret *pin, struct error *error)
{
    bool refused = false, opened = false;
    struct error ignored;
    int r = 0;

    for (size_t i = 0; i < change->count; i++)
        change->volumes[i].tried = false;
    for (size_t i = 0; i < change->count; i++) {
        if (change->volumes[i].tried)
            continue;
        r = try_group(change, i, pin, error);
        if (r && r != ERROR_WRONG_PIN)
            return r;
        refused = refused || r;
        opened = opened || !r;
    }
    if (!opened)
        return r;
    /* these wrong tries are ours, not a guesser's: the PIN is one of this machine's */
    if (refused)
        (void)provision_forgive(change->request.tpm, &change->state, &ignored);
    leave_out_closed(change);
    return settle_all(change, error);
}

/* Who has forgotten a PIN has tried some. The new object could not be proven while the TPM refuses PINs. */
static int end_lockout(struct change_pin *change, struct error *error)
{
    struct tpm_state now;
    int r = tpm_state_read(change->request.tpm, &now, error);

    return r || !now.in_lockout ? r : provision_forgive(change->request.tpm, &change->state, error);
}

int change_pin_by_passphrase(struct change_pin *change, const struct secret *passphrase, struct error *error)
{
    struct change_pin_volume *volume = &change->volumes[0];
    int r = recover_any(volume->volume, passphrase, &volume->key, &volume->keep, error);

    if (r)
        return error_prefix(error, "the existing passphrase");
    /* the old protector's own: it goes with the protector */
    if (volume->keep == volume->old.keyslot)
        volume->keep = -1;
    r = end_lockout(change, error);
    return r ?: settle_all(change, error);
}

/* ---- the change ---- */

static uint32_t maximum(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* The PINs that the volume's other operators have. */
static void pass_over_others(struct pin_search *search, const struct change_pin_volume *volume)
{
    for (size_t i = 0; i < volume->protectors.count; i++) {
        const struct protector *protector = &volume->protectors.items[i];

        if (protector->kind == PROTECTOR_TPM2_PIN && protector->operator_number != volume->old.operator_number)
            pin_search_pass_over(search, protector);
    }
}

static int choose_kdf(const struct change_pin *change, const struct secret *pin, struct kdf_parameters *ret,
                      struct error *error)
{
    const struct pins *pins = &change->state.pins;
    struct pin_search search = { change->request.tpm, &change->state };
    struct kdf_rules rules = change->request.kdf;
    unsigned found;

    /* less would be refused at the next boot */
    rules.floor_memory_kib = maximum(rules.floor_memory_kib, pins->floor_memory_kib);
    rules.floor_iterations = maximum(rules.floor_iterations, pins->floor_iterations);
    for (size_t i = 0; i < pins->volume_count; i++)
        search.volumes |= 1u << i;
    for (size_t i = 0; i < change->count; i++) {
        search.volumes &= ~(1u << (change->volumes[i].pin - pins->volumes));
        pass_over_others(&search, &change->volumes[i]);
    }
    return pin_search_choose(&search, &rules, pin, ret, &found, error);
}

static int seal_all(struct change_pin *change, const struct secret *pin, struct error *error)
{
    struct kdf_parameters kdf;
    int r = choose_kdf(change, pin, &kdf, error);

    for (size_t i = 0; !r && i < change->count; i++) {
        struct change_pin_volume *volume = &change->volumes[i];
        struct sealing *sealing = &volume->sealing;

        *sealing = (struct sealing){ change->request.tpm, &change->state, &volume->volume, &volume->key };
        r = sealing_describe(sealing, PROTECTOR_TPM2_PIN, volume->old.label, error);
        sealing->protector.payload = volume->old.payload;
        sealing->protector.kdf = kdf;
        sealing->protector.operator_number = volume->old.operator_number;
        r = r ?: sealing_seal(sealing, pin, error);
        r = r ?: sealing_announce(sealing, error);
    }
    return r;
}

static int approve_all(struct change_pin *change, struct error *error)
{
    cleanup(approval_free) struct approval draft = { 0 };
    int r = approval_copy(&change->state.approval, &draft, error);

    for (size_t i = 0; !r && i < change->count; i++)
        r = sealing_add_object(&change->volumes[i].sealing, &draft, error);
    r = r ?: approve_switch(change->request.tpm, &change->state, &draft, error);
    return r ?: reopen_all(change, error);
}

static int install_all(struct change_pin *change, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < change->count; i++) {
        struct change_pin_volume *volume = &change->volumes[i];

        r = sealing_install(&volume->sealing, error);
        if (!r && volume->old.keyslot >= 0 && volume->old.payload == PAYLOAD_KEYSLOT)
            r = volume_keyslot_copy_priority(volume->volume, volume->old.keyslot, volume->sealing.protector.keyslot,
                                             error);
        r = r ?: leftover_announce_end(volume->volume, &volume->old, error);
    }
    return r;
}

static int replace_tokens(struct change_pin *change, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < change->count; i++) {
        r = sealing_write_token(&change->volumes[i].sealing, change->volumes[i].old.token, error);
        change->volumes[i].changed = !r;
    }
    return r;
}

/* What each header's token says holds: this takes a change back, or completes it. The error to tell is another one. */
static void clear_away(struct change_pin *change)
{
    struct state *state = &change->state;
    struct error ignored;

    /* a switch that failed half way: the TPM knows which list is in force */
    if (state->has_next && approve_settle(change->request.tpm, state, false, &ignored))
        return;
    for (size_t i = 0; i < change->count; i++)
        if (change->volumes[i].volume)
            (void)sealing_settle(change->request.tpm, state, &change->volumes[i].volume, change->volumes[i].keep,
                                 &ignored);
}

static bool name_volumes(const struct change_pin *change, bool changed, char ret[NAMES_TEXT])
{
    size_t length = 0;

    for (size_t i = 0; i < change->count && length < NAMES_TEXT; i++)
        if (change->volumes[i].changed == changed)
            length += (size_t)snprintf(ret + length, NAMES_TEXT - length, "%s\"%s\"", length ? ", " : "",
                                       change->volumes[i].pin->name);
    return length > 0;
}

static int tell_progress(const struct change_pin *change, struct error *error)
{
    char done[NAMES_TEXT] = "", left[NAMES_TEXT] = "";

    if (name_volumes(change, true, done) && name_volumes(change, false, left)) {
        error_prefix(error, "%s has the new PIN, but %s the old one", done, left);
        return error_remedy(error, "run it again with the old PIN for the others: bootseal change-pin");
    }
    return error_prefix(error, "the PIN is as it was");
}

int change_pin_finish(struct change_pin *change, const struct secret *pin, struct error *error)
{
    int r = seal_all(change, pin, error);

    r = r ?: approve_all(change, error);
    r = r ?: install_all(change, error);
    r = r ?: replace_tokens(change, error);
    if (r) {
        clear_away(change);
        return tell_progress(change, error);
    }
    r = settle_all(change, error);
    if (!r)
        return 0;
    error_prefix(error, "the PIN is changed, but what is left of the old one could not be cleared away");
    return error_remedy(error, "run bootseal change-pin once more: until then an old copy of the header would make "
                               "the old PIN good again");
}

void change_pin_end(struct change_pin *change)
{
    for (size_t i = 0; change->volumes && i < change->count; i++)
        volume_free(&change->volumes[i]);
    free(change->volumes);
    state_close(&change->state);
    *change = (struct change_pin){ .state.lock = -1 };
}
