#include "measure/predict/predict.h"

#include "base/cleanup.h"
#include "measure/event-type.h"
#include "measure/predict/boots.h"
#include "measure/predict/unlogged-boot.h"
#include "measure/replay.h"

#include <string.h>

static const char *const names[] = {
    [VERIFY_GOOD] = "good",
    [VERIFY_CHANGED] = "changed",
    [VERIFY_DIFFERS] = "differs",
    [VERIFY_UNKNOWN] = "unknown",
};

const char *verify_result_name(enum verify_result result)
{
    return names[result];
}

void verification_free(struct verification *verification)
{
    for (size_t i = 0; i < PCR_COUNT; i++)
        free(verification->reason[i]);
    free(verification->event_text);
    predicted_boot_free(&verification->boot);
    *verification = (struct verification){ 0 };
}

/* What the running boot measured: as the initramfs had it, else as its log has it. */
static int read_measured(const struct predict_machine *machine, struct pcr_values *ret, struct error *error)
{
    int r = 0;

    if (machine->log)
        r = event_log_replay(machine->log, machine->bank, ret, error);
    else
        *ret = (struct pcr_values){ .bank = machine->bank };
    for (unsigned pcr = 0; !r && machine->recorded && machine->recorded->bank == machine->bank && pcr < PCR_COUNT;
         pcr++)
        if (machine->recorded->mask & 1u << pcr) {
            memcpy(ret->value[pcr], machine->recorded->value[pcr], HASH_MAX_BYTES);
            ret->mask |= 1u << pcr;
        }
    return r;
}

/* The boot that is most like the running one: by how many PCRs are the same, and of boots that differ in GRUB's PCR 8
 * by how far that is. */
static size_t find_most_like(const struct prediction *prediction, const struct pcr_values *measured)
{
    size_t best = 0;
    int best_count = -1;

    for (size_t i = 0; i < prediction->count; i++) {
        const struct pcr_values *values = &prediction->boots[i].values;
        uint32_t same = values->mask & measured->mask;
        int count;

        same &= ~pcr_values_differ(values, measured, same);
        count = __builtin_popcount(same);
        if (count > best_count) {
            best = i;
            best_count = count;
        }
    }
    return best;
}

/* The place of the first event that is another one than was predicted, of one PCR: in the log and in the list. Each is
 * the end of its own when there are no more. */
static void find_first(const struct predict_machine *machine, const struct extend_list *list, unsigned pcr,
                       size_t *ret_event, size_t *ret_item)
{
    size_t bank = (size_t)event_log_bank(machine->log, machine->bank), item = 0, event = 0;

    for (;; item++, event++) {
        while (item < list->count && list->items[item].pcr != pcr)
            item++;
        while (event < machine->log->count &&
               (machine->log->events[event].pcr != pcr || !event_is_extended(&machine->log->events[event])))
            event++;
        if (item == list->count || event == machine->log->count ||
            memcmp(list->items[item].digest, machine->log->events[event].digest[bank], hash_size(machine->bank)) != 0)
            break;
    }
    *ret_event = event;
    *ret_item = item;
}

/* True when both are of the same file, variable or command: by the words, or by the text that the log has. */
static bool is_same_subject(const struct predict_machine *machine, size_t event, const char *text)
{
    cleanup(free_ptr) char *words = running_boot_words(machine, event);
    struct span data = machine->log->events[event].data;

    if (words && strcmp(words, text) == 0)
        return true;
    return strlen(text) <= data.size && memcmp(data.bytes, text, strlen(text)) == 0 &&
           (strlen(text) == data.size || ((const char *)data.bytes)[strlen(text)] == '\0');
}

static size_t count_events(const struct event_log *log, unsigned pcr)
{
    size_t count = 0;

    for (size_t i = 0; i < log->count; i++)
        count += log->events[i].pcr == pcr && event_is_extended(&log->events[i]);
    return count;
}

/* Without GRUB, what is in these PCRs comes from images and their options: where as many events were predicted as there
 * are, it is the contents that are others. */
static bool is_other_content(const struct predict_machine *machine, const struct extend_list *list, unsigned pcr)
{
    static const uint32_t of_images = 1u << 4 | 1u << 9 | 1u << 11 | 1u << 12 | 1u << 13;
    size_t predicted = 0;

    for (size_t i = 0; i < list->count; i++)
        predicted += list->items[i].pcr == pcr;
    return of_images & 1u << pcr && predicted > 0 && count_events(machine->log, 8) == 0 &&
           count_events(machine->log, pcr) == predicted;
}

static int set_reason(struct verification *verification, unsigned pcr, const char *reason, struct error *error)
{
    free(verification->reason[pcr]);
    verification->reason[pcr] = strdup(reason);
    return verification->reason[pcr] ? 0 : error_no_memory(error);
}

/* Keeps the first event of the log that could not be reproduced. */
static int note_event(const struct predict_machine *machine, size_t event, struct verification *ret,
                      struct error *error)
{
    if (ret->has_event && ret->event <= event)
        return 0;
    free(ret->event_text);
    ret->event_text = running_boot_words(machine, event);
    ret->event = event;
    ret->has_event = true;
    return ret->event_text ? 0 : error_no_memory(error);
}

