#include "cli/reseal-parts.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "protect/update/foresee.h"

#include <stdio.h>

/* ---- what it says ---- */

static int add_boot(struct json_object *list, const struct update_choice *choice, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    r = r ?: json_add_text(object, "title", choice->boot->title, error);
    r = r ?: json_add_text(object, "label", choice->boot->label, error);
    r = r ?: json_add(object, "disk_order", json_object_new_int64((int64_t)choice->boot->order), error);
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
    return r ?: json_add(object, "next_boot_opens", json_object_new_boolean(result->next_opens), error);
}

static int print_document(const struct foresee_result *result, struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    int r = document ? reseal_to_json(&result->approved, document, error) : error_no_memory(error);

    r = r ?: add_prediction(document, result, error);
    return r ?: print_json(document, error);
}

/* Entries that were left out are told once, whatever the number of disk orders. */
static void tell_refused(const struct update_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct update_choice *choice = &plan->choices[i];

        /* no kernel: the firmware's setup, or nothing is known; of the next boot the reason is told anyhow */
        if (!choice->boot->kernel || !choice->boot->kernel[0])
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

int reseal_predict(const struct call *call, const struct update_hook *hook, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(foresee_end) struct foresee_result *result = NULL;
    struct foresee_request request = {
        .reseal = {
            .state_folder = call_state_folder(call),
            .report_path = call_report(call),
            .current_values = call_flag(call, "current-values"),
        },
        .log_path = call_running_log(call),
        .written = hook ? hook->written : NULL,
        .built = call_option(call, "built"),
        .trusted = call_option(call, "trust"),
        .slot = call_option(call, "slot"),
        .allow_rescue = call_flag(call, "allow-rescue"),
    };
    int r = call_open_tpm(call, &tpm, error);

    request.reseal.tpm = tpm;
    r = r ?: foresee(&request, &result, error);
    r = r ?: print_result(call, result, error);
    if (r || result->next_opens)
        return r;
    *error = result->why;
    return (int)error->kind;
}
