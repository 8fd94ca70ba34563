#include "protect/unlock.h"
#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/lockout-wait.h"
#include "cli/secrets.h"

static const struct option_row options[] = {
    { "test", NULL, "prove that it would open, and activate nothing" },
    { "pin-file", "FILE|-", "the PIN; one try" },
    { 0 },
};

static int try_pins(const struct call *call, struct unlock *unlock, struct secret *ret, struct error *error)
{
    bool given = secret_is_given(call, "pin-file");

    for (unsigned tries = unlock->state.pins.tries;; tries--) {
        cleanup(secret_free) struct secret pin = { 0 };
        int r = pin_from_call(call, "pin-file", &pin, error);

        if (!r)
            r = unlock_try(unlock, &pin, ret, error);
        if (r != ERROR_WRONG_PIN || given || tries <= 1)
            return r;
        log_info("wrong PIN; %u more %s", tries - 1, tries == 2 ? "try" : "tries");
    }
}

static int begin(struct call *call, const char *device, struct tpm **tpm, struct unlock *unlock, struct error *error)
{
    int r;

    for (;;) {
        r = call_open_tpm(call, tpm, error);
        if (!r)
            r = unlock_begin(unlock, *tpm, call_state_folder(call), device, error);
        if (r != ERROR_LOCKOUT || !lockout_wait(call, tpm, error))
            return r;
        unlock_end(unlock);
    }
}

static int print_result(const struct call *call, const struct unlock *unlock, const char *name, struct error *error)
{
    cleanup(json_free) struct json_object *result = NULL;
    const char *by = unlock->by_authority ? "authority" : "boot-state";
    bool test = call_flag(call, "test");
    int r;

    if (!call_flag(call, "json")) {
        printf("%s %s by the %s\n", unlock->pin.uuid, test ? "would open" : "is open",
               unlock->by_authority ? "authority" : "boot state");
        return 0;
    }
    result = json_object_new_object();
    r = result ? 0 : error_no_memory(error);
    if (!r)
        r = json_add(result, "volume", json_object_new_string(unlock->pin.uuid), error);
    if (!r)
        r = json_add(result, "protector", json_object_new_string(unlock->target.protector->id), error);
    if (!r)
        r = json_add(result, "by", json_object_new_string(by), error);
    if (!r)
        r = json_add(result, "activated", json_object_new_boolean(!test), error);
    if (!r && !test)
        r = json_add(result, "name", json_object_new_string(name), error);
    return r ? r : print_json(result, error);
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(unlock_end) struct unlock unlock = { .state.lock = -1 };
    cleanup(secret_free) struct secret passphrase = { 0 };
    const char *device = call_argument(call, 0), *name = call_argument(call, 1);
    int r = begin(call, device, &tpm, &unlock, error);

    if (!r && unlock.by_authority)
        log_verbose("this boot is capped: unsealing with the authority");
    if (!r)
        r = target_has_pin(&unlock.target) ? try_pins(call, &unlock, &passphrase, error)
                                           : unlock_try(&unlock, NULL, &passphrase, error);
    if (!r && !call_flag(call, "test"))
        r = unlock_activate(&unlock, name, &passphrase, error);
    if (r)
        return error_prefix(error, "unlock \"%s\"", device);
    return print_result(call, &unlock, name ? name : unlock.pin.name, error);
}

const struct verb verb_unlock = {
    .name = "unlock",
    .arguments = "DEVICE [NAME]",
    .summary = "open a volume here and now",
    .options = options,
    .min_arguments = 1,
    .max_arguments = 2,
    .needs_root = true,
    .run = run,
};
