#include "protect/update/foresee.h"

#include "base/cleanup.h"
#include "protect/seal/approve.h"
#include "protect/suspend.h"
#include "protect/update/entries.h"
#include "protect/update/file-rules.h"
#include "protect/update/known-files.h"
#include "protect/update/predictable.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(PREDICT_LABEL_MAX == BRANCH_LABEL_MAX, "a prediction's label is a branch's");

/* ---- the record of boot files ---- */

static int verify_written(struct known_files *files, const char *pattern, struct error *error)
{
    cleanup(globfree) glob_t found = { 0 };
    int r = glob(pattern, GLOB_NOSORT, NULL, &found) == GLOB_NOSPACE ? error_no_memory(error) : 0;

    for (size_t i = 0; !r && i < found.gl_pathc; i++)
        r = known_files_verify(files, "", found.gl_pathv[i], true, error);
    return r;
}

/* What the caller knows of files, whether or not the prediction will rest on them. */
static int record_told(struct known_files *files, const struct foresee_request *request, struct error *error)
{
    int r = 0;

    for (const char *const *pattern = request->written; !r && pattern && *pattern; pattern++)
        r = verify_written(files, *pattern, error);
    if (!r && request->built)
        r = known_files_verify(files, "", request->built, true, error);
    if (!r && request->trusted)
        r = known_files_trust(files, "", request->trusted, error);
    return r;
}

static bool is_under(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    return strncmp(path, folder, length) == 0 && path[length] == '/';
}

/* A file that is not on record as it is: the caller vouches for it, or perhaps a rule verifies it, as after an update
 * of its package. What no rule verifies is refused later, by the check. */
static int record_file(struct known_files *files, const struct foresee_request *request, const struct boot_file *file,
                       struct error *error)
{
    int r;

    if (known_files_has(files, file->path, &file->sha256))
        return 0;
    r = known_files_verify(files, "", file->path, false, error);
    if (r != ERROR_REFUSED)
        return r;
    if (request->slot && is_under(file->path, request->slot))
        return known_files_set(files, file->path, &file->sha256, "verified update", error);
    return request->trust_all ? known_files_set(files, file->path, &file->sha256, "at enrolment", error) : 0;
}

static int record_found(struct known_files *files, const struct foresee_request *request,
                        const struct prediction *prediction, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < prediction->count; i++) {
        const struct extend_list *extends = &prediction->boots[i].extends;

        for (size_t k = 0; !r && k < extends->file_count; k++)
            r = record_file(files, request, &extends->files[k], error);
    }
    return r;
}

static int check_files(void *context, const struct extend_list *extends, struct error *error)
{
    return known_files_check(context, extends, error);
}

/* ---- the machine ---- */

static int read_trust(const struct foresee_request *request, const struct state *state,
                      const struct update_machine *machine, struct update_trust *ret, struct error *error)
{
    cleanup(verification_free) struct verification verification = { 0 };
    enum hash_algorithm bank = machine->predict.bank;
    uint32_t pcrs = 0;
    int r = predict_verify(&machine->predict, &verification, error);

    if (!r && request->read_only)
        r = predictable_read(state, bank, &pcrs, error);
    else
        r = r ?: predictable_update(state, bank, &verification, &pcrs, error);
    if (!r)
        update_trust_from(&verification, predictable_after(pcrs, &verification), ret);
    return r;
}

static int predict(const struct foresee_request *request, const struct update_machine *machine, struct prediction *ret,
                   struct error *error)
{
    cleanup(variable_stages_free) struct variable_stages stages = { 0 };
    int r = variable_stages_make(machine->predict.variables, request->changes, request->change_count, &stages, error);

    return r ?: predict_stages(&machine->predict, &stages, ret, error);
}

/* ---- the approval ---- */

/* The kernel's release, or the file name of what is booted: what entries.h calls an entry. */
static void entry_name(const struct predicted_boot *boot, char ret[BRANCH_ENTRY_MAX + 1])
{
    static const char prefix[] = "vmlinuz-";
    const char *kernel = boot->kernel ? boot->kernel : "";
    const char *name = strrchr(kernel, '/');

    name = name ? name + 1 : kernel;
    if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
        name += sizeof(prefix) - 1;
    snprintf(ret, BRANCH_ENTRY_MAX + 1, "%.*s", BRANCH_ENTRY_MAX, name[0] ? name : boot->id);
}

