#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/journal.h"
#include "cli/machine-policy.h"
#include "cli/verb.h"
#include "protect/provision/rotation.h"
#include "protect/update/after-boot.h"

#include <string.h>
#include <syslog.h>

static const struct option_row options[] = {
    { "policy", "NAME|FILE", "whose after_recovery counts; default " MACHINE_POLICY ", if it is there" },
    { "stderr", NULL, "write the entries to standard error, also where there is a journal" },
    { 0 },
};

struct outcome {
    bool journal; /* where the entries went */
    bool written; /* false: an earlier run in this boot had */
    bool counter_read;
    unsigned before, after;
    enum golden_outcome golden;
    size_t dropped; /* boot states */
    bool resealed;
    bool rotation_ended;
    enum after_boot_suspension suspension;
};

/* For machines without a journal, and for people. */
static void write_to_stderr(const struct boot_event *event)
{
    const char *message = boot_event_value(event, "MESSAGE");

    if (boot_event_priority(event) <= LOG_WARNING)
        log_warning("%s", message);
    else
        log_info("%s", message);
    for (size_t i = 1; i < event->count; i++)
        log_verbose("  %s", event->fields[i]);
}

static int write_events(const struct boot_events *events, size_t first, const struct outcome *outcome,
                        struct error *error)
{
    int r = 0;

    for (size_t i = first; !r && i < events->count; i++) {
        if (outcome->journal)
            r = journal_send(&events->items[i], error);
        else
            write_to_stderr(&events->items[i]);
    }
    return r;
}

static int record(const struct boot_ok *boot_ok, struct outcome *outcome, struct error *error)
{
    int r;

    if (boot_ok->is_recorded)
        return 0;
    r = write_events(&boot_ok->events, 0, outcome, error);
    if (!r)
        r = boot_ok_mark_recovery_keys(boot_ok, error);
    if (!r)
        r = boot_ok_mark_recorded(boot_ok, error);
    outcome->written = !r && boot_ok->events.count > 0;
    return r;
}

static int reset_counter(const struct call *call, struct boot_ok *boot_ok, struct outcome *outcome, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    size_t first = boot_ok->events.count;
    int r;

    if (!boot_ok->wants_reset)
        return 0;
    r = call_open_tpm(call, &tpm, error);
    if (!r)
        r = boot_ok_reset_counter(boot_ok, tpm, &outcome->before, &outcome->after, error);
    if (r)
        return error_prefix(error, "the counter of wrong PINs");
    outcome->counter_read = true;
    if (outcome->before > 0 && outcome->after == outcome->before)
        log_warning("the counter of wrong PINs stays at %u: the lockout authorisation is not kept here",
                    outcome->before);
    if (outcome->before > 0 && outcome->after == 0)
        r = boot_events_counter_reset(outcome->before, &boot_ok->events, error);
    return r ? r : write_events(&boot_ok->events, first, outcome, error);
}

/* What stays of it is there for the next boot, and for doctor to find. */
static int end_rotation(const struct call *call, const struct boot_ok *boot_ok, struct outcome *outcome,
                        struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    int r;

    if (!boot_ok->ends_rotation)
        return 0;
    r = call_open_tpm(call, &tpm, error);
    if (!r)
        r = rotation_end(tpm, boot_ok->state_folder, NULL, error);
    if (r)
        return r;
    outcome->rotation_ended = true;
    log_info("this boot has proven the new authority: the old one is taken away");
    return 0;
}

/* ---- the approval ---- */

static const char *const suspension_words[] = {
    [AFTER_BOOT_NO_SUSPENSION] = "none",
    [AFTER_BOOT_STAYS] = "stays",
    [AFTER_BOOT_RESUMED] = "ended",
    [AFTER_BOOT_RESEALED] = "resealed",
};

static const char *const golden_words[] = {
    [GOLDEN_KEPT] = "kept",         [GOLDEN_KEPT_VALUES] = "values",        [GOLDEN_UNCHANGED] = "unchanged",
    [GOLDEN_NOT_GOOD] = "not-good", [GOLDEN_NOT_REPLAYED] = "not-replayed",
};

static int keep_good_boot(const struct call *call, const struct boot_ok *boot_ok, struct outcome *outcome,
                          struct error *error)
{
    int r = after_boot_keep(boot_ok, call_running_log(call), &outcome->golden, error);

    if (!r && outcome->golden == GOLDEN_NOT_REPLAYED)
        log_warning("this boot's event log does not give the PCRs that the initramfs recorded: it is not kept, and "
                    "the next boot cannot be compared with it");
    return r;
}

