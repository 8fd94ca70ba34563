#include "policy/document.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>

#define TEXT_MAX 32 /* longer than any word of the format */

enum {
    CAP_DEFAULT = 12,
    PIN_MIN = 4,
    KDF_MIN_KIB = 8192,
    KDF_MAX_KIB = 4194304, /* what LUKS2 allows */
    KDF_MAX_MS = 60000,
    KDF_MAX_ITERATIONS = 1000,
    TRIES_MAX = 32, /* at the rate of one try per recovery_s, six digits hold for years */
    RECOVERY_MIN_S = 600,
    DURATION_MAX_S = 365 * 24 * 3600,
};

static const struct policy_document defaults = {
    .bank = HASH_SHA256,
    .cap = CAP_DEFAULT,
    .tries = 3,
    .pin = { .min_length = 6, .max_length = 20, .digits_only = true },
    .kdf = { .memory_kib = 65536, .time_ms = 500, .floor_memory_kib = KDF_MIN_KIB, .floor_iterations = 1 },
    .lockout = { .max_tries = TRIES_MAX, .recovery_s = RECOVERY_MIN_S, .lockout_recovery_s = 86400 },
};

struct policy_document policy_document_default(void)
{
    return defaults;
}

/* Whole numbers, most of the format: a row for each. What is left out keeps its default. */
struct number_row {
    const char *key;
    uint32_t min, max;
    uint32_t *ret;
};

static int read_numbers(const struct json_view *view, const struct number_row *rows, size_t count, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < count; i++) {
        int64_t number;

        if (!json_has(view, rows[i].key))
            continue;
        r = json_get_integer(view, rows[i].key, rows[i].min, rows[i].max, &number, error);
        if (!r)
            *rows[i].ret = (uint32_t)number;
    }
    return r;
}

/* The object under a key, with no keys but the allowed ones; ret->object is NULL when it was left out. */
static int open_part(const struct json_view *view, const char *key, const char *const *allowed, struct json_view *ret,
                     struct error *error)
{
    int r;

    ret->object = NULL;
    if (!json_has(view, key))
        return 0;
    r = json_get_object(view, key, ret, error);
    return r ? r : json_check_keys(ret, allowed, error);
}

/* One of two words: *ret becomes true for `on`, false for `off`, and stays when the key was left out. */
static int read_choice(const struct json_view *view, const char *key, const char *on, const char *off, bool *ret,
                       struct error *error)
{
    const char *text;
    int r;

    if (!json_has(view, key))
        return 0;
    r = json_get_string(view, key, TEXT_MAX, &text, error);
    if (r)
        return r;
    *ret = strcmp(text, on) == 0;
    if (!*ret && strcmp(text, off) != 0)
        return json_fault(view, key, error, "\"%s\" is neither \"%s\" nor \"%s\"", text, off, on);
    return 0;
}

static int read_allow_simple(const struct json_view *view, bool *ret, struct error *error)
{
    return json_has(view, "allow_simple") ? json_get_bool(view, "allow_simple", ret, error) : 0;
}

static int read_pin(const struct json_view *view, struct pin_rules *ret, struct error *error)
{
    static const char *const allowed[] = { "min_length", "max_length", "characters", "allow_simple", NULL };
    const struct number_row rows[] = {
        { "min_length", PIN_MIN, PIN_MAX_BYTES, &ret->min_length },
        { "max_length", PIN_MIN, PIN_MAX_BYTES, &ret->max_length },
    };
    struct json_view pin;
    int r = open_part(view, "pin", allowed, &pin, error);

    if (r || !pin.object)
        return r;
    r = read_numbers(&pin, rows, array_size(rows), error);
    r = r ? r : read_choice(&pin, "characters", "digits", "any", &ret->digits_only, error);
    r = r ? r : read_allow_simple(&pin, &ret->allow_simple, error);
    if (!r && ret->max_length < ret->min_length)
        return json_fault(&pin, "max_length", error, "%u is below min_length, which is %u", ret->max_length,
                          ret->min_length);
    return r;
}

static int read_kdf(const struct json_view *view, struct kdf_rules *ret, struct error *error)
{
    static const char *const allowed[] = { "memory_kib", "time_ms", "floor_memory_kib", "floor_iterations", NULL };
    const struct number_row rows[] = {
        { "memory_kib", KDF_MIN_KIB, KDF_MAX_KIB, &ret->memory_kib },
        { "time_ms", 1, KDF_MAX_MS, &ret->time_ms },
        { "floor_memory_kib", KDF_MIN_KIB, KDF_MAX_KIB, &ret->floor_memory_kib },
        { "floor_iterations", 1, KDF_MAX_ITERATIONS, &ret->floor_iterations },
    };
    struct json_view kdf;
    int r = open_part(view, "kdf", allowed, &kdf, error);

    if (r || !kdf.object)
        return r;
    r = read_numbers(&kdf, rows, array_size(rows), error);
    if (!r && ret->floor_memory_kib > ret->memory_kib)
        return json_fault(&kdf, "floor_memory_kib", error, "%u is above memory_kib, which is %u", ret->floor_memory_kib,
                          ret->memory_kib);
    return r;
}

