/*
 * Whether an event's data is what was measured. The digests of a log that replays to the TPM's PCRs are true; the data
 * beside them anyone may have written. For some types the digest is that of the data, and there both can be held
 * against each other.
 */
#pragma once

#include "measure/event-log.h"

enum event_check {
    EVENT_CHECK_NONE,    /* the digest is of something else, such as a file: nothing can be said */
    EVENT_CHECK_PROVEN,  /* the data was measured */
    EVENT_CHECK_DIFFERS, /* something else was measured than the data says */
};

enum event_check event_check(const struct event_log *log, const struct event *event);

/* The bank of the log, as a place in banks[], by which events are told apart: the first of SHA-256, SHA-384, SHA-512
 * and SHA-1 that `other` (NULL: nobody) has too, complete in both; -1 when there is none. */
int event_log_best_bank(const struct event_log *log, const struct event_log *other);
