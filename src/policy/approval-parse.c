#include "policy/approval.h"

#include "base/cleanup.h"
#include "policy/approval-words.h"
#include "policy/label.h"
#include "policy/value-table.h"

#include <string.h>

#define WORD_MAX 16 /* longer than any word of the format */

/* What the branches of one document share. */
struct reader {
    const struct approval *selection; /* bank, pcrs and cap */
    struct value_table table;
};

static int read_word(const struct json_view *view, const char *key, const char *const *words, size_t count,
                     unsigned *ret, struct error *error)
{
    const char *text;
    int r = json_get_string(view, key, WORD_MAX, &text, error);

    for (*ret = 0; !r && *ret < count; ++*ret)
        if (strcmp(words[*ret], text) == 0)
            return 0;
    return r ? r : json_fault(view, key, error, "\"%s\" is unknown", text);
}

static int read_u32(const struct json_view *view, const char *key, uint32_t *ret, struct error *error)
{
    int64_t number;
    int r = json_get_integer(view, key, 0, UINT32_MAX, &number, error);

    if (!r)
        *ret = (uint32_t)number;
    return r;
}

/* Element i of an array of whole numbers from 0 to max. */
static int read_element(const struct json_view *array, const char *key, size_t i, size_t max, size_t *ret,
                        struct error *error)
{
    struct json_object *element = json_object_array_get_idx(array->object, i);
    int64_t number = json_object_get_int64(element);

    if (!json_object_is_type(element, json_type_int) || number < 0 || (uint64_t)number > max)
        return json_fault(array, key, error, "element %zu is not a whole number from 0 to %zu", i, max);
    *ret = (size_t)number;
    return 0;
}

static void take_value(const struct reader *reader, size_t place, unsigned pcr, struct pcr_values *ret)
{
    ret->bank = reader->table.bank;
    ret->mask |= 1u << pcr;
    memcpy(ret->value[pcr], reader->table.values[place], hash_size(reader->table.bank));
}

/* "values": the place of each PCR's value, in the order of "pcrs". */
static int read_places(const struct reader *reader, const struct json_view *view, struct pcr_values *ret,
                       struct error *error)
{
    uint32_t pcrs = reader->selection->pcrs;
    struct json_view list;
    size_t i = 0;
    int r = json_get_array(view, "values", PCR_COUNT, &list, error);

    if (!r && json_object_array_length(list.object) != (size_t)__builtin_popcount(pcrs))
        return json_fault(&list, "values", error, "must have one element per PCR of \"pcrs\"");
    if (!r && reader->table.count == 0)
        return json_fault(&list, "values", error, "the list of values is empty");
    for (unsigned pcr = 0; !r && pcr < PCR_COUNT; pcr++) {
        size_t place;

        if (!(pcrs & (1u << pcr)))
            continue;
        r = read_element(&list, "values", i++, reader->table.count - 1, &place, error);
        if (!r)
            take_value(reader, place, pcr, ret);
    }
    return r;
}

/* "entry", "approved_in" and "kept" may be left out. */
static int read_origin(const struct json_view *view, struct branch *ret, struct error *error)
{
    int r = 0;

    if (json_has(view, "entry")) {
        r = json_get_text(view, "entry", ret->entry, sizeof(ret->entry), error);
        if (r)
            return r;
        if (!branch_entry_clean(ret->entry))
            return json_fault(view, "entry", error, "has a control character");
    }
    if (json_has(view, "approved_in")) {
        r = json_get_text(view, "approved_in", ret->approved_in, sizeof(ret->approved_in), error);
        if (!r && !approval_boot_is_good(ret->approved_in))
            return json_fault(view, "approved_in", error, "is not %d hexadecimal digits", BRANCH_BOOT_DIGITS);
    }
    return !r && json_has(view, "kept") ? json_get_bool(view, "kept", &ret->kept, error) : r;
}