static int read_lockout(const struct json_view *view, struct lockout_rules *ret, struct error *error)
{
    static const char *const allowed[] = { "max_tries", "recovery_s", "lockout_recovery_s", NULL };
    const struct number_row rows[] = {
        { "max_tries", 1, TRIES_MAX, &ret->max_tries },
        { "recovery_s", RECOVERY_MIN_S, DURATION_MAX_S, &ret->recovery_s },
        { "lockout_recovery_s", 0, DURATION_MAX_S, &ret->lockout_recovery_s },
    };
    struct json_view lockout;
    int r = open_part(view, "lockout", allowed, &lockout, error);

    return r || !lockout.object ? r : read_numbers(&lockout, rows, array_size(rows), error);
}

static int read_bank(const struct json_view *view, enum hash_algorithm *ret, struct error *error)
{
    const char *name;
    int r;

    if (!json_has(view, "bank"))
        return 0;
    r = json_get_string(view, "bank", TEXT_MAX, &name, error);
    if (r)
        return r;
    *ret = hash_from_name(name);
    if (*ret == 0)
        return json_fault(view, "bank", error, "\"%s\" is not sha256, sha384 or sha512", name);
    return 0;
}

static int read_pcr(const struct json_view *list, size_t i, uint32_t *mask, struct error *error)
{
    struct json_object *element = json_object_array_get_idx(list->object, i);
    int64_t pcr = json_object_get_int64(element);

    if (!json_object_is_type(element, json_type_int) || pcr < 0 || pcr >= PCR_COUNT)
        return json_fault(list, "pcrs", error, "element %zu must be a PCR number from 0 to %d", i, PCR_COUNT - 1);
    if (*mask & (1u << pcr))
        return json_fault(list, "pcrs", error, "PCR %d is there twice", (int)pcr);
    *mask |= 1u << pcr;
    return 0;
}

static int read_pcrs(const struct json_view *view, uint32_t *ret, struct error *error)
{
    struct json_view list;
    int r = json_get_array(view, "pcrs", PCR_COUNT, &list, error);

    for (size_t i = 0; !r && i < json_object_array_length(list.object); i++)
        r = read_pcr(&list, i, ret, error);
    return r;
}

static int read_on_failure(const struct json_view *view, enum update_failure *ret, struct error *error)
{
    static const char *const words[] = {
        [UPDATE_WARNS] = "warn",
        [UPDATE_FAILS] = "fail",
        [UPDATE_SUSPENDS] = "suspend",
    };
    const char *text;
    int r;

    if (!json_has(view, "on_failure"))
        return 0;
    r = json_get_string(view, "on_failure", TEXT_MAX, &text, error);
    for (size_t i = 0; !r && i < array_size(words); i++)
        if (strcmp(words[i], text) == 0) {
            *ret = (enum update_failure)i;
            return 0;
        }
    return r ? r
             : json_fault(view, "on_failure", error, "\"%s\" is neither \"warn\" nor \"fail\" nor \"suspend\"", text);
}

static int read_document(const struct json_view *view, struct policy_document *ret, struct error *error)
{
    static const char *const allowed[] = { "version",    "bank",           "pcrs", "cap", "tries",   "root",
                                           "on_failure", "after_recovery", "pin",  "kdf", "lockout", NULL };
    uint32_t version = 1;
    const struct number_row rows[] = {
        { "version", 1, 1, &version },
        { "cap", 0, PCR_COUNT - 1, &ret->cap },
        { "tries", 1, 10, &ret->tries },
    };
    int r = read_numbers(view, rows, 1, error); /* another version's keys would only look unknown */

    r = r ? r : json_check_keys(view, allowed, error);
    r = r ? r : read_numbers(view, rows, array_size(rows), error);
    r = r ? r : read_bank(view, &ret->bank, error);
    r = r ? r : read_pcrs(view, &ret->pcrs, error);
    r = r ? r : policy_document_check(ret, view->source, error);
    r = r ? r : read_choice(view, "root", "any", "pinned", &ret->any_root, error);
    r = r ? r : read_on_failure(view, &ret->on_failure, error);
    r = r ? r : read_choice(view, "after_recovery", "reseal", "advise", &ret->reseal_after_recovery, error);
    r = r ? r : read_pin(view, &ret->pin, error);
    r = r ? r : read_kdf(view, &ret->kdf, error);
    return r ? r : read_lockout(view, &ret->lockout, error);
}

int policy_document_parse(const char *text, const char *source, struct policy_document *ret, struct error *error)
{
    struct json_view view = { .source = source, .kind = ERROR_USAGE };
    cleanup(json_free) struct json_object *object = NULL;
    struct policy_document document = defaults;
    int r = json_parse(text, &view, &object, error);

    r = r ? r : read_document(&view, &document, error);
    if (!r)
        *ret = document;
    return r;
}
