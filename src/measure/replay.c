#include "measure/replay.h"

#include "base/cursor.h"
#include "measure/event-type.h"

#include <string.h>

#define DYNAMIC_PCRS 0x7e0000u /* 17 to 22 */
#define IMA_PCR 10
#define SIGNATURE_BYTES 16

/* TCG_EfiStartupLocalityEvent. False when the event is something else. */
static bool startup_locality(const struct event *event, uint8_t *ret)
{
    static const char signature[SIGNATURE_BYTES] = "StartupLocality";
    struct cursor data = cursor_over(event->data);
    struct span name;

    return event->type == EVENT_NO_ACTION && cursor_span(&data, SIGNATURE_BYTES, &name) &&
           memcmp(name.bytes, signature, SIGNATURE_BYTES) == 0 && cursor_u8(&data, ret);
}

int event_log_startup_locality(const struct event_log *log, uint8_t *ret, struct error *error)
{
    bool found = false;
    uint8_t locality;

    *ret = 0;
    for (size_t i = 0; i < log->count; i++) {
        if (!startup_locality(&log->events[i], &locality))
            continue;
        if ((locality != 0 && locality != 3 && locality != 4) || (found && locality != *ret))
            return error_set(error, ERROR_METADATA,
                             "the event log is damaged at byte %zu: the TPM cannot have been started at locality %u%s",
                             log->events[i].offset, locality, found ? " as well" : "");
        *ret = locality;
        found = true;
    }
    return 0;
}

/* The values before the first event. */
static int start(const struct event_log *log, enum hash_algorithm bank, struct pcr_values *ret, struct error *error)
{
    uint8_t locality;
    int r = event_log_startup_locality(log, &locality, error);

    *ret = (struct pcr_values){ .bank = bank, .mask = (1u << PCR_COUNT) - 1 };
    for (unsigned i = 0; i < PCR_COUNT; i++)
        if (DYNAMIC_PCRS & (1u << i))
            memset(ret->value[i], 0xff, hash_size(bank));
    if (!r)
        ret->value[0][hash_size(bank) - 1] = locality;
    ret->mask &= ~(1u << IMA_PCR);
    return r;
}

static int extend(struct pcr_values *values, unsigned pcr, const uint8_t *digest, struct error *error)
{
    const struct span parts[] = {
        { values->value[pcr], hash_size(values->bank) },
        { digest, hash_size(values->bank) },
    };

    if (DYNAMIC_PCRS & (1u << pcr))
        values->mask &= ~(1u << pcr);
    return hash_compute(values->bank, parts, 2, values->value[pcr], error);
}

int event_log_replay(const struct event_log *log, enum hash_algorithm bank, struct pcr_values *ret, struct error *error)
{
    int place = event_log_bank(log, bank);
    int r;

    if (place < 0 || hash_size(bank) == 0)
        return error_set(error, ERROR_USAGE, "the event log has no bank %s",
                         hash_name(bank) ? hash_name(bank) : "of that algorithm");
    if (!log->banks[place].complete)
        return error_set(error, ERROR_METADATA, "the event log does not give every event's digest for %s",
                         hash_name(bank));
    r = start(log, bank, ret, error);
    for (size_t i = 0; !r && i < log->count; i++)
        if (event_is_extended(&log->events[i]))
            r = extend(ret, log->events[i].pcr, log->events[i].digest[place], error);
    return r;
}
