#include "protect/reseal.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "cli/machine-policy.h"
#include "cli/reseal-parts.h"
#include "cli/variable-options.h"
#include "cli/verb.h"
#include "protect/update/foresee.h"

#include <string.h>

static const struct option_row options[] = {
    { "predict", NULL, "approve the boots that the machine may choose next (the default)" },
    { "current", NULL, "approve the boot state of the running boot" },
    { "commit", NULL, "drop the boot states that the running boot has outlived" },
    { "keep", NULL, "with --current: keep the boot states that are approved so far" },
    { "current-values", NULL, "without a record of the initramfs, take the PCRs as they are now" },
    { "built", "FILE", "with --predict: a boot file that this system has just written" },
    { "trust", "FILE", "with --predict: a boot file that you vouch for" },
    { "slot", "DIR", "with --predict: where a verified update is mounted" },
    { "or-suspend", NULL, "with --predict: where the next boot cannot be approved, suspend for one reboot" },
    { "keep-suspended", NULL, "with --predict: leave a suspension, another hook follows" },
    { VARIABLE_OPTION, VARIABLE_OPTION_ARGUMENT,
      "with --predict: before and after this update of db, dbx, KEK, PK (may be given again)" },
    { "allow-rescue", NULL, "with --predict: approve boots that give a shell too" },
    { "policy", "NAME|FILE", "instead of " MACHINE_POLICY ", for what a hook's failure means" },
    { "hook", "NAME", "called by this update hook: a failure follows the policy's on_failure" },
    { 0 },
};

static const char *source_word(const struct reseal_state *state)
{
    return state->source == BRANCH_PREDICTED ? "predicted" : "measured";
}

static bool is_first_of_label(const struct reseal_result *result, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(result->states[k].label, result->states[i].label) == 0)
            return false;
    return true;
}

/* "linux 6.1.0-50-amd64: this boot's, 5 predicted" */
static void print_label(const struct reseal_result *result, const char *label)
{
    const char *comma = "";
    size_t measured = 0, predicted = 0;

    printf("%s: ", label);
    for (size_t i = 0; i < result->boot_branches; i++) {
        const struct reseal_state *state = &result->states[i];

        if (strcmp(state->label, label) != 0)
            continue;
        if (state->running) {
            printf("this boot's");
            comma = ", ";
        } else if (state->source == BRANCH_PREDICTED) {
            predicted++;
        } else {
            measured++;
        }
    }
    if (measured)
        printf("%s%zu measured", comma, measured);
    if (predicted)
        printf("%s%zu predicted", measured ? ", " : comma, predicted);
}

void reseal_print_line(const struct reseal_result *result)
{
    const char *separator = "";

    printf("approved now: %zu boot %s (", result->boot_branches, result->boot_branches == 1 ? "state" : "states");
    for (size_t i = 0; i < result->boot_branches; i++) {
        if (!is_first_of_label(result, i))
            continue;
        printf("%s", separator);
        print_label(result, result->states[i].label);
        separator = "; ";
    }
    printf(") on %zu %s", result->volumes, result->volumes == 1 ? "volume" : "volumes");
    if (result->dropped)
        printf("; dropped: %zu", result->dropped);
    if (result->resumed)
        printf("; the suspension is ended");
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

int reseal_to_json(const struct reseal_result *result, struct json_object *object, struct error *error)
{
    struct json_object *list = json_object_new_array();
    int r = json_add(object, "states", list, error);

    for (size_t i = 0; !r && i < result->boot_branches; i++)
        r = add_state(list, &result->states[i], error);
    r = r ?: json_add(object, "boot_states", json_object_new_int64((int64_t)result->boot_branches), error);
    r = r ?: json_add(object, "dropped", json_object_new_int64((int64_t)result->dropped), error);
    r = r ?: json_add(object, "resumed", json_object_new_boolean(result->resumed), error);
    r = r ?: json_add(object, "volumes", json_object_new_int64((int64_t)result->volumes), error);
    return r ?: json_add_text_or_null(object, "label", result->label, error);
}

static int print_result(const struct call *call, const struct reseal_result *result, struct error *error)
{
    cleanup(json_free) struct json_object *object = NULL;
    int r;

    if (!call_flag(call, "json")) {
        reseal_print_line(result);
        return 0;
    }
    object = json_object_new_object();
    r = object ? reseal_to_json(result, object, error) : error_no_memory(error);
    r = r ?: json_add_null(object, "prediction", error);
    return r ?: print_json(object, error);
}

static const char *const ways[] = { "predict", "current", "commit" };

/* At most one way; none is --predict. Some options are for one way alone. */
static int check_options(const struct call *call, struct error *error)
{
    static const struct {
        const char *option, *way;
    } of_one[] = { { "keep", "current" },         { "built", "predict" },        { "trust", "predict" },
                   { "slot", "predict" },         { "or-suspend", "predict" },   { "keep-suspended", "predict" },
                   { "allow-rescue", "predict" }, { VARIABLE_OPTION, "predict" } };
    const char *way = NULL;

    for (size_t i = 0; i < array_size(ways); i++) {
        if (call_flag(call, ways[i]) && way)
            return error_set(error, ERROR_USAGE, "--%s and --%s exclude each other", way, ways[i]);
        if (call_flag(call, ways[i]))
            way = ways[i];
    }
    way = way ? way : ways[0];
    for (size_t i = 0; i < array_size(of_one); i++)
        if (call_option(call, of_one[i].option) && strcmp(way, of_one[i].way) != 0)
            return error_set(error, ERROR_USAGE, "--%s goes with --%s", of_one[i].option, of_one[i].way);
    return 0;
}

/* What the running boot has outlived, but for what may still come. */
static int commit(const struct call *call, struct reseal_request *request, struct reseal_result *result,
                  struct error *error)
{
    cleanup(foresee_end) struct foresee_result *ahead = NULL;
    cleanup(free_ptr) struct pcr_values *coming = NULL;
    const struct foresee_request look = { .reseal = *request, .log_path = call_running_log(call) };
    int r = foresee_look(&look, &ahead, error);

    if (r)
        return r;
    request->coming = coming = calloc(ahead->plan.count + 1, sizeof(*coming));
    if (!coming)
        return error_no_memory(error);
    request->coming_count = foresee_coming(ahead, coming);
    return reseal_commit(request, result, error);
}

static int look_back(const struct call *call, const struct update_hook *hook, struct error *error)
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
    int r = result ? call_open_tpm(call, &tpm, error) : error_no_memory(error);

    (void)hook; /* it has written nothing that looking back would rest on */
    request.tpm = tpm;
    if (!r && call_flag(call, "commit"))
        r = commit(call, &request, result, error);
    else if (!r)
        r = reseal_current(&request, result, error);
    return r ? r : print_result(call, result, error);
}

static int run(struct call *call, struct error *error)
{
    bool ahead = !call_flag(call, "current") && !call_flag(call, "commit");
    int r = check_options(call, error);

    r = r ?: reseal_as_hook(call, ahead ? reseal_predict : look_back, error);
    return r ? error_prefix(error, "reseal") : 0;
}

const struct verb verb_reseal = {
    .name = "reseal",
    .arguments = "",
    .summary = "replace the approval: which boot states may open the volumes",
    .options = options,
    .needs_root = true,
    .run = run,
};
