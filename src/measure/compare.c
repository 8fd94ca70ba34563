#include "measure/compare.h"

#include "base/cleanup.h"
#include "base/pcr.h"
#include "measure/align.h"
#include "measure/difference-text.h"
#include "measure/event-check.h"
#include "measure/replay.h"

#include <stdlib.h>
#include <string.h>

#define REPEATS_MAX 256 /* differences among which a repetition is looked for */

/* The events of one PCR on one side, and what they correspond to on the other. */
struct side {
    const struct compared_log *source;
    int bank;
    size_t *events; /* places in the log */
    size_t *partner;
    size_t *gap; /* how many events before it are the same on both sides: what has one gap stands at one place */
    size_t count;
};

static void free_side(struct side *side)
{
    free(side->events);
    free(side->partner);
    free(side->gap);
}

static const struct component *component_at(const struct side *side, size_t i)
{
    return &side->source->components->items[side->events[i]];
}

static const struct event *event_at(const struct side *side, size_t i)
{
    return &side->source->log->events[side->events[i]];
}

static int collect(struct side *side, unsigned pcr, struct error *error)
{
    const struct event_log *log = side->source->log;

    side->events = calloc(log->count + 1, sizeof(*side->events));
    side->partner = calloc(log->count + 1, sizeof(*side->partner));
    side->gap = calloc(log->count + 1, sizeof(*side->gap));
    if (!side->events || !side->partner || !side->gap)
        return error_no_memory(error);
    for (size_t i = 0; i < log->count; i++)
        if (event_is_extended(&log->events[i]) && log->events[i].pcr == pcr)
            side->events[side->count++] = i;
    return 0;
}

struct sides {
    struct side before, after;
};

static bool same_digest(const void *context, size_t i, size_t j)
{
    const struct sides *sides = context;
    const struct side *before = &sides->before, *after = &sides->after;

    return memcmp(event_at(before, i)->digest[before->bank], event_at(after, j)->digest[after->bank],
                  before->source->log->banks[before->bank].size) == 0;
}

/* From here on `partner` is set on both sides, and `gap`. */
static void mirror(struct sides *sides)
{
    size_t same = 0;

    for (size_t j = 0; j < sides->after.count; j++)
        sides->after.partner[j] = ALIGN_NONE;
    for (size_t i = 0; i < sides->before.count; i++) {
        sides->before.gap[i] = same;
        if (sides->before.partner[i] != ALIGN_NONE) {
            sides->after.partner[sides->before.partner[i]] = i;
            same++;
        }
    }
    same = 0;
    for (size_t j = 0; j < sides->after.count; j++) {
        sides->after.gap[j] = same;
        same += sides->after.partner[j] != ALIGN_NONE;
    }
}

/* ---- what belongs together though it differs ---- */

static bool is_moved(const struct sides *sides, size_t i, size_t j)
{
    return same_digest(sides, i, j);
}

/* GRUB's commands have no names of their own: they belong together where they stand at one place. */
static bool is_namesake(const struct sides *sides, size_t i, size_t j)
{
    const struct component *before = component_at(&sides->before, i), *after = component_at(&sides->after, j);

    return before->kind == after->kind && strcmp(before->name, after->name) == 0 &&
           (before->kind != COMPONENT_GRUB_COMMAND || sides->before.gap[i] == sides->after.gap[j]);
}

/* Of these a boot has one, or few: one that went and one that came are a change. */
static bool is_successor(const struct sides *sides, size_t i, size_t j)
{
    enum component_kind kind = component_at(&sides->before, i)->kind;
    bool may_be_renamed = kind == COMPONENT_KERNEL || kind == COMPONENT_INITRD || kind == COMPONENT_PROGRAM ||
                          kind == COMPONENT_AUTHORITY || kind == COMPONENT_PARTITION_TABLE;

    return may_be_renamed && kind == component_at(&sides->after, j)->kind;
}

/* Takes the text over. What was said of this PCR already is not said again. */
static void add_difference(struct comparison *comparison, const struct difference *difference)
{
    size_t first = comparison->count > REPEATS_MAX ? comparison->count - REPEATS_MAX : 0;

    for (size_t i = comparison->count; i-- > first && comparison->items[i].pcr == difference->pcr;)
        if (strcmp(comparison->items[i].text, difference->text) == 0) {
            free(difference->text);
            return;
        }
    comparison->items[comparison->count++] = *difference;
}

static int tell(struct comparison *comparison, struct difference difference, bool hidden, struct error *error)
{
    difference.text = difference_text(&difference, hidden);
    if (!difference.text)
        return error_no_memory(error);
    add_difference(comparison, &difference);
    return 0;
}

/* What `i` of before and `j` of after are to each other; either may be ALIGN_NONE. */
static int tell_pair(struct comparison *comparison, const struct sides *sides, unsigned pcr, size_t i, size_t j,
                     struct error *error)
{
    struct difference difference = { .pcr = pcr, .change = CHANGE_CHANGED };
    bool hidden = false;

