#include "cli/explain-json.h"

#include "base/cleanup.h"
#include "base/json.h"

/* true, false, or null when it is not known. */
static int add_answer(struct json_object *object, const char *key, bool known, bool answer, struct error *error)
{
    if (known)
        return json_add(object, key, json_object_new_boolean(answer), error);
    return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
}

static int add_text(struct json_object *object, const char *key, const char *text, struct error *error)
{
    if (text && text[0])
        return json_add(object, key, json_object_new_string(text), error);
    return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
}

static int add_golden(struct json_object *document, const struct boot_changes *changes, struct error *error)
{
    const struct golden_boot *golden = &changes->golden;
    struct json_object *object;
    int r;

    if (!changes->has_golden)
        return json_object_object_add(document, "golden", NULL) < 0 ? error_no_memory(error) : 0;
    object = json_object_new_object();
    r = json_add(document, "golden", object, error);
    r = r ?: json_add(object, "date", json_object_new_string(golden->date), error);
    r = r ?: json_add(object, "kernel", json_object_new_string(golden->kernel), error);
    r = r ?: json_add(object, "boot_id", json_object_new_string(golden->boot_id), error);
    return r ?: json_add(object, "eventlog", json_object_new_boolean(golden->has_log), error);
}

static int add_pcr(struct json_object *list, const struct boot_changes *changes, unsigned pcr, struct error *error)
{
    const uint32_t bit = 1u << pcr;
    const bool in_policy = changes->pcrs & bit;
    const bool judged = in_policy && (changes->values.mask & changes->pcrs) == changes->pcrs;
    const bool compared = changes->has_golden && (changes->golden.values.mask & bit);
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    r = r ?: json_add(object, "pcr", json_object_new_int((int)pcr), error);
    r = r ?: json_add(object, "meaning", json_object_new_string(pcr_meaning(pcr)), error);
    r = r
            ?: json_add(object, "value", json_new_hex(changes->values.value[pcr], hash_size(changes->values.bank)),
                        error);
    r = r ?: json_add(object, "in_policy", json_object_new_boolean(in_policy), error);
    r = r ?: add_answer(object, "approved", judged, !(changes->not_approved & bit), error);
    r = r ?: add_answer(object, "as_golden", compared, !(changes->differ & bit), error);
    return r
               ?: add_answer(object, "proven", changes->running.log.count > 0 && !changes->report_error.kind,
                             !(changes->unproven & bit), error);
}

static int add_pcrs(struct json_object *document, const struct boot_changes *changes, struct error *error)
{
    struct json_object *list = json_object_new_array();
    int r = json_add(document, "pcrs", list, error);

    for (unsigned i = 0; !r && i < PCR_COUNT; i++)
        if (changes->values.mask & (1u << i))
            r = add_pcr(list, changes, i, error);
    return r;
}

int explain_boot_to_json(const struct boot_changes *changes, const char *log_path, struct json_object **ret,
                         struct error *error)
{
    const bool judged = changes->pcrs && (changes->values.mask & changes->pcrs) == changes->pcrs;
    const bool compared = changes->has_golden && !changes->log_error.kind;
    const char *source = !changes->values.mask ? NULL : changes->report_error.kind ? "eventlog" : "report";
    struct json_object *document = *ret = json_object_new_object();
    int r = document ? 0 : error_no_memory(error);

    r = r ?: add_answer(document, "approved", judged, boot_changes_is_approved(changes), error);
    r = r ?: add_text(document, "nearest", changes->nearest, error);
    r = r ?: add_text(document, "values_from", source, error);
    r = r ?: add_text(document, "eventlog", changes->running.log.count ? log_path : NULL, error);
    r = r ?: add_text(document, "bank", hash_name(changes->values.bank), error);
    r = r ?: add_golden(document, changes, error);
    r = r ?: add_pcrs(document, changes, error);
    return r ?: explain_add_differences(document, compared ? &changes->comparison : NULL, error);
}
