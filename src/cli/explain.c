#include "base/cleanup.h"
#include "base/json.h"
#include "base/pcr.h"
#include "cli/explain-json.h"
#include "cli/verb.h"
#include "measure/boot-chain.h"
#include "measure/event-check.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const struct option_row options[] = {
    { "eventlog", "FILE", "tell in words what this event log says, or what differs in it with --against" },
    { "against", "FILE", "tell what differs from this event log of an earlier boot" },
    { 0 },
};

static void free_explained(struct explained_log *explained)
{
    component_list_free(&explained->components);
    event_log_free(&explained->log);
}

/* The kernel's own log is for root, and may not be there at all. */
static int check_running_boot(struct error *error)
{
    if (access(EVENT_LOG_PATH, R_OK) == 0)
        return 0;
    if (errno == EACCES) {
        error_set(error, ERROR_FAILED, "only root may read this boot's event log \"%s\"", EVENT_LOG_PATH);
        return error_remedy(error, "run it with sudo, or give a log with --eventlog");
    }
    error_errno(error, errno, "this boot has no event log: \"%s\"", EVENT_LOG_PATH);
    return error_remedy(error,
                        "give a log with --eventlog. The kernel has one only with UEFI or TPM firmware that hands "
                        "it over; Debian's GRUB does not pass it on while Secure Boot is off");
}

static int read_log(const char *path, struct explained_log *ret, struct error *error)
{
    int r;

    *ret = (struct explained_log){ .path = path ? path : EVENT_LOG_PATH };
    r = path ? 0 : check_running_boot(error);
    r = r ?: event_log_read(ret->path, &ret->log, error);
    return r ?: component_list_read(&ret->log, &ret->components, error);
}

static void print_events(const struct explained_log *explained)
{
    const struct event_log *log = &explained->log;

    printf("boot chain: %s\n", boot_chain_words(boot_chain_detect(log, &explained->components)));
    for (size_t i = 0; i < log->count; i++) {
        if (event_is_extended(&log->events[i]))
            printf("PCR %2u  ", log->events[i].pcr);
        else
            printf("        ");
        component_put(stdout, &explained->components.items[i]);
        if (event_check(log, &log->events[i]) == EVENT_CHECK_DIFFERS)
            printf(" (so the event log says, but something else was measured)");
        putchar('\n');
    }
}

static void print_differences(const struct comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++)
        printf("PCR %2u  %s\n", comparison->items[i].pcr, comparison->items[i].text);
    if (comparison->count == 0)
        puts("the two boots were measured alike");
}

static int print_result(const struct call *call, const struct explained_log *explained,
                        const struct explained_log *before, const struct comparison *comparison, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    int r;

    if (call_flag(call, "json")) {
        r = explain_to_json(explained, before, comparison, &document, error);
        return r ?: print_json(document, error);
    }
    if (comparison)
        print_differences(comparison);
    else
        print_events(explained);
    return fflush(stdout) ? error_set(error, ERROR_FAILED, "cannot write to standard output") : 0;
}

/* One log, or two. */
static int explain_logs(struct call *call, struct error *error)
{
    cleanup(free_explained) struct explained_log explained = { 0 }, before = { 0 };
    cleanup(comparison_free) struct comparison comparison = { 0 };
    const char *against = call_option(call, "against");
    const char *path = call_option(call, "eventlog");
    int r = read_log(path ? path : call_running_log(call), &explained, error);

    if (!r && against) {
        r = read_log(against, &before, error);
        r = r
                ?: event_log_compare(&(struct compared_log){ &before.log, &before.components },
                                     &(struct compared_log){ &explained.log, &explained.components }, &comparison,
                                     error);
    }
    return r ?: print_result(call, &explained, &before, against ? &comparison : NULL, error);
}

/* The running boot: what is not approved, and what is not as in the last good one. */
static int explain_boot(struct call *call, struct error *error)
{
    cleanup(boot_changes_free) struct boot_changes changes = { 0 };
    cleanup(json_free) struct json_object *document = NULL;
    const struct boot_changes_request request = {
        .state_folder = call_state_folder(call),
        .report_path = call_report(call),
        .log_path = call_running_log(call),
    };
    int r = boot_changes_read(&request, &changes, error);

    if (!r && call_flag(call, "json")) {
        r = explain_boot_to_json(&changes, request.log_path ? request.log_path : EVENT_LOG_PATH, &document, error);
        return r ?: print_json(document, error);
    }
    if (r)
        return r;
    boot_changes_put(stdout, &changes);
    return fflush(stdout) ? error_set(error, ERROR_FAILED, "cannot write to standard output") : 0;
}

static int run(struct call *call, struct error *error)
{
    bool logs = call_option(call, "eventlog") || call_option(call, "against");
    int r = logs ? explain_logs(call, error) : explain_boot(call, error);

    return r ? error_prefix(error, "explain") : 0;
}

const struct verb verb_explain = {
    .name = "explain",
    .arguments = "",
    .summary = "what changed in this boot, in words; what an event log says",
    .options = options,
    .run = run,
};
