#include "measure/event-log.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "base/file.h"
#include "base/pcr.h"
#include "measure/event-type.h"

#include <string.h>

#define SHA1_BYTES 20
#define SIGNATURE_BYTES 16
#define FIRST_ROOM 256 /* events for which there is room at the start */

/* A fault at the cursor's place. */
static int fault(const struct cursor *cursor, struct error *error, const char *what)
{
    return error_set(error, ERROR_METADATA, "the event log is damaged at byte %zu: %s", cursor->offset, what);
}

static int add_bank(struct event_log *log, uint16_t algorithm, uint16_t size)
{
    size_t known = hash_size(algorithm);

    if (size == 0 || size > EVENT_LOG_MAX_DIGEST || (known != 0 && known != size))
        return -1;
    if (event_log_bank(log, algorithm) >= 0)
        return -1;
    log->banks[log->bank_count++] = (struct event_bank){ algorithm, size, true };
    return 0;
}

/* TCG_EfiSpecIdEvent (PFP 10.4.5.1) after its signature: what banks the log has. */
static int parse_banks(struct cursor *data, struct event_log *log)
{
    uint32_t class, count;
    uint8_t word_size, vendor_size;
    uint16_t algorithm, size;

    if (!cursor_u32(data, &class) || !cursor_skip(data, 3) || !cursor_u8(data, &word_size) || !cursor_u32(data, &count))
        return -1;
    if (count == 0 || count > EVENT_LOG_MAX_BANKS)
        return -1;
    for (uint32_t i = 0; i < count; i++)
        if (!cursor_u16(data, &algorithm) || !cursor_u16(data, &size) || add_bank(log, algorithm, size))
            return -1;
    return cursor_u8(data, &vendor_size) && cursor_skip(data, vendor_size) && cursor_left(data) == 0 ? 0 : -1;
}

static int add_event(struct event_log *log, size_t *room, const struct event *event, struct error *error)
{
    if (log->count == EVENT_LOG_MAX_EVENTS)
        return error_set(error, ERROR_METADATA, "the event log holds more than %d events", EVENT_LOG_MAX_EVENTS);
    if (log->count == *room) {
        struct event *bigger = reallocarray(log->events, *room ? 2 * *room : FIRST_ROOM, sizeof(*bigger));

        if (!bigger)
            return error_no_memory(error);
        log->events = bigger;
        *room = *room ? 2 * *room : FIRST_ROOM;
    }
    log->events[log->count++] = *event;
    return 0;
}

/* What both forms end with: the event's data. And what both must hold. */
static int parse_data(struct cursor *cursor, struct event *event, struct error *error)
{
    uint32_t size;

    if (!cursor_u32(cursor, &size))
        return fault(cursor, error, "it ends within an event");
    if (!cursor_span(cursor, size, &event->data))
        return fault(cursor, error, "an event's data goes past the end");
    if (event_is_extended(event) && event->pcr >= PCR_COUNT)
        return error_set(error, ERROR_METADATA, "the event log is damaged at byte %zu: there is no PCR %u",
                         event->offset, event->pcr);
    return 0;
}

/* TCG_PCClientPCREvent (PFP 10.2.1). */
static int parse_sha1_event(struct cursor *cursor, struct event *ret, struct error *error)
{
    struct span digest;

    *ret = (struct event){ .offset = cursor->offset };
    if (!cursor_u32(cursor, &ret->pcr) || !cursor_u32(cursor, &ret->type) || !cursor_span(cursor, SHA1_BYTES, &digest))
        return fault(cursor, error, "it ends within an event");
    ret->digest[0] = digest.bytes;
    return parse_data(cursor, ret, error);
}

/* One TPMT_HA of an event. */
static int parse_digest(struct cursor *cursor, const struct event_log *log, struct event *event, struct error *error)
{
    struct span digest;
    uint16_t algorithm;
    int bank;

    if (!cursor_u16(cursor, &algorithm))
        return fault(cursor, error, "it ends within an event's digests");
    bank = event_log_bank(log, algorithm);
    if (bank < 0)
        return fault(cursor, error, "a digest of an algorithm that the log's header does not name");
    if (event->digest[bank])
        return fault(cursor, error, "an event has two digests of one algorithm");
    if (!cursor_span(cursor, log->banks[bank].size, &digest))
        return fault(cursor, error, "it ends within an event's digests");
    event->digest[bank] = digest.bytes;
    return 0;
}

