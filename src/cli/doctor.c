#include "protect/doctor/doctor.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/next-boot.h"
#include "cli/paint.h"
#include "cli/verb.h"

#include <string.h>

#define MACHINE_POLICY "/etc/bootseal/policy.json"

static const struct option_row options[] = {
    { "fix", NULL, "repair what can be repaired safely" },
    { "root", "DIR", "look at the system whose files lie under DIR" },
    { 0 },
};

/* Facts and findings of one look at the machine. */
struct look {
    struct doctor_facts *facts;
    struct doctor_findings findings;
};

static void look_free(struct look *look)
{
    doctor_findings_free(&look->findings);
    if (look->facts)
        doctor_facts_free(look->facts);
    free(look->facts);
}

static int look(const struct doctor_request *request, struct look *ret, struct error *error)
{
    ret->facts = calloc(1, sizeof(*ret->facts));
    if (!ret->facts)
        return error_no_memory(error);
    ret->facts->status.state.lock = -1;
    return doctor_gather(request, ret->facts, error) ?: doctor_examine(ret->facts, &ret->findings, error);
}

static bool rebuilt_initramfs(const struct doctor_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].fixed && findings->items[i].check->repair == DOCTOR_REPAIR_INITRAMFS)
            return true;
    return false;
}

static int repair(const struct call *call, const struct doctor_request *request, struct doctor_findings *findings,
                  struct error *error)
{
    cleanup(look_free) struct look after = { 0 };
    struct next_boot boot = { 0 };
    int r;

    doctor_repair(request, findings);
    r = look(request, &after, error);
    if (r)
        return r;
    doctor_mark_fixed(findings, &after.findings);
    if (!rebuilt_initramfs(findings))
        return 0;
    next_boot_approve(call, request->status.tpm, false, &boot);
    next_boot_tell(&boot, "opens the volumes as before", "recovery key or a passphrase");
    return 0;
}

/* ---- text ---- */

static void print_finding(const struct doctor_finding *finding)
{
    static const enum paint colours[] = {
        [DOCTOR_NOTE] = PAINT_PLAIN,
        [DOCTOR_WARNING] = PAINT_WARNING,
        [DOCTOR_FAULT] = PAINT_BAD,
    };

    printf("%s%-8s%s %s%s%s\n", paint(finding->fixed ? PAINT_GOOD : colours[finding->check->severity]),
           finding->fixed ? "fixed" : doctor_severity_name(finding->check->severity), paint(PAINT_PLAIN),
           finding->check->kind, finding->subject[0] ? ": " : "", finding->subject);
    printf("         %s\n", finding->text);
    if (finding->fix.kind != ERROR_NONE)
        printf("         not fixed: %s\n", finding->fix.text);
    if (!finding->fixed)
        printf("         what to do: %s\n", finding->fix.remedy[0] ? finding->fix.remedy : finding->remedy);
}

static void print_text(const struct doctor_findings *findings)
{
    for (int severity = DOCTOR_FAULT; severity >= DOCTOR_NOTE; severity--)
        for (size_t i = 0; i < findings->count; i++)
            if ((int)findings->items[i].check->severity == severity)
                print_finding(&findings->items[i]);
    if (findings->count == 0)
        puts("nothing found");
}

/* ---- JSON ---- */

static int add_finding(struct json_object *list, const struct doctor_finding *finding, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    r = r ?: json_add(object, "kind", json_object_new_string(finding->check->kind), error);
    r = r
            ?: json_add(object, "severity", json_object_new_string(doctor_severity_name(finding->check->severity)),
                        error);
    r = r ?: json_add(object, "subject", json_object_new_string(finding->subject), error);
    r = r ?: json_add(object, "text", json_object_new_string(finding->text), error);
    r = r ?: json_add(object, "remedy", json_object_new_string(finding->remedy), error);
    r = r ?: json_add(object, "fixable", json_object_new_boolean(finding->check->repair != DOCTOR_REPAIR_NONE), error);
    r = r ?: json_add(object, "fixed", json_object_new_boolean(finding->fixed), error);
    if (r || finding->fix.kind != ERROR_NONE)
        return r ?: json_add(object, "not_fixed", json_object_new_string(finding->fix.text), error);
    return json_object_object_add(object, "not_fixed", NULL) < 0 ? error_no_memory(error) : 0;
}

static int add_checks(struct json_object *document, struct error *error)
{
    struct json_object *list = json_object_new_array();
    int r = json_add(document, "checks", list, error);

    for (const struct doctor_check *const *group = doctor_groups; *group; group++)
        for (const struct doctor_check *check = *group; !r && check->kind; check++)
            r = json_append(list, json_object_new_string(check->kind), error);
    return r;
}

static int print_document(const struct doctor_findings *findings, struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    struct json_object *list = json_object_new_array();
    int r = document ? json_add(document, "findings", list, error) : error_no_memory(error);

    for (size_t i = 0; !r && i < findings->count; i++)
        r = add_finding(list, &findings->items[i], error);
    r = r ?: add_checks(document, error);
    return r ?: print_json(document, error);
}

/* ---- the verb ---- */

static size_t count(const struct doctor_findings *findings, enum doctor_severity severity)
{
    size_t n = 0;

    for (size_t i = 0; i < findings->count; i++)
        n += findings->items[i].check->severity == severity && !findings->items[i].fixed;
    return n;
}

static int judge(const struct doctor_findings *findings, struct error *error)
{
    size_t faults = count(findings, DOCTOR_FAULT), warnings = count(findings, DOCTOR_WARNING);

    if (faults + warnings == 0)
        return 0;
    return error_set(error, ERROR_FAILED, "doctor: %zu %s, %zu %s", faults, faults == 1 ? "fault" : "faults", warnings,
                     warnings == 1 ? "warning" : "warnings");
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(look_free) struct look found = { 0 };
    struct error tpm_error = { 0 };
    const char *root = call_option(call, "root");
    struct doctor_request request = {
        .status = {
            .tpm_error = &tpm_error,
            .state_folder = call_state_folder(call),
            .report_path = call_report(call),
        },
        .root = root && strcmp(root, "/") != 0 ? root : "",
        .policy_path = MACHINE_POLICY,
        .log_path = call_running_log(call),
    };
    int r;

    (void)call_open_tpm(call, &tpm, &tpm_error);
    request.status.tpm = tpm;
    r = look(&request, &found, error);
    if (!r && call_flag(call, "fix"))
        r = repair(call, &request, &found.findings, error);
    if (r)
        return error_prefix(error, "doctor");
    if (call_flag(call, "json"))
        r = print_document(&found.findings, error);
    else
        print_text(&found.findings);
    return r ? r : judge(&found.findings, error);
}

const struct verb verb_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary = "everything that would make protection weak or the next boot fail",
    .options = options,
    .needs_root = true,
    .runs_programs = true,
    .run = run,
};
