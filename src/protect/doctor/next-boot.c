/* Facts about boot chain and boot files, and whether the next boot is approved. Nothing is put on record here. */
#include "protect/doctor/doctor.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/update/file-hash.h"
#include "protect/update/file-rules.h"
#include "protect/update/foresee.h"
#include "protect/update/machine-chain.h"

#include <string.h>

/* ---- boot files ---- */

/* The file is on record with another hash than it has, and no rule verifies what it is now. */
static bool is_changed(struct known_files *files, const char *root, const char *path, struct error *error)
{
    cleanup(free_ptr) char *whole = NULL;
    struct file_hashes now;
    struct boot_file found = { .path = (char *)path };
    const struct extend_list list = { .files = &found, .file_count = 1 };
    struct error ignored;

    if (asprintf(&whole, "%s%s", root, path) < 0) {
        whole = NULL;
        return false;
    }
    if (!file_exists(whole))
        return false;
    if (file_hashes_read(whole, &now, error))
        return true;
    found.sha256 = now.sha256;
    return known_files_check(files, &list, error) && known_files_verify(files, root, path, false, &ignored);
}

static void look_at_files(const struct doctor_request *request, struct doctor_facts *facts)
{
    cleanup(known_files_free) struct known_files files = { 0 };
    struct error ignored;

    if (known_files_read(&facts->status.state, &files, &ignored))
        return;
    for (size_t i = 0; i < files.count && facts->changed_count < DOCTOR_BOOT_FILES_MAX; i++) {
        struct doctor_boot_file *changed = &facts->changed[facts->changed_count];
        char path[KNOWN_FILE_PATH_MAX + 1];

        strcpy(path, files.items[i].path);
        if (!is_changed(&files, request->root, path, &changed->error))
            continue;
        snprintf(changed->path, sizeof(changed->path), "%.*s", DOCTOR_PATH_MAX, path);
        facts->changed_count++;
    }
}

/* ---- the next boot ---- */

static void find_unpredictable(const struct update_trust *trust, const struct doctor_facts *facts,
                               struct doctor_next_boot *ret)
{
    ret->unpredictable = facts->status.state.approval.pcrs & ~trust->pcrs;
    for (unsigned i = 0; i < PCR_COUNT; i++)
        snprintf(ret->why[i], sizeof(ret->why[i]), "%.*s", (int)sizeof(ret->why[i]) - 1, trust->why_not[i]);
}

/* The best that is said of the next boot, in whichever order the disks come. */
static const struct update_choice *next_choice(const struct update_plan *plan)
{
    const struct update_choice *best = NULL;

    for (size_t i = 0; i < plan->count; i++) {
        const struct update_choice *choice = &plan->choices[i];

        if (update_choice_is_next(choice) && (!best || choice->verdict < best->verdict))
            best = choice;
    }
    return best;
}

static void judge(const struct foresee_result *result, struct error *ret)
{
    const struct update_choice *next = next_choice(&result->plan);

    if (!next || next->verdict == UPDATE_APPROVED || next->verdict == UPDATE_UNKNOWN)
        return;
    if (next->verdict != UPDATE_APPROVE) {
        *ret = result->why;
        return;
    }
    error_set(ret, ERROR_MISMATCH, "the next boot, \"%s\", is foreseen and not approved yet", next->boot->title);
    error_remedy(ret, "run: bootseal reseal --predict");
}

/* What is predicted is this very system: of another root's there are neither mounts nor variables. */
static void look_ahead(const struct doctor_request *request, struct doctor_facts *facts)
{
    cleanup(foresee_end) struct foresee_result *result = NULL;
    const struct foresee_request look = {
        .reseal = { .state_folder = request->status.state_folder, .report_path = request->status.report_path },
        .log_path = request->log_path,
        .read_only = true,
    };
    struct error *error = &facts->next.error;
    int r;

    if (request->root[0] || facts->status.damage.kind != ERROR_NONE || !facts->status.state.has_approval ||
        !facts->status.state.approval.object_count)
        return;
    r = foresee_look(&look, &result, error);
    facts->next.predicted = r || result->machine.predict.log;
    if (r) {
        error_prefix(error, "whether the next boot is approved is not known");
        return;
    }
    *error = (struct error){ 0 };
    find_unpredictable(&result->trust, facts, &facts->next);
    judge(result, error);
}

void doctor_gather_next_boot(const struct doctor_request *request, struct doctor_facts *ret)
{
    struct machine_chain found;
    struct error ignored;

    if (!machine_chain_read(request->root, request->log_path, &found, &ignored))
        ret->chain = found.chain;
    look_at_files(request, ret);
    look_ahead(request, ret);
}