static bool is_predicted(const struct prediction *prediction, const struct branch *branch, uint32_t pcrs)
{
    for (size_t i = 0; i < prediction->count; i++) {
        const struct pcr_values *values = &prediction->boots[i].values;

        if ((values->mask & pcrs) == pcrs && !pcr_values_differ(values, &branch->values, pcrs))
            return true;
    }
    return false;
}

#define VARIABLE_PCRS (1u << 7 | 1u << 14) /* what the firmware's and shim's variables of keys are measured into */

/* True when this call has a good prediction for the branch's entry, with the same variables. */
static bool has_prediction(const struct update_plan *plan, const struct branch *branch, uint32_t pcrs)
{
    char name[BRANCH_ENTRY_MAX + 1];

    for (size_t i = 0; i < plan->count; i++) {
        const struct update_choice *choice = &plan->choices[i];

        entry_name(choice->boot, name);
        if (choice->verdict <= UPDATE_APPROVE && strcmp(name, entry_of_branch(branch)) == 0 &&
            !pcr_values_differ(&choice->boot->values, &branch->values, pcrs & VARIABLE_PCRS))
            return true;
    }
    return false;
}

/* What an earlier call in this boot predicted for an entry that now is predicted otherwise. */
static void drop_stale(struct approval *draft, const struct foresee_result *result, const struct pcr_values *running,
                       const char *boot)
{
    for (size_t i = draft->branch_count; i-- > 0;) {
        const struct branch *branch = &draft->branches[i];

        if (branch->kind != BRANCH_BOOT || branch->source != BRANCH_PREDICTED ||
            strcmp(branch->approved_in, boot) != 0 || !pcr_values_differ(&branch->values, running, draft->pcrs))
            continue;
        if (!is_predicted(&result->prediction, branch, draft->pcrs) &&
            has_prediction(&result->plan, branch, draft->pcrs))
            approval_remove_branch(draft, i);
    }
}

static int add_predicted(struct approval *draft, const struct predicted_boot *boot, const char *running_boot,
                         size_t *added, struct error *error)
{
    struct branch branch = { .kind = BRANCH_BOOT, .source = BRANCH_PREDICTED, .values = boot->values };

    if (approval_find_state(draft, &boot->values) >= 0)
        return 0;
    branch.values.mask = draft->pcrs;
    snprintf(branch.label, sizeof(branch.label), "%s", boot->label);
    strcpy(branch.approved_in, running_boot);
    entry_name(boot, branch.entry);
    ++*added;
    return approval_add_branch(draft, &branch, error);
}

static int draft_next(const struct state *state, const struct pcr_values *running, struct foresee_result *result,
                      struct approval *draft, struct error *error)
{
    char boot[BRANCH_BOOT_DIGITS + 1];
    int r = approve_running_boot(boot, error);

    r = r ?: approval_copy(&state->approval, draft, error);
    if (!r)
        drop_stale(draft, result, running, boot);
    for (size_t i = 0; !r && i < result->plan.count; i++)
        if (result->plan.choices[i].verdict == UPDATE_APPROVE)
            r = add_predicted(draft, result->plan.choices[i].boot, boot, &result->added, error);
    return r;
}

/* ---- the whole ---- */

/* What stands in the way of the next boot, for people. */
static void judge(struct foresee_result *result)
{
    const struct update_choice *why;
    struct error *error = &result->why;

    *error = (struct error){ 0 };
    result->next_opens = update_plan_covers_next(&result->plan, &why);
    if (result->next_opens)
        return;
    if (!why) {
        error_set(error, ERROR_MISMATCH, "which boot comes next is not known");
    } else {
        error_set(error, why->verdict <= UPDATE_FIRMWARE ? ERROR_MISMATCH : ERROR_REFUSED,
                  "the next boot%s%s%s is not approved: %s", why->boot->title[0] ? ", \"" : "", why->boot->title,
                  why->boot->title[0] ? "\"," : "", why->reason);
    }
    error_remedy(error, "have the recovery key at hand for the next boot, and run bootseal reseal --current after it");
}

static int decide(const struct foresee_request *request, const struct state *state, struct foresee_result *ret,
                  struct error *error)
{
    cleanup(known_files_free) struct known_files files = { 0 };
    struct update_rules rules = {
        .approval = &state->approval,
        .trust = &ret->trust,
        .allow_rescue = request->allow_rescue,
        .check_files = check_files,
        .context = &files,
    };
    int r = known_files_read(state, &files, error);

