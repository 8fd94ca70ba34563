#include "protect/boot/boot-event.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <string.h>
#include <syslog.h>

void boot_events_free(struct boot_events *events)
{
    for (size_t i = 0; i < events->count; i++)
        for (size_t k = 0; k < events->items[i].count; k++)
            free(events->items[i].fields[k]);
    events->count = 0;
}

const char *boot_event_value(const struct boot_event *event, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < event->count; i++)
        if (strncmp(event->fields[i], name, length) == 0 && event->fields[i][length] == '=')
            return event->fields[i] + length + 1;
    return NULL;
}

int boot_event_priority(const struct boot_event *event)
{
    const char *text = boot_event_value(event, "PRIORITY");

    return text ? atoi(text) : LOG_INFO;
}

static int add(struct boot_event *event, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One field. Text from elsewhere reaches people's terminals through the journal: no control characters. */
static int add(struct boot_event *event, struct error *error, const char *format, ...)
{
    char *field;
    va_list args;
    int length;

    if (event->count == BOOT_EVENT_FIELDS_MAX)
        return error_set(error, ERROR_FAILED, "a journal entry has %d fields at most", BOOT_EVENT_FIELDS_MAX);
    va_start(args, format);
    length = vasprintf(&field, format, args);
    va_end(args);
    if (length < 0)
        return error_no_memory(error);
    for (unsigned char *p = (unsigned char *)field; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
    event->fields[event->count++] = field;
    return 0;
}

/* The next entry, with the fields that all have. */
static int begin(struct boot_events *events, const char *id, int priority, const char *message, struct boot_event **ret,
                 struct error *error)
{
    int r;

    if (events->count == BOOT_EVENTS_MAX)
        return error_set(error, ERROR_FAILED, "a boot has %d journal entries at most", BOOT_EVENTS_MAX);
    *ret = &events->items[events->count++];
    **ret = (struct boot_event){ 0 };
    r = add(*ret, error, "MESSAGE=%s", message);
    if (!r)
        r = add(*ret, error, "MESSAGE_ID=%s", id);
    if (!r)
        r = add(*ret, error, "PRIORITY=%d", priority);
    return r ? r : add(*ret, error, "SYSLOG_IDENTIFIER=bootseal");
}

/* ---- what the record tells of a volume ---- */

struct outcome {
    const char *id;
    int priority;
    char message[2 * REPORT_REASON_MAX];
};

static void say(struct outcome *ret, const char *id, int priority, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct outcome *ret, const char *id, int priority, const char *format, ...)
{
    va_list args;

    ret->id = id;
    ret->priority = priority;
    va_start(args, format);
    vsnprintf(ret->message, sizeof(ret->message), format, args);
    va_end(args);
}

static void describe_opened(const struct boot_volume *volume, struct outcome *ret)
{
    const char *plural = volume->wrong_pins == 1 ? "" : "s";

    if (strcmp(volume->by, "recovery") == 0)
        say(ret, BOOT_EVENT_RECOVERY, LOG_WARNING, "%s was opened by its recovery key %s", volume->name,
            volume->recovery_id[0] ? volume->recovery_id : "(without an ID)");
    else if (strcmp(volume->by, "tpm2-pin") == 0 && volume->wrong_pins)
        say(ret, BOOT_EVENT_PIN, LOG_NOTICE, "%s was opened by the PIN, after %u wrong one%s", volume->name,
            volume->wrong_pins, plural);
    else if (strcmp(volume->by, "tpm2-pin") == 0)
        say(ret, BOOT_EVENT_PIN, LOG_INFO, "%s was opened by the PIN", volume->name);
    else
        say(ret, BOOT_EVENT_NO_PIN, LOG_INFO, "%s was opened by the boot state alone, without a PIN", volume->name);
}

/* What kept the TPM from opening it. */
static void describe_fault(const struct boot_volume *volume, struct outcome *ret)
{
    const char *id = BOOT_EVENT_NOT_OPENED;
    int priority = LOG_WARNING;

    switch (volume->status) {
    case ERROR_MISMATCH:
        id = BOOT_EVENT_MISMATCH;
        break;
    case ERROR_WRONG_PIN:
        id = BOOT_EVENT_WRONG_PIN;
        break;
    case ERROR_LOCKOUT:
        id = BOOT_EVENT_LOCKOUT;
        break;
    case ERROR_TPM:
        id = BOOT_EVENT_TPM;
        priority = LOG_ERR;
        break;
    default:
        priority = LOG_ERR;
        break;
    }
    say(ret, id, priority, "%s was not opened by the TPM: %s", volume->name, volume->reason);
}

static int add_volume(struct boot_event *event, const struct boot_volume *volume, struct error *error)
{
    int r = add(event, error, "BOOTSEAL_VOLUME=%s", volume->name);

    if (!r)
        r = add(event, error, "BOOTSEAL_UUID=%s", volume->uuid);
    if (!r && volume->opened)
        r = add(event, error, "BOOTSEAL_BY=%s", volume->by);
    if (!r && volume->opened && volume->protector[0])
        r = add(event, error, "BOOTSEAL_PROTECTOR=%s", volume->protector);
    if (!r && volume->opened && volume->operator_number)
        r = add(event, error, "BOOTSEAL_OPERATOR=%u", volume->operator_number);
    if (!r && volume->recovery_id[0])
        r = add(event, error, "BOOTSEAL_RECOVERY_ID=%s", volume->recovery_id);
    if (!r)
        r = add(event, error, "BOOTSEAL_STATUS=%d", (int)volume->status);
    if (!r && volume->reason[0])
        r = add(event, error, "BOOTSEAL_REASON=%s", volume->reason);
    if (!r)
        r = add(event, error, "BOOTSEAL_WRONG_PINS=%u", volume->wrong_pins);
    return r || !volume->opened ? r : add(event, error, "BOOTSEAL_MILLISECONDS=%u", volume->milliseconds);
}

/* Of the approved boot state that is nearest. */
static int add_pcrs(struct boot_event *event, const struct boot_record *record, const struct approval *approval,
                    struct error *error)
{
    char list[PCR_LIST_TEXT];
    uint32_t differ;
    int nearest;

    if (!approval || approval->bank != record->values.bank || (record->values.mask & approval->pcrs) != approval->pcrs)
        return 0;
    differ = approval_mismatch(approval, &record->values, &nearest);
    if (!differ || nearest < 0)
        return 0;
    pcr_mask_format(differ, list);
    return add(event, error, "BOOTSEAL_PCRS=%s", list);
}

static int add_suspended(const struct boot_record *record, const struct boot_volume *volume,
                         const struct approval *approval, struct boot_events *ret, struct error *error)
{
    struct boot_event *event;
    struct outcome outcome;
    int r;

    say(&outcome, BOOT_EVENT_SUSPENDED, LOG_WARNING,
        "%s was opened because bootseal is suspended: this boot is not an approved one", volume->name);
    r = begin(ret, outcome.id, outcome.priority, outcome.message, &event, error);
    r = r ? r : add_volume(event, volume, error);
    return r ? r : add_pcrs(event, record, approval, error);
}

static int add_events_of(const struct boot_record *record, const struct boot_volume *volume,
                         const struct approval *approval, struct boot_events *ret, struct error *error)
{
    struct boot_event *event;
    struct outcome outcome;
    int r = 0;

    if (volume->status) {
        describe_fault(volume, &outcome);
        r = begin(ret, outcome.id, outcome.priority, outcome.message, &event, error);
        if (!r)
            r = add_volume(event, volume, error);
        if (!r && volume->status == ERROR_MISMATCH)
            r = add_pcrs(event, record, approval, error);
    }
    if (r || !volume->opened)
        return r;
    if (volume->suspended)
        r = add_suspended(record, volume, approval, ret, error);
    if (r)
        return r;
    describe_opened(volume, &outcome);
    r = begin(ret, outcome.id, outcome.priority, outcome.message, &event, error);
    return r ? r : add_volume(event, volume, error);
}

/* ---- what it tells of the machine ---- */

static int add_tpm_failure(const struct boot_record *record, struct boot_events *ret, struct error *error)
{
    struct boot_event *event;
    struct outcome outcome;
    int r;

    if (!record->tpm_error[0])
        return 0;
    say(&outcome, BOOT_EVENT_TPM, LOG_ERR, "the TPM could not be used: %s", record->tpm_error);
    r = begin(ret, outcome.id, outcome.priority, outcome.message, &event, error);
    if (!r)
        r = add(event, error, "BOOTSEAL_STATUS=%d", (int)ERROR_TPM);
    return r ? r : add(event, error, "BOOTSEAL_REASON=%s", record->tpm_error);
}

/* Without a TPM that answered there is nothing to cap. */
static int add_missing_cap(const struct boot_record *record, struct boot_events *ret, struct error *error)
{
    struct boot_event *event;
    struct outcome outcome;
    int r;

    if (record->cap_done || !record->values.mask)
        return 0;
    say(&outcome, BOOT_EVENT_NOT_CAPPED, LOG_ERR, "this boot's right to unseal was not ended: PCR %u is not capped",
        record->cap);
    r = begin(ret, outcome.id, outcome.priority, outcome.message, &event, error);
    return r ? r : add(event, error, "BOOTSEAL_PCRS=%u", record->cap);
}

int boot_events_of_record(const struct boot_record *record, const struct approval *approval, struct boot_events *ret,
                          struct error *error)
{
    int r = add_tpm_failure(record, ret, error);

    if (!r)
        r = add_missing_cap(record, ret, error);
    for (size_t i = 0; !r && i < record->volume_count; i++)
        r = add_events_of(record, &record->volumes[i], approval, ret, error);
    return r;
}

int boot_events_no_report(struct boot_events *ret, struct error *error)
{
    struct boot_event *event;

    return begin(ret, BOOT_EVENT_NO_REPORT, LOG_WARNING,
                 "this boot's initramfs has recorded nothing: bootseal-unlock did not run in it", &event, error);
}

int boot_events_counter_reset(unsigned before, struct boot_events *ret, struct error *error)
{
    struct boot_event *event;
    struct outcome outcome;
    int r;

    say(&outcome, BOOT_EVENT_COUNTER_RESET, LOG_NOTICE, "the TPM's counter of wrong PINs was %u and is 0 now", before);
    r = begin(ret, outcome.id, outcome.priority, outcome.message, &event, error);
    return r ? r : add(event, error, "BOOTSEAL_LOCKOUT_COUNTER=%u", before);
}

int boot_events_changed(uint32_t pcrs, const char *since, const char *changes, struct boot_events *ret,
                        struct error *error)
{
    struct boot_event *event;
    struct outcome outcome;
    char list[PCR_LIST_TEXT];
    int r;

    pcr_mask_format(pcrs, list);
    say(&outcome, BOOT_EVENT_CHANGED, LOG_WARNING,
        "this boot is not approved: PCR %s. %s%s%s%.1200s. If you have changed it, run: bootseal reseal --current. If "
        "not, find out who has: bootseal explain",
        list, since ? "Since the good boot of " : "What changed is not known, no good boot is on record",
        since ? since : "", since ? ": " : "", since ? (changes[0] ? changes : "no event log tells what") : "");
    r = begin(ret, outcome.id, outcome.priority, outcome.message, &event, error);
    if (!r)
        r = add(event, error, "BOOTSEAL_PCRS=%s", list);
    return r || !changes[0] ? r : add(event, error, "BOOTSEAL_CHANGES=%s", changes);
}

int boot_events_resealed(uint32_t pcrs, struct boot_events *ret, struct error *error)
{
    struct boot_event *event;
    struct outcome outcome;
    char list[PCR_LIST_TEXT];
    int r;

    pcr_mask_format(pcrs, list);
    say(&outcome, BOOT_EVENT_RESEALED, LOG_NOTICE,
        "this boot is approved now: recorded updates explain each change (PCR %s)", list);
    r = begin(ret, outcome.id, outcome.priority, outcome.message, &event, error);
    return r ? r : add(event, error, "BOOTSEAL_PCRS=%s", list);
}

int boot_events_committed(size_t dropped, struct boot_events *ret, struct error *error)
{
    struct boot_event *event;
    struct outcome outcome;
    int r;

    say(&outcome, BOOT_EVENT_COMMITTED, LOG_INFO, "no longer approved: %zu boot state%s that this boot has outlived",
        dropped, dropped == 1 ? "" : "s");
    r = begin(ret, outcome.id, outcome.priority, outcome.message, &event, error);
    return r ? r : add(event, error, "BOOTSEAL_DROPPED=%zu", dropped);
}

int boot_events_resumed(bool resealed, struct boot_events *ret, struct error *error)
{
    struct boot_event *event;

    return begin(ret, BOOT_EVENT_RESUMED, LOG_NOTICE,
                 resealed ? "the suspension is ended, and the boot that it let through is approved now"
                          : "the suspension is ended: only approved boots open the volumes",
                 &event, error);
}
