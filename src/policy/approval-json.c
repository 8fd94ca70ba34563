#include "policy/approval.h"

#include "base/cleanup.h"
#include "policy/approval-words.h"
#include "policy/label.h"
#include "policy/value-table.h"

#include <string.h>

/* What the branches of one document share. */
struct writer {
    bool words; /* what people and the state folder want to know of boot branches, beside their values */
    struct value_table table;
};

/* json-c has no object for null: the key with no value is how it is written. */
static int add_null(struct json_object *object, const char *key, struct error *error)
{
    return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
}

static int add_array(struct json_object *object, const char *key, struct json_object **ret, struct error *error)
{
    *ret = json_object_new_array();
    return json_add(object, key, *ret, error);
}

static int place_of(struct value_table *table, const struct pcr_values *values, unsigned pcr, size_t *ret,
                    struct error *error)
{
    if (values->bank != table->bank || !(values->mask & (1u << pcr)))
        return error_set(error, ERROR_FAILED, "a branch to write has no value of PCR %u in bank %s", pcr,
                         hash_name(table->bank));
    return value_table_place(table, values->value[pcr], ret, error);
}

/* What no digest has, and old lists do not: left out when it is not known. */
static int write_origin(const struct branch *branch, struct json_object *object, struct error *error)
{
    char entry[sizeof(branch->entry)], boot[sizeof(branch->approved_in)];
    int r = 0;

    memcpy(entry, branch->entry, sizeof(entry));
    memcpy(boot, branch->approved_in, sizeof(boot));
    if (!branch_entry_clean(entry) || (boot[0] && !approval_boot_is_good(boot)))
        return error_set(error, ERROR_FAILED, "the origin of the branch \"%s\" cannot be written", branch->label);
    if (entry[0])
        r = json_add(object, "entry", json_object_new_string(entry), error);
    if (!r && boot[0])
        r = json_add(object, "approved_in", json_object_new_string(boot), error);
    if (!r && branch->kept)
        r = json_add(object, "kept", json_object_new_boolean(true), error);
    return r;
}

static int write_words(const struct branch *branch, struct json_object *object, struct error *error)
{
    char label[sizeof(branch->label)];
    int r;

    /* what the reader would refuse must not be written: the list would be lost */
    memcpy(label, branch->label, sizeof(label));
    if (!branch_label_clean(label) || branch->source >= array_size(branch_source_words))
        return error_set(error, ERROR_FAILED, "the branch \"%s\" cannot be written", label);
    r = json_add(object, "label", json_object_new_string(label), error);
    r = r ? r : json_add(object, "source", json_object_new_string(branch_source_words[branch->source]), error);
    return r ? r : write_origin(branch, object, error);
}

static int write_boot(const struct approval *approval, const struct branch *branch, struct writer *writer,
                      struct json_object *object, struct error *error)
{
    struct json_object *places;
    int r = writer->words ? write_words(branch, object, error) : 0;

    r = r ? r : add_array(object, "values", &places, error);
    for (unsigned i = 0; !r && i < PCR_COUNT; i++) {
        size_t place;

        if (!(approval->pcrs & (1u << i)))
            continue;
        r = place_of(&writer->table, &branch->values, i, &place, error);
        r = r ? r : json_append(places, json_object_new_int64((int64_t)place), error);
    }
    return r;
}

/* What no digest has. */
static int write_purpose(const struct branch *branch, struct json_object *object, struct error *error)
{
    int r = 0;

    if (branch->purpose >= array_size(suspend_purpose_words))
        return error_set(error, ERROR_FAILED, "a suspension of an unknown purpose cannot be written");
    if (branch->purpose != SUSPEND_BY_HAND)
        r = json_add(object, "purpose", json_object_new_string(suspend_purpose_words[branch->purpose]), error);
    if (!r && branch->then_reseal)
        r = json_add(object, "then_reseal", json_object_new_boolean(true), error);
    if (!r && branch->without_pin)
        r = json_add(object, "without_pin", json_object_new_boolean(true), error);
    return r;
}

static int write_suspend(const struct approval *approval, const struct branch *branch, struct writer *writer,
                         struct json_object *object, struct error *error)
{
    size_t place;
    int r = place_of(&writer->table, &branch->values, approval->cap, &place, error);

    if (!r && branch->has_clock && branch->clock_ms > CLOCK_MS_MAX)
        return error_set(error, ERROR_FAILED, "a suspension's clock of %llu ms cannot be written",
                         (unsigned long long)branch->clock_ms);
    r = r ? r : write_purpose(branch, object, error);
    r = r ? r : json_add(object, "after", json_object_new_int64(branch->after), error);
    r = r ? r : json_add(object, "until", json_object_new_int64(branch->until), error);
    if (!r && branch->has_clock)
        r = json_add(object, "clock_ms", json_object_new_int64((int64_t)branch->clock_ms), error);
    else if (!r)
        r = add_null(object, "clock_ms", error);
    return r ? r : json_add(object, "value", json_object_new_int64((int64_t)place), error);
}