static int approve_news(const struct call *call, struct tpm *tpm, struct error *error)
{
    cleanup(foresee_end) struct foresee_result *result = NULL;
    const struct foresee_request request = {
        .reseal = { .tpm = tpm, .state_folder = call_state_folder(call), .report_path = call_report(call) },
        .log_path = call_running_log(call),
    };

    return foresee(&request, &result, error);
}

static int drop_outlived(struct boot_ok *boot_ok, const struct reseal_request *request, struct outcome *outcome,
                         struct error *error)
{
    cleanup(free_ptr) struct reseal_result *result = calloc(1, sizeof(*result));
    size_t first = boot_ok->events.count;
    int r = result ? reseal_commit(request, result, error) : error_no_memory(error);

    if (r)
        return r;
    outcome->dropped = result->dropped;
    r = result->dropped ? boot_events_committed(result->dropped, &boot_ok->events, error) : 0;
    return r ?: write_events(&boot_ok->events, first, outcome, error);
}

/* After a good boot: what may come is approved, what has had its time is not. The TPM is asked only when one of the two
 * changes something. */
static int commit(const struct call *call, struct boot_ok *boot_ok, struct outcome *outcome, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(foresee_end) struct foresee_result *ahead = NULL;
    cleanup(free_ptr) struct pcr_values *coming = NULL;
    struct reseal_request request = {
        .state_folder = call_state_folder(call),
        .report_path = call_report(call),
        .keep_kept = true,
    };
    size_t outlived = 0;
    int r = after_boot_look_ahead(boot_ok, call_running_log(call), &ahead, error);

    if (r) /* then nothing is known to be over either */
        log_warning("the next boots cannot be told, and all boot states stay approved: %s", error->text);
    if (r || !ahead)
        return 0;
    request.coming = coming = calloc(ahead->plan.count + 1, sizeof(*coming));
    if (!coming)
        return error_no_memory(error);
    request.coming_count = foresee_coming(ahead, coming);
    r = after_boot_count_outlived(boot_ok, coming, request.coming_count, &outlived, error);
    if (r || (!outlived && !foresee_has_news(ahead)))
        return r;
    r = call_open_tpm(call, &tpm, error);
    request.tpm = tpm;
    if (!r && foresee_has_news(ahead))
        r = approve_news(call, tpm, error);
    if (!r && outlived)
        r = drop_outlived(boot_ok, &request, outcome, error);
    return r ? error_prefix(error, "the boot states that may come") : 0;
}

/* After a boot that was not approved, if the policy says so. */
static int reseal(const struct call *call, struct boot_ok *boot_ok, const struct boot_changes *changes,
                  struct outcome *outcome, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    size_t first = boot_ok->events.count;
    struct policy_document document;
    char why[EXPLAINED_WHY_TEXT];
    int r = machine_policy_read(call, &document, error);

    if (r || !document.reseal_after_recovery)
        return r;
    r = call_open_tpm(call, &tpm, error);
    r = r ?: after_boot_reseal(boot_ok, tpm, changes, &outcome->resealed, why, error);
    if (!r && !outcome->resealed)
        log_info("this boot is not approved by itself: %s", why);
    if (r || !outcome->resealed)
        return r;
    r = boot_events_resealed(changes->not_approved, &boot_ok->events, error);
    return r ?: write_events(&boot_ok->events, first, outcome, error);
}

/* Only where there is one is the TPM asked. */
static int end_suspension(const struct call *call, struct boot_ok *boot_ok, const struct boot_changes *changes,
                          struct outcome *outcome, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct suspension suspension;
    size_t first = boot_ok->events.count;
    char why[EXPLAINED_WHY_TEXT];
    int r;

    if (!boot_ok->is_enrolled || !suspension_find(&boot_ok->approval, &suspension))
        return 0;
    r = call_open_tpm(call, &tpm, error);
    r = r ?: after_boot_suspension(boot_ok, tpm, changes, &outcome->suspension, why, error);
    if (!r && why[0])
        log_warning("this suspended boot is not approved by itself: %s", why);
    if (r || outcome->suspension == AFTER_BOOT_STAYS)
        return r;
    r = boot_events_resumed(outcome->suspension == AFTER_BOOT_RESEALED, &boot_ok->events, error);
    return r ?: write_events(&boot_ok->events, first, outcome, error);
}

/* What differs is told before the record is written, so that it is in the journal once. */
static int record_and_reseal(const struct call *call, struct boot_ok *boot_ok, struct outcome *outcome,
                             struct error *error)
{
    cleanup(boot_changes_free) struct boot_changes changes = { 0 };
    struct error why;
    bool changed = false;
    int r = 0;

