#include "cli/explain-json.h"

#include "base/cleanup.h"
#include "base/pcr-json.h"
#include "measure/boot-chain.h"
#include "measure/event-check.h"
#include "measure/event-type.h"
#include "measure/replay.h"

#include <stdio.h>

static int add_string(struct json_object *object, const char *key, const char *text, struct error *error)
{
    return json_add(object, key, json_object_new_string(text), error);
}

/* null is no failed allocation. */
static int add_null(struct json_object *object, const char *key, struct error *error)
{
    return json_object_object_add(object, key, NULL) ? error_no_memory(error) : 0;
}

/* A new object or array under the key; *ret is borrowed. */
static int add_inner(struct json_object *object, const char *key, struct json_object *inner, struct json_object **ret,
                     struct error *error)
{
    *ret = inner;
    return json_add(object, key, inner, error);
}

/* A new object at the end of an array, borrowed. */
static int append_object(struct json_object *array, struct json_object **ret, struct error *error)
{
    *ret = json_object_new_object();
    return json_append(array, *ret, error);
}

/* All banks that can be replayed. */
static int add_pcrs(struct json_object *document, const struct event_log *log, struct error *error)
{
    struct json_object *pcrs;
    struct pcr_values values;
    int r = add_inner(document, "pcrs", json_object_new_object(), &pcrs, error);

    for (size_t i = 0; !r && i < log->bank_count; i++) {
        enum hash_algorithm bank = log->banks[i].algorithm;

        if (hash_size(bank) == 0 || !log->banks[i].complete)
            continue;
        r = event_log_replay(log, bank, &values, error);
        r = r ?: pcr_values_to_json(pcrs, hash_name(bank), &values, error);
    }
    return r;
}

/* null when nothing can be said of it. */
static int add_check(struct json_object *object, enum event_check check, struct error *error)
{
    if (check == EVENT_CHECK_NONE)
        return add_null(object, "proven", error);
    return json_add(object, "proven", json_object_new_boolean(check == EVENT_CHECK_PROVEN), error);
}

static int add_digests(struct json_object *object, const struct event_log *log, const struct event *event,
                       struct error *error)
{
    struct json_object *digests;
    int r = add_inner(object, "digests", json_object_new_object(), &digests, error);

    for (size_t i = 0; !r && i < log->bank_count; i++) {
        const char *name = hash_name(log->banks[i].algorithm);

        if (name && event->digest[i])
            r = json_add(digests, name, json_new_hex(event->digest[i], log->banks[i].size), error);
    }
    return r;
}

static int add_type(struct json_object *object, const struct event *event, struct error *error)
{
    const char *name = event_type_name(event->type);
    char number[16];

    snprintf(number, sizeof(number), "0x%08x", event->type);
    return add_string(object, "type", name ? name : number, error);
}

static int add_component(struct json_object *object, const struct component *component, struct error *error)
{
    int r = add_string(object, "component", component_kind_name(component->kind), error);

    r = r ?: add_string(object, "name", component->name, error);
    return r ?: add_string(object, "value", component->value, error);
}

static int add_event(struct json_object *events, const struct event_log *log, const struct event *event,
                     const struct component *component, struct error *error)
{
    struct json_object *object;
    int r = append_object(events, &object, error);

    r = r ?: json_add(object, "pcr", json_object_new_int64(event->pcr), error);
    r = r ?: add_type(object, event, error);
    r = r ?: json_add(object, "measured", json_object_new_boolean(event_is_extended(event)), error);
    r = r ?: add_component(object, component, error);
    r = r ?: add_check(object, event_check(log, event), error);
    return r ?: add_digests(object, log, event, error);
}

static int add_events(struct json_object *document, const struct explained_log *explained, struct error *error)
{
    const struct event_log *log = &explained->log;
    struct json_object *events;
    int r = add_inner(document, "events", json_object_new_array(), &events, error);

    for (size_t i = 0; !r && i < log->count; i++)
        r = add_event(events, log, &log->events[i], &explained->components.items[i], error);
    return r;
}

/* The component's name and value on one side, or null. */
static int add_side(struct json_object *object, const char *key, const struct component *component, struct error *error)
{
    struct json_object *side;
    int r;

    if (!component)
        return add_null(object, key, error);
    r = add_inner(object, key, json_object_new_object(), &side, error);
    r = r ?: add_string(side, "name", component->name, error);
    return r ?: add_string(side, "value", component->value, error);
}

static int add_difference(struct json_object *differences, const struct difference *difference, struct error *error)
{
    struct json_object *object;
    int r = append_object(differences, &object, error);

    r = r ?: json_add(object, "pcr", json_object_new_int64(difference->pcr), error);
    r = r ?: add_string(object, "change", change_name(difference->change), error);
    r = r ?: add_string(object, "component", component_kind_name(difference->kind), error);
    r = r ?: add_side(object, "before", difference->before, error);
    r = r ?: add_side(object, "after", difference->after, error);
    return r ?: add_string(object, "text", difference->text, error);
}

int explain_add_differences(struct json_object *document, const struct comparison *comparison, struct error *error)
{
    struct json_object *differences;
    int r;

    if (!comparison)
        return add_null(document, "differences", error);
    r = add_inner(document, "differences", json_object_new_array(), &differences, error);
    for (size_t i = 0; !r && i < comparison->count; i++)
        r = add_difference(differences, &comparison->items[i], error);
    return r;
}

static int add_comparison(struct json_object *document, const struct explained_log *before,
                          const struct comparison *comparison, struct error *error)
{
    int r = comparison ? add_string(document, "against", before->path, error) : add_null(document, "against", error);

    return r ?: explain_add_differences(document, comparison, error);
}

int explain_to_json(const struct explained_log *explained, const struct explained_log *before,
                    const struct comparison *comparison, struct json_object **ret, struct error *error)
{
    enum boot_chain chain = boot_chain_detect(&explained->log, &explained->components);
    struct json_object *document = *ret = json_object_new_object();
    int r = document ? 0 : error_no_memory(error);

    r = r ?: add_string(document, "eventlog", explained->path, error);
    r = r ?: add_string(document, "form", explained->log.crypto_agile ? "crypto-agile" : "sha1", error);
    r = r ?: add_string(document, "boot_chain", boot_chain_name(chain), error);
    r = r ?: add_pcrs(document, &explained->log, error);
    r = r ?: add_events(document, explained, error);
    return r ?: add_comparison(document, before, comparison, error);
}
