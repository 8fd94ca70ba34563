#include "cli/rotate-authority.h"

#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/next-boot.h"
#include "cli/protector-words.h"
#include "cli/secrets.h"
#include "protect/enroll/initramfs.h"
#include "protect/provision/rotation.h"

#include <string.h>

/* ---- options ---- */

static unsigned count_of(const struct call *call, const char *option, const char *value)
{
    unsigned count = 0;
    const char *given;

    for (size_t i = 0; (given = call_option_at(call, option, i)); i++)
        count += !value || strcmp(given, value) == 0;
    return count;
}

int rotate_authority_check(const struct call *call, struct error *error)
{
    static const char *const ours[] = { "pin-file", "drop-protector", "no-initramfs", "finish", "undo" };
    static const char *const foreign[] = { "policy", "lockout-auth-file" };
    bool rotate = call_flag(call, "rotate-authority"), end = call_flag(call, "finish") || call_flag(call, "undo");

    for (size_t i = 0; i < array_size(ours); i++)
        if (!rotate && call_flag(call, ours[i]))
            return error_set(error, ERROR_USAGE, "--%s goes with --rotate-authority", ours[i]);
    for (size_t i = 0; i < array_size(foreign); i++)
        if (rotate && call_flag(call, foreign[i]))
            return error_set(error, ERROR_USAGE, "--%s does not go with --rotate-authority", foreign[i]);
    if (call_flag(call, "finish") && call_flag(call, "undo"))
        return error_set(error, ERROR_USAGE, "--finish and --undo exclude each other");
    if (end && (call_flag(call, "pin-file") || call_flag(call, "drop-protector")))
        return error_set(error, ERROR_USAGE, "--finish and --undo want neither PINs nor protectors");
    if (count_of(call, "pin-file", "-") + count_of(call, "owner-auth-file", "-") > 1)
        return error_set(error, ERROR_USAGE, "only one secret can come from standard input");
    return 0;
}

/* ---- PINs ---- */

static int read_pin(const struct call *call, const struct rotate *rotate, size_t i, struct secret *ret,
                    struct error *error)
{
    char name[ROTATE_PIN_TEXT], prompt[ROTATE_PIN_TEXT + 16];
    int r;

    rotate_pin_name(rotate, i, name);
    snprintf(prompt, sizeof(prompt), "PIN for %s", name);
    r = secret_from_call_at(call, "pin-file", i, prompt, ASK_MAX_BYTES, ret, error);
    if (!r && call_option_at(call, "pin-file", i))
        secret_chomp(ret);
    if (!r && !ret->size)
        r = error_set(error, ERROR_WRONG_PIN, "no PIN was given");
    return r;
}

static int prove_one(const struct call *call, struct rotate *rotate, size_t i, struct error *error)
{
    char name[ROTATE_PIN_TEXT];

    for (unsigned tries = rotate->state.pins.tries;; tries--) {
        cleanup(secret_free) struct secret pin = { 0 };
        int r = read_pin(call, rotate, i, &pin, error);

        r = r ?: rotate_prove(rotate, i, &pin, error);
        if (r != ERROR_WRONG_PIN)
            return r;
        if (call_option_at(call, "pin-file", i) || tries <= 1) {
            rotate_pin_name(rotate, i, name);
            return error_prefix(error, "the PIN for %s", name);
        }
        log_info("wrong PIN; %u more %s", tries - 1, tries == 2 ? "try" : "tries");
    }
}

static int prove_all(const struct call *call, struct rotate *rotate, struct error *error)
{
    unsigned given = count_of(call, "pin-file", NULL);
    int r = 0;

    if (given > rotate->pin_count)
        return error_set(error, ERROR_USAGE, "%u PINs were given, and %zu are wanted", given, rotate->pin_count);
    for (size_t i = 0; !r && i < rotate->pin_count; i++)
        r = prove_one(call, rotate, i, error);
    return r;
}

/* ---- result ---- */

static int add_index(struct json_object *document, const struct pins *pins, struct error *error)
{
    struct json_object *object = json_object_new_object();
    const struct entity *index = &pins->index;
    int r = json_add(document, "index", object, error);

    r = r ?: json_add(object, "handle", json_object_new_int64(index->handle), error);
    return r ?: json_add(object, "name", json_new_hex(index->name.bytes, sizeof(index->name.bytes)), error);
}

static int new_document(const char *rotation, const struct pins *pins, struct json_object **ret, struct error *error)
{
    struct json_object *document = *ret = json_object_new_object();
    int r = document ? 0 : error_no_memory(error);

    r = r ?: json_add(document, "rotation", json_object_new_string(rotation), error);
    r = r ?: add_index(document, pins, error);
    r = r ?: json_add(document, "protectors", json_object_new_array(), error);
    return r ?: json_add(document, "dropped", json_object_new_array(), error);
}

static int add_item(struct json_object *list, const struct rotate_item *item, struct error *error)
{
    struct json_object *object = json_object_new_object();
    const struct protector *protector = &item->sealing.protector;
    int r = json_append(list, object, error);

    r = r ?: json_add(object, "volume", json_object_new_string(item->place->pin->uuid), error);
    r = r ?: json_add(object, "name", json_object_new_string(item->place->pin->name), error);
    r = r ?: json_add(object, "old_protector", json_object_new_string(item->old.id), error);
    r = r ?: json_add(object, "protector", json_object_new_string(protector->id), error);
    return r ?: protector_add_keyslot(object, protector, error);
}