/* Tokens have neither. */
static int read_label_and_source(const struct json_view *view, struct branch *ret, struct error *error)
{
    unsigned source = BRANCH_MEASURED;
    int r = 0;

    if (json_has(view, "label")) {
        r = json_get_text(view, "label", ret->label, sizeof(ret->label), error);
        if (r)
            return r;
        if (!branch_label_clean(ret->label))
            return json_fault(view, "label", error, "has a control character");
    }
    if (json_has(view, "source"))
        r = read_word(view, "source", branch_source_words, array_size(branch_source_words), &source, error);
    ret->source = r ? BRANCH_MEASURED : (enum branch_source)source;
    return r;
}

static int read_boot(const struct reader *reader, const struct json_view *view, struct branch *ret, struct error *error)
{
    int r = read_label_and_source(view, ret, error);

    r = r ? r : read_origin(view, ret, error);
    return r ? r : read_places(reader, view, &ret->values, error);
}

static int read_clock(const struct json_view *view, struct branch *ret, struct error *error)
{
    int64_t clock_ms;
    int r;

    if (json_has(view, "clock_ms") && !json_object_object_get(view->object, "clock_ms"))
        return 0;
    r = json_get_integer(view, "clock_ms", 0, CLOCK_MS_MAX, &clock_ms, error);
    ret->has_clock = !r;
    ret->clock_ms = r ? 0 : (uint64_t)clock_ms;
    return r;
}

/* "purpose", "then_reseal" and "without_pin" may be left out. */
static int read_purpose(const struct json_view *view, struct branch *ret, struct error *error)
{
    unsigned purpose = SUSPEND_BY_HAND;
    int r = 0;

    if (json_has(view, "purpose"))
        r = read_word(view, "purpose", suspend_purpose_words, array_size(suspend_purpose_words), &purpose, error);
    ret->purpose = r ? SUSPEND_BY_HAND : (enum suspend_purpose)purpose;
    if (!r && json_has(view, "then_reseal"))
        r = json_get_bool(view, "then_reseal", &ret->then_reseal, error);
    return !r && json_has(view, "without_pin") ? json_get_bool(view, "without_pin", &ret->without_pin, error) : r;
}

static int read_suspend(const struct reader *reader, const struct json_view *view, struct branch *ret,
                        struct error *error)
{
    int64_t place;
    int r = read_u32(view, "after", &ret->after, error);

    r = r ? r : read_purpose(view, ret, error);
    r = r ? r : read_u32(view, "until", &ret->until, error);
    r = r ? r : read_clock(view, ret, error);
    r = r ? r : json_get_integer(view, "value", 0, (int64_t)reader->table.count - 1, &place, error);
    if (!r)
        take_value(reader, (size_t)place, reader->selection->cap, &ret->values);
    return r;
}

static int read_authority(const struct json_view *view, struct branch *ret, struct error *error)
{
    uint8_t area[AUTHORITY_AREA_BYTES];
    size_t size;
    int r = json_get_base64(view, "public", area, sizeof(area), &size, error);

    if (!r && !authority_public_parse(area, size, &ret->authority))
        return json_fault(view, "public", error, "is not the public area of an authority");
    return r;
}

static int read_branch(const struct reader *reader, const struct json_view *view, struct branch *ret,
                       struct error *error)
{
    unsigned kind;
    int r = read_word(view, "kind", branch_kind_words, array_size(branch_kind_words), &kind, error);

    if (r)
        return r;
    ret->kind = (enum branch_kind)kind;
    switch (ret->kind) {
    case BRANCH_BOOT:
        return read_boot(reader, view, ret, error);
    case BRANCH_SUSPEND:
        return read_suspend(reader, view, ret, error);
    case BRANCH_AUTHORITY:
    default:
        return read_authority(view, ret, error);
    }
}

static int read_branches(const struct reader *reader, const struct json_view *view, struct approval *ret,
                         struct error *error)
{
    struct json_view list, element;
    int r = json_get_array(view, "branches", APPROVAL_MAX_BRANCHES, &list, error);

    for (size_t i = 0; !r && i < json_object_array_length(list.object); i++) {
        struct branch branch = { 0 };

        r = json_array_object(&list, "branches", i, &element, error);
        if (r)
            break;
        r = read_branch(reader, &element, &branch, error);
        if (r)
            return error_prefix(error, "branch %zu", i);
        r = approval_add_branch(ret, &branch, error);
    }
    return r;
}

