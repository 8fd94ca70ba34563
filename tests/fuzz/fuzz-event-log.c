/* An event log: parsed, replayed, put into words; the second part is one of another boot to compare it with. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "measure/boot-chain.h"
#include "measure/compare.h"
#include "measure/event-check.h"
#include "measure/replay.h"

#include <string.h>

static const enum hash_algorithm banks[] = { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512 };

static void try_log(const struct event_log *log, const struct component_list *components)
{
    struct pcr_values values;
    struct error error;
    uint8_t locality;

    fuzz_require(components->count == log->count && log->count <= EVENT_LOG_MAX_EVENTS);
    for (size_t i = 0; i < array_size(banks); i++)
        fuzz_require_told(event_log_replay(log, banks[i], &values, &error), &error);
    fuzz_require_told(event_log_startup_locality(log, &locality, &error), &error);
    (void)boot_chain_words(boot_chain_detect(log, components));
    for (size_t i = 0; i < log->count; i++) {
        (void)event_check(log, &log->events[i]);
        component_put(fuzz_nowhere(), &components->items[i]);
        fuzz_require(component_kind_name(components->items[i].kind));
        fuzz_require(!strpbrk(components->items[i].name, "\n\r\x1b"));
    }
}

static void compare(const struct compared_log *before, const struct compared_log *after)
{
    cleanup(comparison_free) struct comparison comparison = { 0 };
    struct error error;
    int r = event_log_compare(before, after, &comparison, &error);

    fuzz_require_told(r, &error);
    for (size_t i = 0; !r && i < comparison.count; i++)
        fuzz_require(comparison.items[i].text && !strpbrk(comparison.items[i].text, "\n\r\x1b"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cleanup(event_log_free) struct event_log before = { 0 };
    cleanup(event_log_free) struct event_log after = { 0 };
    cleanup(component_list_free) struct component_list before_components = { 0 };
    cleanup(component_list_free) struct component_list after_components = { 0 };
    struct span parts[2];
    struct error error;
    int r;

    fuzz_split(bytes, size, parts, 2);
    r = event_log_parse(parts[0].bytes, parts[0].size, &before, &error);
    fuzz_require_told(r, &error);
    if (r)
        return 0;
    fuzz_require(!component_list_read(&before, &before_components, &error));
    try_log(&before, &before_components);
    if (event_log_parse(parts[1].bytes, parts[1].size, &after, &error))
        return 0;
    fuzz_require(!component_list_read(&after, &after_components, &error));
    compare(&(struct compared_log){ &before, &before_components }, &(struct compared_log){ &after, &after_components });
    return 0;
}