static int print_document(const struct rotate *rotate, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    int r = new_document("waiting", &rotate->next.pins, &document, error);

    for (size_t i = 0; !r && i < rotate->item_count; i++) {
        const struct rotate_item *item = &rotate->items[i];

        if (item->dropped)
            r = json_append(json_object_object_get(document, "dropped"), json_object_new_string(item->old.id), error);
        else
            r = add_item(json_object_object_get(document, "protectors"), item, error);
    }
    return r ?: print_json(document, error);
}

static int print_result(const struct call *call, const struct rotate *rotate, struct error *error)
{
    if (call_flag(call, "json"))
        return print_document(rotate, error);
    printf("approval index 0x%08x, with a new authority\n", rotate->next.pins.index.handle);
    for (size_t i = 0; i < rotate->item_count; i++) {
        const struct rotate_item *item = &rotate->items[i];
        char place[PROTECTOR_PLACE_TEXT];

        protector_place(&item->sealing.protector, place);
        if (item->dropped)
            printf("%s: protector %s goes with the old authority\n", item->place->pin->name, item->old.id);
        else
            printf("%s: protector %s (%s) in the place of %s\n", item->place->pin->name, item->sealing.protector.id,
                   place, item->old.id);
    }
    return 0;
}

/* What is in force now, in one word. */
static int print_end(const struct call *call, const char *rotation, const char *words, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    cleanup(json_free) struct json_object *document = NULL;
    int r;

    if (!call_flag(call, "json")) {
        printf("%s\n", words);
        return 0;
    }
    r = state_open(call_state_folder(call), STATE_READ, &state, error);
    r = r ?: new_document(rotation, &state.pins, &document, error);
    return r ?: print_json(document, error);
}

/* ---- the three ways ---- */

static bool concerns_initramfs(const struct call *call, const struct rotate *rotate)
{
    const struct pins *pins = &rotate->state.pins;

    for (size_t i = 0; i < pins->volume_count; i++)
        if (pins_concern_this_boot(call_state_folder(call), &pins->volumes[i]))
            return true;
    return false;
}

/* `rotate` is done with: an update hook wants the lock while the initramfs is built. */
static int conclude(const struct call *call, struct tpm *tpm, struct rotate *rotate, struct error *error)
{
    struct next_boot boot = { 0 };
    bool initramfs = concerns_initramfs(call, rotate);
    int r = print_result(call, rotate, error);

    rotate_end(rotate);
    if (!r && initramfs && !call_flag(call, "no-initramfs") && initramfs_is_there())
        next_boot_rebuild(call, tpm, false, &boot);
    if (!r && initramfs)
        next_boot_tell(&boot, "opens the volumes as before", "recovery key or a passphrase");
    if (!r)
        log_info("the old authority is taken away after the first boot that the TPM opens by the new one (bootseal "
                 "boot-ok); until then both are in force");
    if (r || boot.rebuilt.kind == ERROR_NONE)
        return r;
    *error = boot.rebuilt;
    return (int)error->kind;
}

static int rotate_now(const struct call *call, struct tpm *tpm, const struct secret *owner_auth, struct error *error)
{
    cleanup(rotate_end) struct rotate rotate = { .state.lock = -1, .next.lock = -1 };
    const char *dropped[GIVEN_MAX];
    struct rotate_request request = {
        .tpm = tpm,
        .state_folder = call_state_folder(call),
        .owner_auth = owner_auth,
        .dropped = dropped,
    };
    const char *id;
    int r;

    while ((id = call_option_at(call, "drop-protector", request.dropped_count)))
        dropped[request.dropped_count++] = id;
    r = rotate_begin(&rotate, &request, error);
    r = r ?: prove_all(call, &rotate, error);
    r = r ?: rotate_finish(&rotate, error);
    return r ?: conclude(call, tpm, &rotate, error);
}

static int undo(const struct call *call, struct tpm *tpm, const struct secret *owner_auth, struct error *error)
{
    int r = rotation_undo(tpm, call_state_folder(call), owner_auth, error);

    return r ?: print_end(call, "undone", "nothing of another authority is left", error);
}

static int end(const struct call *call, struct tpm *tpm, const struct secret *owner_auth, struct error *error)
{
    int r = rotation_end(tpm, call_state_folder(call), owner_auth, error);

    return r ?: print_end(call, "ended", "the old authority is taken away", error);
}

/* A second run ends what a boot has proven. */
static int is_proven(const struct call *call, bool *ret, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    int r = state_open(call_state_folder(call), STATE_READ, &state, error);

    *ret = !r && rotation_is_proven(&state, call_report(call));
    return r;
}

/* Something must be there to be ended. */
static int check_waiting(const struct call *call, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    int r = state_open(call_state_folder(call), STATE_READ, &state, error);

    if (r || state.rotation == ROTATION_WAITING)
        return r;
    error_set(error, ERROR_REFUSED, "there is no old authority that waits to be taken away");
    return error_remedy(error, "run: bootseal provision --rotate-authority");
}

int rotate_authority(const struct call *call, struct tpm *tpm, const struct secret *owner_auth, struct error *error)
{
    bool proven = false;
    int r;

    if (call_flag(call, "undo"))
        return undo(call, tpm, owner_auth, error);
    if (call_flag(call, "finish"))
        return check_waiting(call, error) ?: end(call, tpm, owner_auth, error);
    r = is_proven(call, &proven, error);
    if (r)
        return r;
    return proven ? end(call, tpm, owner_auth, error) : rotate_now(call, tpm, owner_auth, error);
}