static int write_authority(const struct branch *branch, struct json_object *object, struct error *error)
{
    uint8_t area[AUTHORITY_AREA_BYTES];

    authority_public_area(&branch->authority, area);
    return json_add(object, "public", json_new_base64(area, sizeof(area)), error);
}

static int write_branch(const struct approval *approval, const struct branch *branch, struct writer *writer,
                        struct json_object *object, struct error *error)
{
    int r;

    if (branch->kind >= array_size(branch_kind_words))
        return error_set(error, ERROR_FAILED, "a branch of an unknown kind cannot be written");
    r = json_add(object, "kind", json_object_new_string(branch_kind_words[branch->kind]), error);
    if (r)
        return r;
    switch (branch->kind) {
    case BRANCH_BOOT:
        return write_boot(approval, branch, writer, object, error);
    case BRANCH_SUSPEND:
        return write_suspend(approval, branch, writer, object, error);
    case BRANCH_AUTHORITY:
    default:
        return write_authority(branch, object, error);
    }
}

/* "branches" and "objects", as they stand at the top and in "next". */
static int write_lists(const struct approval *approval, struct writer *writer, struct json_object *object,
                       struct error *error)
{
    struct json_object *list;
    int r = add_array(object, "branches", &list, error);

    for (size_t i = 0; !r && i < approval->branch_count; i++) {
        struct json_object *branch = json_object_new_object();

        r = json_append(list, branch, error);
        r = r ? r : write_branch(approval, &approval->branches[i], writer, branch, error);
    }
    r = r ? r : add_array(object, "objects", &list, error);
    for (size_t i = 0; !r && i < approval->object_count; i++)
        r = json_append(list, json_new_hex(approval->objects[i].bytes, NAME_BYTES), error);
    return r;
}

static int write_next(const struct approval *next, struct writer *writer, struct json_object *object,
                      struct error *error)
{
    struct json_object *inner;
    int r;

    if (!next)
        return add_null(object, "next", error);
    inner = json_object_new_object();
    r = json_add(object, "next", inner, error);
    return r ? r : write_lists(next, writer, inner, error);
}

static int write_selection(const struct approval *approval, struct json_object *object, struct error *error)
{
    struct json_object *list;
    int r = json_add(object, "bank", json_object_new_string(hash_name(approval->bank)), error);

    r = r ? r : add_array(object, "pcrs", &list, error);
    for (int i = 0; !r && i < PCR_COUNT; i++)
        if (approval->pcrs & (1u << i))
            r = json_append(list, json_object_new_int(i), error);
    return r ? r : json_add(object, "cap", json_object_new_int((int)approval->cap), error);
}

/* What the reader checks of the selection, so that nothing is written that it would refuse. */
static int check_selection(const struct approval *approval, const struct approval *next, struct error *error)
{
    if (hash_size(approval->bank) < DIGEST_BYTES || approval->pcrs >> PCR_COUNT != 0 || approval->cap >= PCR_COUNT ||
        !(approval->pcrs & (1u << approval->cap)))
        return error_set(error, ERROR_FAILED, "an approval to write has no bank or no PCR selection with the cap");
    if (next && (next->bank != approval->bank || next->pcrs != approval->pcrs || next->cap != approval->cap))
        return error_set(error, ERROR_FAILED, "the next approval has another bank, PCR selection or cap");
    return 0;
}

static void free_writer(struct writer *writer)
{
    value_table_free(&writer->table);
}

static int write_all(const struct approval *approval, const struct approval *next, bool words,
                     struct json_object *object, struct error *error)
{
    cleanup(free_writer) struct writer writer = { .words = words, .table.bank = approval->bank };
    struct json_object *values;
    int r = check_selection(approval, next, error);

    r = r ? r : write_selection(approval, object, error);
    r = r ? r : write_lists(approval, &writer, object, error);
    r = r ? r : write_next(next, &writer, object, error);
    r = r ? r : value_table_to_json(&writer.table, &values, error);
    return r ? r : json_add(object, "values", values, error);
}

int approval_to_json(const struct approval *approval, const struct approval *next, struct json_object *object,
                     struct error *error)
{
    return write_all(approval, next, true, object, error);
}

int approval_to_token(const struct approval *approval, const struct approval *next, struct json_object *object,
                      struct error *error)
{
    return write_all(approval, next, false, object, error);
}
