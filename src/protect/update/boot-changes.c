#include "protect/update/boot-changes.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "measure/replay.h"

#include <string.h>

#define COMPARED_PCRS (0xffffu & ~(1u << 10)) /* static ones, without IMA's */

static void free_log(struct told_log *told)
{
    component_list_free(&told->components);
    event_log_free(&told->log);
}

void boot_changes_free(struct boot_changes *changes)
{
    comparison_free(&changes->comparison);
    free_log(&changes->running);
    free_log(&changes->before);
}

/* A missing or damaged log is told, and is no failure. */
static int read_running(const char *path, struct boot_changes *ret, struct error *error)
{
    const char *name = path ? path : EVENT_LOG_PATH;

    if (!file_exists(name)) {
        error_set(&ret->log_error, ERROR_FAILED, "this boot has no event log: \"%s\" is not there", name);
        error_remedy(&ret->log_error, "the kernel has one only with UEFI or TPM firmware that hands it over; Debian's "
                                      "GRUB does not pass it on while Secure Boot is off");
        return 0;
    }
    if (event_log_read(name, &ret->running.log, &ret->log_error))
        return 0;
    return component_list_read(&ret->running.log, &ret->running.components, error);
}

/* Without a report of this boot: what the log gives. */
static int read_values(const char *report_path, struct boot_changes *ret, struct error *error)
{
    cleanup(free_ptr) struct report *report = calloc(1, sizeof(*report));
    struct error ignored;

    if (!report)
        return error_no_memory(error);
    if (!report_read_values(report_path, report, &ret->report_error)) {
        ret->values = report->values;
        return 0;
    }
    if (ret->running.log.count && event_log_replay(&ret->running.log, HASH_SHA256, &ret->values, &ignored))
        ret->values = (struct pcr_values){ .bank = HASH_SHA256 };
    return 0;
}

static void compare_approval(const struct approval *approval, struct boot_changes *ret)
{
    int nearest;

    ret->pcrs = approval->pcrs;
    if (ret->values.bank != approval->bank || (ret->values.mask & approval->pcrs) != approval->pcrs)
        return;
    ret->not_approved = approval_mismatch(approval, &ret->values, &nearest);
    if (nearest >= 0)
        strcpy(ret->nearest, approval->branches[nearest].label);
}

static int compare_logs(const struct state *state, struct boot_changes *ret, struct error *error)
{
    int r;

    if (ret->log_error.kind || golden_read_log(state, &ret->golden, &ret->before.log, &ret->log_error))
        return 0;
    r = component_list_read(&ret->before.log, &ret->before.components, error);
    if (r)
        return r;
    (void)event_log_compare(&(struct compared_log){ &ret->before.log, &ret->before.components },
                            &(struct compared_log){ &ret->running.log, &ret->running.components }, &ret->comparison,
                            &ret->log_error);
    return 0;
}

static int compare_golden(const struct state *state, struct boot_changes *ret, struct error *error)
{
    struct golden_list list;
    uint32_t mask;
    int nearest;
    int r = golden_read(state, &list, error);

    if (r)
        return r;
    mask = ret->values.mask & COMPARED_PCRS;
    nearest = golden_nearest(&list, &ret->values, ret->pcrs ? ret->pcrs & mask : mask);
    if (nearest < 0)
        return 0;
    ret->has_golden = true;
    ret->golden = list.items[nearest];
    ret->differ = pcr_values_differ(&ret->golden.values, &ret->values, mask & ret->golden.values.mask);
    return compare_logs(state, ret, error);
}

static int check_log(struct boot_changes *ret, struct error *error)
{
    int r;

    if (!ret->running.log.count || !ret->values.mask)
        return 0;
    r = golden_check_log(&ret->running.log, &ret->values, ret->values.mask & COMPARED_PCRS, &ret->unproven, error);
    if (r == ERROR_METADATA) {
        ret->unproven = ret->values.mask & COMPARED_PCRS;
        r = 0;
    }
    return r;
}

int boot_changes_read(const struct boot_changes_request *request, struct boot_changes *ret, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    int r;

    *ret = (struct boot_changes){ 0 };
    r = state_open(request->state_folder, STATE_READ, &state, error);
    r = r ?: read_running(request->log_path, ret, error);
    r = r ?: read_values(request->report_path, ret, error);
    if (!r && state.has_approval && state.approval.object_count)
        compare_approval(&state.approval, ret);
    r = r ?: check_log(ret, error);
    r = r ?: compare_golden(&state, ret, error);
    if (r)
        boot_changes_free(ret);
    return r;
}