    r = r ?: record_told(&files, request, error);
    r = r
            ?: update_machine_read(&ret->machine, state->approval.bank, request->reseal.report_path, request->log_path,
                                   error);
    r = r ?: read_trust(request, state, &ret->machine, &ret->trust, error);
    r = r ?: predict(request, &ret->machine, &ret->prediction, error);
    r = r ?: record_found(&files, request, &ret->prediction, error);
    if (!r)
        (void)known_files_forget_missing(&files, "");
    if (!request->read_only)
        r = r ?: known_files_write(state, &files, error);
    rules.running = ret->machine.predict.recorded;
    return r ?: update_plan_make(&ret->prediction, &rules, &ret->plan, error);
}

static bool ends(const struct foresee_request *request, const struct suspension *suspension)
{
    return request->ends == FORESEE_ENDS_ANY ||
           (request->ends == FORESEE_ENDS_UPDATE && suspension->purpose == SUSPEND_UPDATE);
}

/* Once the next boot is approved by itself; where it is not, the suspension may be what it will open by. */
static int judge_suspension(const struct foresee_request *request, struct state *state, struct foresee_result *ret,
                            struct error *error)
{
    struct tpm *tpm = request->reseal.tpm;
    struct suspension suspension;
    struct suspension_time now;
    int r;

    if (!suspension_find(&state->approval, &suspension))
        return 0;
    if (ret->next_opens) {
        ret->approved.resumed = ends(request, &suspension);
        return ret->approved.resumed ? suspend_prepare_end(tpm, state, error) : 0;
    }
    r = suspend_time(tpm, &now, error);
    ret->by_suspension = !r && suspension_reboots_left(&suspension, &now) > 0;
    return r;
}

static int switch_to_next(const struct foresee_request *request, struct state *state, struct foresee_result *ret,
                          struct approval *draft, struct error *error)
{
    ret->approved.dropped = state->approval.branch_count + ret->added - draft->branch_count;
    if (ret->approved.resumed)
        (void)suspension_drop(draft);
    if (!ret->added && !ret->approved.dropped && !ret->approved.resumed)
        return 0;
    return approve_switch(request->reseal.tpm, state, draft, error);
}

static int run(const struct foresee_request *request, struct foresee_result *ret, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    cleanup(approval_free) struct approval draft = { 0 };
    struct pcr_values running;
    int r = reseal_begin(&request->reseal, &state, &running, error);

    r = r ?: decide(request, &state, ret, error);
    if (r)
        return r;
    judge(ret);
    r = judge_suspension(request, &state, ret, error);
    r = r ?: draft_next(&state, &running, ret, &draft, error);
    r = r ?: switch_to_next(request, &state, ret, &draft, error);
    if (r)
        return r;
    reseal_describe(&state, &running, &ret->approved);
    return 0;
}

static int look(const struct foresee_request *request, struct foresee_result *ret, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    enum state_mode mode = request->read_only ? STATE_READ : STATE_CHANGE;
    int r = state_open(request->reseal.state_folder, mode, &state, error);

    r = r ?: decide(request, &state, ret, error);
    if (!r)
        judge(ret);
    return r;
}

typedef int (*foresee_way)(const struct foresee_request *request, struct foresee_result *ret, struct error *error);

static int with_result(foresee_way act, const struct foresee_request *request, struct foresee_result **ret,
                       struct error *error)
{
    cleanup(foresee_end) struct foresee_result *result = calloc(1, sizeof(*result));
    int r = result ? act(request, result, error) : error_no_memory(error);

    *ret = r ? NULL : take_ptr(result);
    return r;
}

int foresee(const struct foresee_request *request, struct foresee_result **ret, struct error *error)
{
    return with_result(run, request, ret, error);
}

int foresee_look(const struct foresee_request *request, struct foresee_result **ret, struct error *error)
{
    return with_result(look, request, ret, error);
}

bool foresee_has_news(const struct foresee_result *result)
{
    for (size_t i = 0; i < result->plan.count; i++)
        if (result->plan.choices[i].verdict == UPDATE_APPROVE)
            return true;
    return false;
}

size_t foresee_coming(const struct foresee_result *result, struct pcr_values *ret)
{
    size_t count = 0;

    for (size_t i = 0; i < result->plan.count; i++)
        if (result->plan.choices[i].verdict <= UPDATE_APPROVE)
            ret[count++] = result->plan.choices[i].boot->values;
    return count;
}

void foresee_end(struct foresee_result **result)
{
    if (!*result)
        return;
    update_plan_free(&(*result)->plan);
    prediction_free(&(*result)->prediction);
    update_machine_free(&(*result)->machine);
    free(*result);
    *result = NULL;
}