/* TCG_PCR_EVENT2 (PFP 10.2.2). */
static int parse_agile_event(struct cursor *cursor, struct event_log *log, struct event *ret, struct error *error)
{
    uint32_t count;
    int r = 0;

    *ret = (struct event){ .offset = cursor->offset };
    if (!cursor_u32(cursor, &ret->pcr) || !cursor_u32(cursor, &ret->type) || !cursor_u32(cursor, &count))
        return fault(cursor, error, "it ends within an event");
    if (count == 0 || count > log->bank_count)
        return fault(cursor, error, "an event has no digests, or more than the log has banks");
    for (uint32_t i = 0; !r && i < count; i++)
        r = parse_digest(cursor, log, ret, error);
    r = r ?: parse_data(cursor, ret, error);
    for (size_t i = 0; !r && i < log->bank_count; i++)
        if (event_is_extended(ret) && !ret->digest[i])
            log->banks[i].complete = false;
    return r;
}

/* The first event: a header of the crypto-agile form when its data says so, else an event as all others. */
static int parse_first(struct cursor *cursor, struct event_log *log, struct event *ret, struct error *error)
{
    static const char signature[SIGNATURE_BYTES] = "Spec ID Event03";
    struct cursor data;
    struct span name;
    int r = parse_sha1_event(cursor, ret, error);

    if (r)
        return r;
    data = cursor_over(ret->data);
    log->crypto_agile = ret->type == EVENT_NO_ACTION && cursor_span(&data, SIGNATURE_BYTES, &name) &&
                        memcmp(name.bytes, signature, SIGNATURE_BYTES) == 0;
    if (!log->crypto_agile)
        return add_bank(log, HASH_SHA1, SHA1_BYTES);
    if (parse_banks(&data, log))
        return error_set(error, ERROR_METADATA, "the event log's header does not say properly which banks it has");
    return 0;
}

static int parse_events(struct cursor *cursor, struct event_log *log, struct error *error)
{
    struct event event;
    size_t room = 0;
    int r = parse_first(cursor, log, &event, error);

    if (!r && !log->crypto_agile)
        r = add_event(log, &room, &event, error);
    while (!r && cursor_left(cursor) > 0) {
        r = log->crypto_agile ? parse_agile_event(cursor, log, &event, error) : parse_sha1_event(cursor, &event, error);
        r = r ?: add_event(log, &room, &event, error);
    }
    return r;
}

/* Takes the bytes over. */
static int parse_own(char *bytes, size_t size, struct event_log *ret, struct error *error)
{
    struct cursor cursor = cursor_new(bytes, size);
    int r;

    *ret = (struct event_log){ .bytes = bytes };
    r = size == 0 ? error_set(error, ERROR_METADATA, "the event log is empty") : parse_events(&cursor, ret, error);
    if (r)
        event_log_free(ret);
    return r;
}

int event_log_parse(const void *bytes, size_t size, struct event_log *ret, struct error *error)
{
    char *copy;

    *ret = (struct event_log){ 0 };
    if (size > EVENT_LOG_MAX_BYTES)
        return error_set(error, ERROR_METADATA, "the event log holds more than %d bytes", EVENT_LOG_MAX_BYTES);
    copy = malloc(size + 1);
    if (!copy)
        return error_no_memory(error);
    memcpy(copy, bytes, size);
    return parse_own(copy, size, ret, error);
}

int event_log_read(const char *path, struct event_log *ret, struct error *error)
{
    char *bytes;
    size_t size;
    int r;

    *ret = (struct event_log){ 0 };
    r = file_read(path, EVENT_LOG_MAX_BYTES, &bytes, &size, error);
    if (r)
        return r;
    r = parse_own(bytes, size, ret, error);
    return r ? error_prefix(error, "\"%s\"", path) : 0;
}

void event_log_free(struct event_log *log)
{
    free(log->bytes);
    free(log->events);
    *log = (struct event_log){ 0 };
}

int event_log_bank(const struct event_log *log, enum hash_algorithm algorithm)
{
    for (size_t i = 0; i < log->bank_count; i++)
        if (log->banks[i].algorithm == algorithm)
            return (int)i;
    return -1;
}

bool event_is_extended(const struct event *event)
{
    return event->type != EVENT_NO_ACTION;
}
