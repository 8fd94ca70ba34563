#include "protect/remove.h"
#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/operator-choice.h"
#include "cli/verb.h"

#include <string.h>

static const struct option_row options[] = {
    { "protector", "ID", "this protector alone (the first characters of its ID are enough); default: all" },
    { "operator", "N", "the protector with this operator's PIN alone" },
    { "force-last", NULL, "remove the last way into the volume too: its data is lost; asks for the volume's name" },
    { "confirm", "NAME", "that name, with --force-last where nobody can be asked" },
    { 0 },
};

static int print_result(const struct call *call, const struct remove_result *result, struct error *error)
{
    cleanup(json_free) struct json_object *object = NULL;
    int left = __builtin_popcount(result->keyslots_left);
    int r;

    if (!call_flag(call, "json")) {
        printf("%zu %s removed; %d %s left\n", result->removed, result->removed == 1 ? "protector" : "protectors", left,
               left == 1 ? "keyslot" : "keyslots");
        return 0;
    }
    object = json_object_new_object();
    r = object ? 0 : error_no_memory(error);
    if (!r)
        r = json_add(object, "removed", json_object_new_int64((int64_t)result->removed), error);
    if (!r)
        r = json_add(object, "keyslots_left", json_object_new_int(left), error);
    return r ? r : print_json(object, error);
}

/* A TPM that is gone or another one must not keep anybody from cleaning up a header. */
static int remove_without_tpm(struct remove_request *request, struct remove_result *result, struct error *error)
{
    log_warning("%s; removing from the header alone", error->text);
    request->tpm = NULL;
    return remove_protectors(request, result, error);
}

static int compare_name(const char *name, const char *typed, size_t size, struct error *error)
{
    if (size == strlen(name) && memcmp(typed, name, size) == 0)
        return 0;
    error_set(error, ERROR_REFUSED, "that is not the volume's name, which is \"%s\": nothing was removed", name);
    return error_remedy(error, "without --force-last the last way in stays");
}

/* The data is lost with it, so the name has to be typed. */
static int confirm_last(void *context, const char *name, struct error *error)
{
    cleanup(secret_free) struct secret typed = { 0 };
    const struct ask_way way = ask_way_terminal();
    const char *given = call_option(context, "confirm");
    char prompt[200];
    int r;

    if (given)
        return compare_name(name, given, strlen(given), error);
    snprintf(prompt, sizeof(prompt), "That is the last way into %s. To lose its data, type its name", name);
    r = ask_text(&way, prompt, &typed, error);
    if (r == ERROR_USAGE && !error->remedy[0])
        error_remedy(error, "without a terminal, use --confirm %s", name);
    return r ? r : compare_name(name, (const char *)typed.bytes, typed.size, error);
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct remove_request request = {
        .state_folder = call_state_folder(call),
        .device = call_argument(call, 0),
        .protector = call_option(call, "protector"),
        .confirm_last = call_flag(call, "force-last") ? confirm_last : NULL,
        .context = call,
    };
    struct remove_result result;
    int r = operator_from_call(call, &request.operator_number, error);

    if (!r && request.operator_number && request.protector)
        r = error_set(error, ERROR_USAGE, "--protector and --operator exclude each other");
    if (r)
        return error_prefix(error, "remove \"%s\"", request.device);
    r = call_open_tpm(call, &tpm, error);
    request.tpm = tpm;
    if (!r)
        r = remove_protectors(&request, &result, error);
    if (r == ERROR_TPM)
        r = remove_without_tpm(&request, &result, error);
    return r ? error_prefix(error, "remove \"%s\"", request.device) : print_result(call, &result, error);
}

const struct verb verb_remove = {
    .name = "remove",
    .arguments = "DEVICE",
    .summary = "take protectors away; never the last way in unasked",
    .options = options,
    .min_arguments = 1,
    .max_arguments = 1,
    .needs_root = true,
    .run = run,
};
