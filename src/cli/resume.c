#include "base/cleanup.h"
#include "base/json.h"
#include "cli/verb.h"
#include "protect/suspend.h"

#include <stdio.h>

static int print_result(const struct call *call, const struct suspend_result *result, struct error *error)
{
    cleanup(json_free) struct json_object *object = NULL;
    int r;

    if (!call_flag(call, "json")) {
        if (!call_flag(call, "quiet"))
            printf("%s%s\n",
                   result->suspended ? "resumed: only approved boots open the volumes" : "nothing is suspended",
                   result->renewed ? "; what has no PIN has a new secret" : "");
        return 0;
    }
    object = json_object_new_object();
    r = object ? json_add(object, "resumed", json_object_new_boolean(result->suspended), error)
               : error_no_memory(error);
    r = r ?: json_add(object, "renewed", json_object_new_boolean(result->renewed), error);
    return r ?: print_json(object, error);
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct suspend_request request = {
        .state_folder = call_state_folder(call),
        .report_path = call_report(call),
    };
    struct suspend_result result;
    int r = call_open_tpm(call, &tpm, error);

    request.tpm = tpm;
    r = r ?: resume(&request, &result, error);
    return r ? error_prefix(error, "resume") : print_result(call, &result, error);
}

const struct verb verb_resume = {
    .name = "resume",
    .arguments = "",
    .summary = "end a suspension: only approved boots open the volumes",
    .needs_root = true,
    .run = run,
};
