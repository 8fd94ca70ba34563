#include "protect/change-pin.h"
#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/operator-choice.h"
#include "cli/protector-words.h"
#include "cli/secrets.h"

#include <string.h>

#define MACHINE_POLICY "/etc/bootseal/policy.json"

static const struct option_row options[] = {
    { "operator", "N", "the PIN of this operator, where volumes have several" },
    { "protector", "ID", "the PIN of this protector (the first characters of its ID are enough)" },
    { "pin-file", "FILE|-", "the old PIN; one try" },
    { "new-pin-file", "FILE|-", "the new PIN" },
    { "forgotten", NULL, "the old PIN is forgotten: ask for a passphrase or recovery key of the volume instead" },
    { "unlock-key-file", "FILE|-", "that passphrase or recovery key" },
    { "policy", "NAME|FILE", "whose rules the new PIN follows; default " MACHINE_POLICY ", if it is there" },
    { 0 },
};

static bool is_forgotten(const struct call *call)
{
    return call_flag(call, "forgotten") || call_option(call, "unlock-key-file");
}

static int check_options(const struct call *call, struct error *error)
{
    static const char *const files[] = { "pin-file", "new-pin-file", "unlock-key-file" };
    unsigned from_stdin = 0;

    for (size_t i = 0; i < array_size(files); i++) {
        const char *path = call_option(call, files[i]);

        from_stdin += path && strcmp(path, "-") == 0;
    }
    if (from_stdin > 1)
        return error_set(error, ERROR_USAGE, "only one secret can come from standard input");
    if (is_forgotten(call) && call_option(call, "pin-file"))
        return error_set(error, ERROR_USAGE, "--pin-file gives the old PIN, which is said to be forgotten");
    if (is_forgotten(call) && !call_argument(call, 0))
        return error_set(error, ERROR_USAGE, "a passphrase opens one volume: name its DEVICE");
    if (call_option(call, "protector") && !call_argument(call, 0))
        return error_set(error, ERROR_USAGE, "--protector means one volume: name its DEVICE");
    if (call_option(call, "protector") && call_option(call, "operator"))
        return error_set(error, ERROR_USAGE, "--protector and --operator exclude each other");
    return 0;
}

/* Without a document the defaults hold: what is bound was decided at enrolment. */
static int read_policy(const struct call *call, struct policy_document *ret, struct error *error)
{
    const char *name = call_option(call, "policy");

    *ret = policy_document_default();
    if (!name && !file_exists(MACHINE_POLICY))
        return 0;
    return policy_document_read(call_policy_folder(call), name ? name : MACHINE_POLICY, ret, error);
}

/* Where volumes have several PINs and no option has said which. */
static int choose_operator(struct change_pin *change, struct error *error)
{
    unsigned number = 0;
    int r = change->operators.count ? operator_ask(&change->operators, 0, &number, NULL, error) : 0;

    return r || !number ? r : change_pin_choose(change, number, error);
}

static int read_old_pin(const struct call *call, struct secret *ret, struct error *error)
{
    int r = secret_from_call(call, "pin-file", "Old PIN", ASK_MAX_BYTES, ret, error);

    if (!r && secret_is_given(call, "pin-file"))
        secret_chomp(ret);
    return r;
}

static int try_pins(const struct call *call, struct change_pin *change, struct secret *ret, struct error *error)
{
    bool given = secret_is_given(call, "pin-file");

    for (unsigned tries = change->state.pins.tries;; tries--) {
        cleanup(secret_free) struct secret pin = { 0 };
        int r = read_old_pin(call, &pin, error);

        if (!r)
            r = change_pin_by_pin(change, &pin, error);
        if (!r)
            *ret = secret_take(&pin);
        if (r != ERROR_WRONG_PIN || given || tries <= 1)
            return r;
        log_info("wrong PIN; %u more %s", tries - 1, tries == 2 ? "try" : "tries");
    }
}

