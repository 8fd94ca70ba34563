/*
 * What differs between the event logs of two boots, per PCR and in words: which component changed, appeared or went.
 * Events are told apart by their digests alone, so that what the logs' data hide is a difference all the same.
 */
#pragma once

#include "measure/component.h"

#include <stddef.h>

enum change {
    CHANGE_CHANGED,
    CHANGE_APPEARED,
    CHANGE_WENT,
    CHANGE_MOVED, /* the same, measured at another place of the order */
};

struct difference {
    unsigned pcr;
    enum change change;
    enum component_kind kind;
    const struct component *before, *after; /* borrowed from the two lists; NULL where it is not there */
    char *text;                             /* "the initrd /initrd.img-6.1.0-50-amd64: other content" */
};

struct comparison {
    enum hash_algorithm bank; /* by which the events were compared */
    struct difference *items; /* by PCR, in the order of the boot; none twice */
    size_t count;
};

/* One side: a log and what its events stand for. Both must outlive the comparison. */
struct compared_log {
    const struct event_log *log;
    const struct component_list *components;
};

/* ERROR_USAGE when the logs have no bank in common. */
int event_log_compare(const struct compared_log *before, const struct compared_log *after, struct comparison *ret,
                      struct error *error);

void comparison_free(struct comparison *comparison);

/* "changed", "appeared", "went", "moved". */
const char *change_name(enum change change);