/* The same without a log: files that were changed are excuse enough, as for any PCR of which GRUB's commands are. */
static int explain_unlogged(const struct predict_machine *machine, unsigned pcr, struct verification *ret,
                            struct error *error)
{
    cleanup(free_ptr) char *changed = NULL;
    int r = unlogged_boot_find_changed(machine, &ret->boot.extends, &changed, error);

    ret->result[pcr] = changed ? VERIFY_CHANGED : VERIFY_DIFFERS;
    return r
               ?: set_reason(ret, pcr,
                             changed ? changed
                                     : "the prediction gives another value, and there is no event log to compare with",
                             error);
}

/* Both values are known, and not the same. */
static int explain(const struct predict_machine *machine, unsigned pcr, struct verification *ret, struct error *error)
{
    const struct extend_list *list = &ret->boot.extends;
    cleanup(free_ptr) char *words = NULL;
    size_t event, item;
    struct error text = { 0 };

    if (!machine->log)
        return explain_unlogged(machine, pcr, ret, error);
    ret->result[pcr] = VERIFY_DIFFERS;
    find_first(machine, list, pcr, &event, &item);
    if (event == machine->log->count) {
        error_set(&text, ERROR_FAILED, "the prediction has one event more: %s",
                  item < list->count ? list->items[item].text : "");
        return set_reason(ret, pcr, text.text, error);
    }
    words = running_boot_words(machine, event);
    if (!words)
        return error_no_memory(error);
    if (item < list->count &&
        (is_same_subject(machine, event, list->items[item].text) || is_other_content(machine, list, pcr))) {
        ret->result[pcr] = VERIFY_CHANGED;
        error_set(&text, ERROR_FAILED, "changed since this boot: %s", words);
        return set_reason(ret, pcr, text.text, error);
    }
    error_set(&text, ERROR_FAILED, "event %zu could not be reproduced: %s", event, words);
    return set_reason(ret, pcr, text.text, error) ?: note_event(machine, event, ret, error);
}

static int verify_pcr(const struct predict_machine *machine, const struct pcr_values *measured, unsigned pcr,
                      struct verification *ret, struct error *error)
{
    ret->result[pcr] = ret->boot.distrusted & 1u << pcr ? VERIFY_DIFFERS : VERIFY_UNKNOWN;
    if (ret->boot.unknown[pcr])
        return set_reason(ret, pcr, ret->boot.unknown[pcr], error);
    if (!(measured->mask & 1u << pcr))
        return set_reason(ret, pcr, "it is not known which value it had", error);
    if (pcr_values_differ(measured, &ret->boot.values, 1u << pcr) == 0) {
        ret->result[pcr] = VERIFY_GOOD;
        return 0;
    }
    return explain(machine, pcr, ret, error);
}

/* True where what was measured into the PCR follows from files that were changed, so that this boot says nothing:
 * GRUB's commands from its configuration, who verified programs from the programs. */
static bool is_excused(const struct predict_machine *machine, const struct verification *verification, unsigned pcr,
                       unsigned cause)
{
    size_t event, item;

    if (verification->result[pcr] != VERIFY_DIFFERS || verification->result[cause] != VERIFY_CHANGED)
        return false;
    if (pcr != 7)
        return true;
    if (!machine->log)
        return false;
    find_first(machine, &verification->boot.extends, pcr, &event, &item);
    return event == machine->log->count || machine->log->events[event].type == EVENT_VARIABLE_AUTHORITY;
}

/* The first event that could not be reproduced, of the PCRs that are still left. */
static int find_event_again(const struct predict_machine *machine, struct verification *ret, struct error *error)
{
    int r = 0;

    ret->has_event = false;
    free(take_ptr(ret->event_text));
    for (unsigned pcr = 0; !r && pcr < PCR_COUNT; pcr++) {
        size_t event, item;

        if (ret->result[pcr] != VERIFY_DIFFERS || !machine->log)
            continue;
        find_first(machine, &ret->boot.extends, pcr, &event, &item);
        if (event < machine->log->count)
            r = note_event(machine, event, ret, error);
    }
    return r;
}

static int excuse(const struct predict_machine *machine, struct verification *ret, struct error *error)
{
    static const struct {
        unsigned pcr, cause;
    } rows[] = { { 8, 9 }, { 7, 4 } };
    bool any = false;
    int r = 0;

    for (size_t i = 0; !r && i < array_size(rows); i++) {
        if (!is_excused(machine, ret, rows[i].pcr, rows[i].cause))
            continue;
        any = true;
        ret->result[rows[i].pcr] = VERIFY_CHANGED;
        r = set_reason(ret, rows[i].pcr, ret->reason[rows[i].cause], error);
    }
    return r || !any ? r : find_event_again(machine, ret, error);
}

int predict_verify(const struct predict_machine *machine, struct verification *ret, struct error *error)
{
    cleanup(prediction_free) struct prediction prediction = { 0 };
    struct pcr_values measured;
    size_t best;
    int r;

    *ret = (struct verification){ 0 };
    r = boots_predict(machine, true, &prediction, error);
    r = r ?: read_measured(machine, &measured, error);
    if (r)
        return r;
    best = find_most_like(&prediction, &measured);
    ret->boot = prediction.boots[best];
    prediction.boots[best] = (struct predicted_boot){ 0 };
    for (unsigned pcr = 0; !r && pcr < PCR_COUNT; pcr++)
        r = verify_pcr(machine, &measured, pcr, ret, error);
    r = r ?: excuse(machine, ret, error);
    if (r)
        verification_free(ret);
    return r;
}