    if (i != ALIGN_NONE) {
        difference.before = component_at(&sides->before, i);
        difference.kind = difference.before->kind;
    }
    if (j != ALIGN_NONE) {
        difference.after = component_at(&sides->after, j);
        difference.kind = difference.after->kind;
        hidden = event_check(sides->after.source->log, event_at(&sides->after, j)) == EVENT_CHECK_DIFFERS;
    }
    if (i == ALIGN_NONE)
        difference.change = CHANGE_APPEARED;
    else if (j == ALIGN_NONE)
        difference.change = CHANGE_WENT;
    else if (same_digest(sides, i, j))
        difference.change = CHANGE_MOVED;
    return tell(comparison, difference, hidden, error);
}

/* Pairs what is left over on both sides, in order, by the rule. */
static void pair_by(struct sides *sides, bool (*rule)(const struct sides *sides, size_t i, size_t j), bool *paired)
{
    for (size_t i = 0; i < sides->before.count; i++)
        for (size_t j = 0; sides->before.partner[i] == ALIGN_NONE && j < sides->after.count; j++)
            if (sides->after.partner[j] == ALIGN_NONE && rule(sides, i, j)) {
                sides->before.partner[i] = j;
                sides->after.partner[j] = i;
                paired[j] = true;
            }
}

/* Of sides too long for that nothing is paired: all of it went, or appeared. */
static void pair(struct sides *sides, bool *paired)
{
    if (sides->before.count * sides->after.count > ALIGN_MAX_CELLS)
        return;
    pair_by(sides, is_moved, paired);
    pair_by(sides, is_namesake, paired);
    pair_by(sides, is_successor, paired);
}

/* What went is told before what stands there now: by the order of `after`, with the rest of `before` first. */
static int tell_all(struct comparison *comparison, struct sides *sides, unsigned pcr, const bool *paired,
                    struct error *error)
{
    size_t next = 0;
    int r = 0;

    for (size_t j = 0; !r && j <= sides->after.count; j++) {
        size_t gap = j < sides->after.count ? sides->after.gap[j] : SIZE_MAX;

        for (; !r && next < sides->before.count && sides->before.gap[next] <= gap; next++)
            if (sides->before.partner[next] == ALIGN_NONE)
                r = tell_pair(comparison, sides, pcr, next, ALIGN_NONE, error);
        if (!r && j < sides->after.count && (sides->after.partner[j] == ALIGN_NONE || paired[j]))
            r = tell_pair(comparison, sides, pcr, sides->after.partner[j], j, error);
    }
    return r;
}

static int compare_pcr(struct comparison *comparison, struct sides *sides, unsigned pcr, struct error *error)
{
    cleanup(free_ptr) bool *paired = NULL;
    int r = collect(&sides->before, pcr, error);

    r = r ?: collect(&sides->after, pcr, error);
    r = r ?: align(sides->before.count, sides->after.count, same_digest, sides, sides->before.partner, error);
    if (r)
        return r;
    paired = calloc(sides->after.count + 1, sizeof(*paired));
    if (!paired)
        return error_no_memory(error);
    mirror(sides);
    pair(sides, paired);
    return tell_all(comparison, sides, pcr, paired, error);
}

static int compare_one(const struct compared_log *before, const struct compared_log *after, unsigned pcr,
                       struct comparison *comparison, struct error *error)
{
    struct sides sides = {
        .before = { .source = before, .bank = event_log_bank(before->log, comparison->bank) },
        .after = { .source = after, .bank = event_log_bank(after->log, comparison->bank) },
    };
    int r = compare_pcr(comparison, &sides, pcr, error);

    free_side(&sides.before);
    free_side(&sides.after);
    return r;
}

/* Not an event that is extended, and yet PCR 0 is another one. */
static int compare_locality(const struct event_log *before, const struct event_log *after,
                            struct comparison *comparison, struct error *error)
{
    struct difference difference = { .pcr = 0, .change = CHANGE_CHANGED, .kind = COMPONENT_NOTE };
    uint8_t was, is;
    int r = event_log_startup_locality(before, &was, error);

    r = r ?: event_log_startup_locality(after, &is, error);
    if (r || was == is)
        return r;
    if (asprintf(&difference.text, "the locality at which the TPM was started: %u (was %u)", is, was) < 0)
        return error_no_memory(error);
    comparison->items[comparison->count++] = difference;
    return 0;
}

int event_log_compare(const struct compared_log *before, const struct compared_log *after, struct comparison *ret,
                      struct error *error)
{
    int bank = event_log_best_bank(before->log, after->log);
    int r;

    *ret = (struct comparison){ 0 };
    if (bank < 0)
        return error_set(error, ERROR_USAGE, "the two event logs have no bank in common");
    ret->bank = before->log->banks[bank].algorithm;
    ret->items = calloc(before->log->count + after->log->count + 1, sizeof(*ret->items));
    if (!ret->items)
        return error_no_memory(error);
    r = compare_locality(before->log, after->log, ret, error);
    for (unsigned pcr = 0; !r && pcr < PCR_COUNT; pcr++)
        r = compare_one(before, after, pcr, ret, error);
    if (r)
        comparison_free(ret);
    return r;
}

void comparison_free(struct comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++)
        free(comparison->items[i].text);
    free(comparison->items);
    *comparison = (struct comparison){ 0 };
}

const char *change_name(enum change change)
{
    static const char *const names[] = {
        [CHANGE_CHANGED] = "changed",
        [CHANGE_APPEARED] = "appeared",
        [CHANGE_WENT] = "went",
        [CHANGE_MOVED] = "moved",
    };

    return names[change];
}