    if (after_boot_changes(boot_ok, call_running_log(call), &changes, &changed, &why))
        log_warning("what changed in this boot cannot be told: %s", why.text);
    if (changed)
        r = after_boot_tell(boot_ok, &changes, error);
    r = r ?: record(boot_ok, outcome, error);
    if (!r && changed && !boot_record_is_suspended(&boot_ok->record))
        r = reseal(call, boot_ok, &changes, outcome, error);
    return r ?: end_suspension(call, boot_ok, changed ? &changes : NULL, outcome, error);
}

/* ---- result ---- */

static int add_entry(struct json_object *list, const struct boot_event *event, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    for (size_t i = 0; !r && i < event->count; i++) {
        const char *value = strchr(event->fields[i], '=');
        cleanup(free_ptr) char *name = strndup(event->fields[i], (size_t)(value - event->fields[i]));

        r = name ? json_add(object, name, json_object_new_string(value + 1), error) : error_no_memory(error);
    }
    return r;
}

static int add_counter(struct json_object *document, const struct outcome *outcome, struct error *error)
{
    struct json_object *object;
    int r;

    if (!outcome->counter_read)
        return json_object_object_add(document, "lockout_counter", NULL) < 0 ? error_no_memory(error) : 0;
    object = json_object_new_object();
    r = json_add(document, "lockout_counter", object, error);
    if (!r)
        r = json_add(object, "before", json_object_new_int64(outcome->before), error);
    return r ? r : json_add(object, "after", json_object_new_int64(outcome->after), error);
}

static int print_document(const struct boot_ok *boot_ok, const struct outcome *outcome, struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    struct json_object *entries = json_object_new_array();
    int r = document ? json_add(document, "entries", entries, error) : error_no_memory(error);

    for (size_t i = 0; !r && i < boot_ok->events.count; i++)
        r = add_entry(entries, &boot_ok->events.items[i], error);
    if (!r)
        r = json_add(document, "written", json_object_new_boolean(outcome->written), error);
    if (!r)
        r = json_add(document, "journal", json_object_new_boolean(outcome->journal), error);
    if (!r)
        r = add_counter(document, outcome, error);
    r = r ?: json_add(document, "good_boot", json_object_new_string(golden_words[outcome->golden]), error);
    r = r ?: json_add(document, "dropped", json_object_new_int64((int64_t)outcome->dropped), error);
    r = r ?: json_add(document, "resealed", json_object_new_boolean(outcome->resealed), error);
    r = r ?: json_add(document, "suspension", json_object_new_string(suspension_words[outcome->suspension]), error);
    if (!r)
        r = json_add(document, "rotation_ended", json_object_new_boolean(outcome->rotation_ended), error);
    return r ? r : print_json(document, error);
}

static int print_result(const struct call *call, const struct boot_ok *boot_ok, const struct outcome *outcome,
                        struct error *error)
{
    if (call_flag(call, "json"))
        return print_document(boot_ok, outcome, error);
    if (!outcome->journal && outcome->written)
        return 0; /* they were shown already */
    for (size_t i = 0; i < boot_ok->events.count; i++)
        printf("%s\n", boot_event_value(&boot_ok->events.items[i], "MESSAGE"));
    return 0;
}

/* What this boot was is on record even where the state folder cannot be used, and only then it is an error. */
static int check_state(const struct boot_ok *boot_ok, struct error *error)
{
    if (boot_ok->state_error.kind == ERROR_NONE)
        return 0;
    *error = boot_ok->state_error;
    return (int)error->kind;
}

static int run(struct call *call, struct error *error)
{
    cleanup(boot_ok_end) struct boot_ok boot_ok = { 0 };
    struct outcome outcome = { .journal = !call_flag(call, "stderr") && journal_is_there(), .golden = GOLDEN_NOT_GOOD };
    int r = boot_ok_begin(&boot_ok, call_state_folder(call), call_report(call), error);

    r = r ?: record_and_reseal(call, &boot_ok, &outcome, error);
    r = r ?: check_state(&boot_ok, error);
    r = r ?: reset_counter(call, &boot_ok, &outcome, error);
    r = r ?: end_rotation(call, &boot_ok, &outcome, error);
    r = r ?: keep_good_boot(call, &boot_ok, &outcome, error);
    r = r ?: commit(call, &boot_ok, &outcome, error);
    return r ? error_prefix(error, "boot-ok") : print_result(call, &boot_ok, &outcome, error);
}

const struct verb verb_boot_ok = {
    .name = "boot-ok",
    .arguments = "",
    .summary = "after a boot: the record into the journal, wrong PINs forgiven, the approval brought up to date",
    .options = options,
    .needs_root = true,
    .run = run,
};
