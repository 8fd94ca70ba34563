#include "protect/reseal.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "cli/verb.h"

static const struct option_row options[] = {
    { "current", NULL, "approve the boot state of the running boot" },
    { "keep", NULL, "keep the boot states that are approved so far" },
    { "current-values", NULL, "without a record of the initramfs, take the PCRs as they are now" },
    { 0 },
};

static int print_result(const struct call *call, const struct reseal_result *result, struct error *error)
{
    cleanup(json_free) struct json_object *object = NULL;
    int r;

    if (!call_flag(call, "json")) {
        printf("approved now: %zu boot %s, the last one this boot's (%s), on %zu %s\n", result->boot_branches,
               result->boot_branches == 1 ? "state" : "states", result->label, result->volumes,
               result->volumes == 1 ? "volume" : "volumes");
        return 0;
    }
    object = json_object_new_object();
    r = object ? 0 : error_no_memory(error);
    if (!r)
        r = json_add(object, "boot_states", json_object_new_int64((int64_t)result->boot_branches), error);
    if (!r)
        r = json_add(object, "volumes", json_object_new_int64((int64_t)result->volumes), error);
    if (!r)
        r = json_add(object, "label", json_object_new_string(result->label), error);
    return r ? r : print_json(object, error);
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct reseal_request request = {
        .state_folder = call_state_folder(call),
        .report_path = call_report(call),
        .current_values = call_flag(call, "current-values"),
        .keep = call_flag(call, "keep"),
    };
    struct reseal_result result;
    int r;

    if (!call_flag(call, "current")) {
        error_set(error, ERROR_USAGE, "reseal: say which boot state: --current");
        return error_remedy(error, "boot into the state that is to be approved, with the passphrase if need be, then "
                                   "run: bootseal reseal --current");
    }
    r = call_open_tpm(call, &tpm, error);
    request.tpm = tpm;
    if (!r)
        r = reseal_current(&request, &result, error);
    return r ? error_prefix(error, "reseal") : print_result(call, &result, error);
}

const struct verb verb_reseal = {
    .name = "reseal",
    .arguments = "",
    .summary = "replace the approval: which boot states may open the volumes",
    .options = options,
    .needs_root = true,
    .run = run,
};
