#include "cli/reseal-parts.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/machine-policy.h"
#include "cli/predict-json.h"
#include "cli/suspend-words.h"
#include "cli/variable-options.h"
#include "protect/update/foresee.h"

#include <stdio.h>
#include <string.h>

/* ---- what it says ---- */

static int add_boot(struct json_object *list, const struct update_choice *choice, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    r = r ?: json_add_text(object, "title", choice->boot->title, error);
    r = r ?: json_add_text(object, "label", choice->boot->label, error);
    r = r ?: json_add(object, "disk_order", json_object_new_int64((int64_t)choice->boot->order), error);
    r = r ?: predict_add_after(object, choice->boot, error);
    r = r ?: json_add(object, "chosen", json_object_new_boolean(choice->boot->chosen), error);
    r = r ?: json_add_text(object, "verdict", update_verdict_name(choice->verdict), error);
    return r ?: json_add_text_or_null(object, "reason", choice->reason, error);
}

static int add_prediction(struct json_object *document, const struct foresee_result *result, struct error *error)
{
    struct json_object *object = json_object_new_object(), *list = json_object_new_array();
    int r = json_add(document, "prediction", object, error);

    r = r ?: json_add(object, "boots", list, error);
    for (size_t i = 0; !r && i < result->plan.count; i++)
        r = add_boot(list, &result->plan.choices[i], error);
    r = r ?: json_add(object, "added", json_object_new_int64((int64_t)result->added), error);
    r = r ?: json_add(object, "next_boot_opens", json_object_new_boolean(result->next_opens), error);
    return r ?: json_add(object, "by_suspension", json_object_new_boolean(result->by_suspension), error);
}

static int print_document(const struct foresee_result *result, struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    int r = document ? reseal_to_json(&result->approved, document, error) : error_no_memory(error);

    r = r ?: add_prediction(document, result, error);
    return r ?: print_json(document, error);
}

/* True when the same was told of an earlier stage of the firmware's variables. */
static bool is_told(const struct update_plan *plan, size_t i)
{
    const struct update_choice *choice = &plan->choices[i];

    for (size_t k = 0; choice->boot->after_count && k < i; k++)
        if (strcmp(plan->choices[k].boot->id, choice->boot->id) == 0 &&
            strcmp(plan->choices[k].reason, choice->reason) == 0)
            return true;
    return false;
}

/* Entries that were left out are told once, whatever the number of disk orders. */
static void tell_refused(const struct update_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct update_choice *choice = &plan->choices[i];

        /* no kernel: the firmware's setup, or nothing is known; of the next boot the reason is told anyhow */
        if (!choice->boot->kernel || !choice->boot->kernel[0] || is_told(plan, i))
            continue;
        if (choice->verdict == UPDATE_SHELL && choice->boot->order == 0)
            log_verbose("not approved: \"%s\": %s", choice->boot->title, choice->reason);
        else if (choice->verdict > UPDATE_APPROVE && choice->boot->order == 0)
            log_warning("not approved: \"%s\": %s", choice->boot->title, choice->reason);
    }
}

static int print_result(const struct call *call, const struct foresee_result *result, struct error *error)
{
    tell_refused(&result->plan);
    if (call_flag(call, "json"))
        return print_document(result, error);
    if (!call_flag(call, "quiet"))
        reseal_print_line(&result->approved);
    return 0;
}

/* ---- what it does ---- */

/* One reboot, and what it measures is approved afterwards. */
static int suspend_instead(const struct call *call, struct tpm *tpm, struct error *error)
{
    const struct suspend_request request = {
        .tpm = tpm,
        .state_folder = call_state_folder(call),
        .report_path = call_report(call),
    };
    struct suspend_result result;
    int r = suspend_for_update(&request, &result, error);

    if (!r && !call_flag(call, "json") && !call_flag(call, "quiet"))
        suspend_print_line(&result);
    return r;
}

static bool may_suspend(const struct call *call, const struct update_hook *hook)
{
    struct policy_document document;
    struct error ignored;

    if (call_flag(call, "or-suspend"))
        return true;
    return hook && !machine_policy_read(call, &document, &ignored) && document.on_failure == UPDATE_SUSPENDS;
}

/* What the prediction could not do. When the suspension fails as well, both are told. */
static int fall_back(const struct call *call, const struct update_hook *hook, struct tpm *tpm, struct error *error)
{
    const struct error reason = *error;

    if (!tpm || !may_suspend(call, hook))
        return (int)error->kind;
    log_warning("the next boot cannot be approved ahead: %s", reason.text);
    if (!suspend_instead(call, tpm, error))
        return 0;
    log_warning("and it cannot be let through by a suspension: %s", error->text);
    *error = reason;
    return (int)error->kind;
}

static enum foresee_ends ends(const struct call *call, const struct update_hook *hook)
{
    if (call_flag(call, "keep-suspended"))
        return FORESEE_ENDS_NONE;
    return hook ? FORESEE_ENDS_UPDATE : FORESEE_ENDS_ANY;
}

static int predict(const struct call *call, const struct update_hook *hook, const struct variable_options *variables,
                   struct tpm *tpm, struct error *error)
{
    cleanup(foresee_end) struct foresee_result *result = NULL;
    const struct foresee_request request = {
        .reseal = {
            .tpm = tpm,
            .state_folder = call_state_folder(call),
            .report_path = call_report(call),
            .current_values = call_flag(call, "current-values"),
        },
        .log_path = call_running_log(call),
        .written = hook ? hook->written : NULL,
        .built = call_option(call, "built"),
        .trusted = call_option(call, "trust"),
        .slot = call_option(call, "slot"),
        .changes = variables->changes,
        .change_count = variables->count,
        .allow_rescue = call_flag(call, "allow-rescue"),
        .ends = ends(call, hook),
    };
    int r = foresee(&request, &result, error);

    r = r ?: print_result(call, result, error);
    if (r || result->next_opens)
        return r;
    if (result->by_suspension) {
        log_info("the next boot is not approved (%s), but a suspension lets it through", result->why.text);
        return 0;
    }
    *error = result->why;
    return (int)error->kind;
}

int reseal_predict(const struct call *call, const struct update_hook *hook, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(variable_options_free) struct variable_options variables;
    int r = variable_options_read(call, &variables, error);

    if (r)
        return r;
    r = call_open_tpm(call, &tpm, error);
    r = r ?: predict(call, hook, &variables, tpm, error);
    return r ? fall_back(call, hook, tpm, error) : 0;
}
