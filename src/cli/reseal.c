#include "protect/reseal.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "cli/verb.h"

static const struct option_row options[] = {
    { "current", NULL, "approve the boot state of the running boot" },
    { "commit", NULL, "drop the boot states that the running boot has outlived" },
    { "keep", NULL, "with --current: keep the boot states that are approved so far" },
    { "current-values", NULL, "without a record of the initramfs, take the PCRs as they are now" },
    { 0 },
};

static const char *source_word(const struct reseal_state *state)
{
    return state->source == BRANCH_PREDICTED ? "predicted" : "measured";
}

static void print_line(const struct reseal_result *result)
{
    printf("approved now: %zu boot %s (", result->boot_branches, result->boot_branches == 1 ? "state" : "states");
    for (size_t i = 0; i < result->boot_branches; i++) {
        const struct reseal_state *state = &result->states[i];

        printf("%s%s, %s", i ? "; " : "", state->label, state->running ? "this boot's" : source_word(state));
    }
    printf(") on %zu %s", result->volumes, result->volumes == 1 ? "volume" : "volumes");
    if (result->dropped)
        printf("; dropped: %zu", result->dropped);
    putchar('\n');
}

static int add_state(struct json_object *list, const struct reseal_state *state, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    r = r ?: json_add(object, "label", json_object_new_string(state->label), error);
    if (!r && state->entry[0])
        r = json_add(object, "entry", json_object_new_string(state->entry), error);
    else if (!r && json_object_object_add(object, "entry", NULL) < 0)
        r = error_no_memory(error);
    r = r ?: json_add(object, "source", json_object_new_string(source_word(state)), error);
    return r ?: json_add(object, "running", json_object_new_boolean(state->running), error);
}

static int print_result(const struct call *call, const struct reseal_result *result, struct error *error)
{
    cleanup(json_free) struct json_object *object = NULL;
    struct json_object *list;
    int r;

    if (!call_flag(call, "json")) {
        print_line(result);
        return 0;
    }
    object = json_object_new_object();
    list = json_object_new_array();
    r = object ? json_add(object, "states", list, error) : error_no_memory(error);
    for (size_t i = 0; !r && i < result->boot_branches; i++)
        r = add_state(list, &result->states[i], error);
    r = r ?: json_add(object, "boot_states", json_object_new_int64((int64_t)result->boot_branches), error);
    r = r ?: json_add(object, "dropped", json_object_new_int64((int64_t)result->dropped), error);
    r = r ?: json_add(object, "volumes", json_object_new_int64((int64_t)result->volumes), error);
    r = r ?: json_add(object, "label", json_object_new_string(result->label), error);
    return r ?: print_json(object, error);
}

static int check_options(const struct call *call, struct error *error)
{
    bool current = call_flag(call, "current"), commit = call_flag(call, "commit");

    if (current && commit)
        return error_set(error, ERROR_USAGE, "reseal: --current and --commit exclude each other");
    if (commit && call_flag(call, "keep"))
        return error_set(error, ERROR_USAGE, "reseal: --keep goes with --current");
    if (current || commit)
        return 0;
    error_set(error, ERROR_USAGE, "reseal: say which boot states: --current or --commit");
    return error_remedy(error, "boot into the state that is to be approved, with the passphrase if need be, then "
                               "run: bootseal reseal --current");
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(free_ptr) struct reseal_result *result = calloc(1, sizeof(*result));
    struct reseal_request request = {
        .state_folder = call_state_folder(call),
        .report_path = call_report(call),
        .current_values = call_flag(call, "current-values"),
        .keep = call_flag(call, "keep"),
        .mark_kept = call_flag(call, "keep"),
    };
    int r = result ? check_options(call, error) : error_no_memory(error);

    if (r)
        return r;
    r = call_open_tpm(call, &tpm, error);
    request.tpm = tpm;
    if (!r && call_flag(call, "commit"))
        r = reseal_commit(&request, result, error);
    else if (!r)
        r = reseal_current(&request, result, error);
    return r ? error_prefix(error, "reseal") : print_result(call, result, error);
}

const struct verb verb_reseal = {
    .name = "reseal",
    .arguments = "",
    .summary = "replace the approval: which boot states may open the volumes",
    .options = options,
    .needs_root = true,
    .run = run,
};