bool boot_changes_is_approved(const struct boot_changes *changes)
{
    return changes->pcrs && (changes->values.mask & changes->pcrs) == changes->pcrs && changes->nearest[0] &&
           !changes->not_approved;
}

uint32_t boot_changes_pcrs(const struct boot_changes *changes)
{
    uint32_t mask = changes->not_approved | changes->differ;

    for (size_t i = 0; i < changes->comparison.count; i++)
        mask |= 1u << changes->comparison.items[i].pcr;
    return mask;
}

/* ---- words ---- */

static const char *standing(const struct boot_changes *changes, unsigned pcr)
{
    if (!(changes->pcrs & (1u << pcr)))
        return "not in the policy";
    if ((changes->values.mask & changes->pcrs) != changes->pcrs)
        return "not known to be approved";
    return changes->not_approved & (1u << pcr) ? "not approved" : "approved";
}

static void put_pcr(FILE *stream, const struct boot_changes *changes, unsigned pcr)
{
    const struct comparison *comparison = &changes->comparison;
    size_t told = 0;

    fprintf(stream, "PCR %u (%s): %s\n", pcr, pcr_meaning(pcr), standing(changes, pcr));
    for (size_t i = 0; i < comparison->count; i++)
        if (comparison->items[i].pcr == pcr) {
            fprintf(stream, "    %s\n", comparison->items[i].text);
            told++;
        }
    if (changes->has_golden && changes->differ & (1u << pcr) && !told)
        fputs("    another value than in that boot; no event log tells why\n", stream);
    if (told && changes->unproven & (1u << pcr))
        fputs("    do not rely on these words: the event log does not give this PCR's value\n", stream);
}

static void put_basis(FILE *stream, const struct boot_changes *changes)
{
    if (!changes->values.mask)
        fprintf(stream, "what this boot measured is not known: %s\n", changes->report_error.text);
    else if (changes->has_golden)
        fprintf(stream, "compared with the good boot of %s (linux %s)\n", changes->golden.date, changes->golden.kernel);
    else
        fputs("no good boot is on record yet: what changed cannot be told\n", stream);
    if (changes->report_error.kind && changes->values.mask)
        fputs("there is no record of the initramfs for this boot: the PCRs are those that the event log gives\n",
              stream);
    if (changes->has_golden && changes->log_error.kind)
        fprintf(stream, "only values are compared: %s\n", changes->log_error.text);
}

static void put_approval(FILE *stream, const struct boot_changes *changes)
{
    char list[PCR_LIST_TEXT];

    if (!changes->pcrs) {
        fputs("nothing is enrolled on this machine\n", stream);
    } else if ((changes->values.mask & changes->pcrs) != changes->pcrs) {
        fputs("whether this boot is approved is not known: there is no record of its PCRs\n", stream);
    } else if (boot_changes_is_approved(changes)) {
        fprintf(stream, "this boot is approved: %s\n", changes->nearest);
    } else {
        pcr_mask_format(changes->not_approved, list);
        fprintf(stream, "this boot is not approved: PCR %s", list);
        fprintf(stream, changes->nearest[0] ? "; nearest: %s\n" : "%s\n", changes->nearest);
    }
}

void boot_changes_put(FILE *stream, const struct boot_changes *changes)
{
    uint32_t mask = boot_changes_pcrs(changes);

    if (!changes->has_golden)
        mask |= changes->pcrs ? changes->pcrs : changes->values.mask & COMPARED_PCRS;
    put_basis(stream, changes);
    for (unsigned i = 0; i < PCR_COUNT; i++)
        if (mask & (1u << i))
            put_pcr(stream, changes, i);
    if (changes->has_golden && !mask)
        fputs("the two boots were measured alike\n", stream);
    put_approval(stream, changes);
}

void boot_changes_put_short(FILE *stream, const struct boot_changes *changes, uint32_t mask, size_t max)
{
    const struct comparison *comparison = &changes->comparison;
    size_t told = 0, more = 0;

    for (size_t i = 0; i < comparison->count; i++) {
        const struct difference *item = &comparison->items[i];

        if (!(mask & (1u << item->pcr)))
            continue;
        if (told == max) {
            more++;
            continue;
        }
        fprintf(stream, "%sPCR %u: %s", told ? "; " : "", item->pcr, item->text);
        if (changes->unproven & (1u << item->pcr))
            fputs(" (not proven)", stream);
        told++;
    }
    if (more)
        fprintf(stream, "; and %zu more", more);
}