static int try_passphrase(const struct call *call, struct change_pin *change, struct error *error)
{
    cleanup(secret_free) struct secret passphrase = { 0 };
    int r = secret_from_call(call, "unlock-key-file", "Passphrase or recovery key of the volume",
                             VOLUME_MAX_PASSPHRASE_BYTES, &passphrase, error);

    return r ? r : change_pin_by_passphrase(change, &passphrase, error);
}

static int finish(const struct call *call, struct change_pin *change, const struct pin_rules *rules,
                  const struct secret *old, struct error *error)
{
    cleanup(secret_free) struct secret pin = { 0 };
    int r = new_pin_from_call(call, "new-pin-file", rules, &pin, error);

    if (!r && secret_equal(&pin, old))
        r = error_set(error, ERROR_USAGE, "the new PIN is the old one");
    return r ? r : change_pin_finish(change, &pin, error);
}

static int volume_to_json(const struct change_pin_volume *volume, struct json_object *list, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    if (!r)
        r = json_add(object, "volume", json_object_new_string(volume->pin->uuid), error);
    if (!r)
        r = json_add(object, "name", json_object_new_string(volume->pin->name), error);
    if (!r)
        r = json_add(object, "protector", json_object_new_string(volume->sealing.protector.id), error);
    if (!r)
        r = protector_add_operator(object, &volume->sealing.protector, error);
    if (!r)
        r = protector_add_keyslot(object, &volume->sealing.protector, error);
    return r;
}

static int print_result(const struct call *call, const struct change_pin *change, struct error *error)
{
    cleanup(json_free) struct json_object *result = NULL;
    struct json_object *list;
    int r;

    for (size_t i = 0; i < change->count && !call_flag(call, "json"); i++) {
        const struct protector *protector = &change->volumes[i].sealing.protector;
        char place[PROTECTOR_PLACE_TEXT];

        protector_place(protector, place);
        printf("%s has the new PIN: protector %s (%s)\n", change->volumes[i].pin->name, protector->id, place);
    }
    if (!call_flag(call, "json"))
        return 0;
    result = json_object_new_object();
    list = json_object_new_array();
    r = result ? json_add(result, "changed", list, error) : error_no_memory(error);
    for (size_t i = 0; !r && i < change->count; i++)
        r = volume_to_json(&change->volumes[i], list, error);
    return r ? r : print_json(result, error);
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(change_pin_end) struct change_pin change = { .state.lock = -1 };
    cleanup(secret_free) struct secret old = { 0 };
    struct change_pin_request request = {
        .state_folder = call_state_folder(call),
        .device = call_argument(call, 0),
        .protector = call_option(call, "protector"),
        .forgotten = is_forgotten(call),
    };
    struct policy_document document;
    int r = check_options(call, error);

    if (!r)
        r = operator_from_call(call, &request.operator_number, error);
    if (!r)
        r = read_policy(call, &document, error);
    if (!r)
        r = call_open_tpm(call, &tpm, error);
    if (!r) {
        request.tpm = tpm;
        request.kdf = document.kdf;
        r = change_pin_begin(&change, &request, error);
    }
    if (!r)
        r = choose_operator(&change, error);
    if (!r)
        r = request.forgotten ? try_passphrase(call, &change, error) : try_pins(call, &change, &old, error);
    if (!r)
        r = finish(call, &change, &document.pin, &old, error);
    if (r)
        return request.device ? error_prefix(error, "change-pin \"%s\"", request.device)
                              : error_prefix(error, "change-pin");
    return print_result(call, &change, error);
}

const struct verb verb_change_pin = {
    .name = "change-pin",
    .arguments = "[DEVICE]",
    .summary = "give volumes another PIN, by the old one or by a passphrase",
    .options = options,
    .min_arguments = 0,
    .max_arguments = 1,
    .needs_root = true,
    .run = run,
};