static int read_objects(const struct json_view *view, struct approval *ret, struct error *error)
{
    struct json_view list;
    int r = json_get_array(view, "objects", APPROVAL_MAX_OBJECTS, &list, error);

    for (size_t i = 0; !r && i < json_object_array_length(list.object); i++) {
        struct json_object *element = json_object_array_get_idx(list.object, i);
        struct object_name name;

        if (!value_from_json(element, name.bytes, NAME_BYTES))
            return json_fault(&list, "objects", error, "element %zu must be a Name, %d bytes in hexadecimal", i,
                              NAME_BYTES);
        r = approval_add_object(ret, &name, error);
    }
    return r;
}

/* "pcrs" in ascending order, so that a branch's values can be told apart in one way only. */
static int read_pcrs(const struct json_view *view, uint32_t *ret, struct error *error)
{
    struct json_view list;
    int r = json_get_array(view, "pcrs", PCR_COUNT, &list, error);

    for (size_t i = 0; !r && i < json_object_array_length(list.object); i++) {
        size_t pcr;

        r = read_element(&list, "pcrs", i, PCR_COUNT - 1, &pcr, error);
        if (!r && *ret >> pcr != 0)
            return json_fault(&list, "pcrs", error, "the numbers must ascend");
        *ret |= r ? 0 : 1u << pcr;
    }
    return r;
}

static int read_selection(const struct json_view *view, struct approval *ret, struct error *error)
{
    const char *bank;
    int64_t cap;
    int r = json_get_string(view, "bank", WORD_MAX, &bank, error);

    if (r)
        return r;
    ret->bank = hash_from_name(bank);
    if (hash_size(ret->bank) < DIGEST_BYTES)
        return json_fault(view, "bank", error, "\"%s\" is not sha256, sha384 or sha512", bank);
    r = read_pcrs(view, &ret->pcrs, error);
    r = r ? r : json_get_integer(view, "cap", 0, PCR_COUNT - 1, &cap, error);
    if (r)
        return r;
    ret->cap = (unsigned)cap;
    if (!(ret->pcrs & (1u << ret->cap)))
        return json_fault(view, "cap", error, "%u is not in \"pcrs\"", ret->cap);
    return 0;
}

static int read_lists(const struct reader *reader, const struct json_view *view, struct approval *ret,
                      struct error *error)
{
    const struct approval *selection = reader->selection;
    int r;

    *ret = (struct approval){ .bank = selection->bank, .pcrs = selection->pcrs, .cap = selection->cap };
    r = read_branches(reader, view, ret, error);
    return r ? r : read_objects(view, ret, error);
}

/* "next" may be null. */
static int read_next(const struct reader *reader, const struct json_view *view, struct approval *ret, bool *ret_has,
                     struct error *error)
{
    struct json_view next;
    int r;

    *ret_has = !json_has(view, "next") || json_object_object_get(view->object, "next");
    if (!*ret_has)
        return 0;
    r = json_get_object(view, "next", &next, error);
    if (r)
        return r;
    r = read_lists(reader, &next, ret, error);
    return r ? error_prefix(error, "next") : 0;
}

static void free_reader(struct reader *reader)
{
    value_table_free(&reader->table);
}

static void move(struct approval *from, struct approval *ret)
{
    *ret = *from;
    *from = (struct approval){ 0 };
}

int approval_from_json(const struct json_view *view, struct approval *ret, struct approval *ret_next,
                       bool *ret_has_next, struct error *error)
{
    struct approval selection = { 0 };
    cleanup(approval_free) struct approval now = { 0 };
    cleanup(approval_free) struct approval next = { 0 };
    cleanup(free_reader) struct reader reader = { .selection = &selection };
    bool has_next;
    int r = read_selection(view, &selection, error);

    reader.table.bank = selection.bank;
    r = r ? r : value_table_from_json(&reader.table, view, error);
    r = r ? r : read_lists(&reader, view, &now, error);
    r = r ? r : read_next(&reader, view, &next, &has_next, error);
    if (r)
        return r;
    move(&now, ret);
    if (ret_next)
        move(&next, ret_next);
    if (ret_has_next)
        *ret_has_next = has_next;
    return 0;
}
