#include "cli/predict-json.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <stdio.h>

#define PCR_KEY 8

static void pcr_key(unsigned pcr, char ret[PCR_KEY])
{
    snprintf(ret, PCR_KEY, "%u", pcr);
}

static int add_initrds(struct json_object *object, const struct predicted_boot *boot, struct error *error)
{
    struct json_object *array = json_object_new_array();
    int r = json_add(object, "initrds", array, error);

    for (size_t i = 0; !r && i < boot->initrd_count; i++)
        r = json_append(array, json_object_new_string(boot->initrds[i]), error);
    return r;
}

int predict_add_after(struct json_object *object, const struct predicted_boot *boot, struct error *error)
{
    struct json_object *array = json_object_new_array();
    int r = json_add(object, "after", array, error);

    for (size_t i = 0; !r && i < boot->after_count; i++)
        r = json_append(array, json_object_new_string(boot->after[i]), error);
    return r;
}

/* {"4": "hex", …}, and why the others have none. */
static int add_pcrs(struct json_object *object, const struct predict_answer *answer, const struct predicted_boot *boot,
                    struct error *error)
{
    struct json_object *pcrs = json_object_new_object(), *unknown = json_object_new_object();
    char key[PCR_KEY];
    int r = json_add(object, "pcrs", pcrs, error), s = json_add(object, "unknown", unknown, error);

    r = r ?: s; /* both were to be taken over */
    for (unsigned i = 0; !r && i < PCR_COUNT; i++) {
        pcr_key(i, key);
        if (!(answer->pcrs & (1u << i)))
            continue;
        if (boot->values.mask & (1u << i))
            r = json_add(pcrs, key, json_new_hex(boot->values.value[i], hash_size(answer->bank)), error);
        else
            r = json_add_text(unknown, key, boot->unknown[i] ? boot->unknown[i] : "it cannot be predicted", error);
    }
    return r;
}

static int add_files(struct json_object *object, const struct extend_list *extends, struct error *error)
{
    struct json_object *array = json_object_new_array();
    int r = json_add(object, "files", array, error);

    for (size_t i = 0; !r && i < extends->file_count; i++) {
        const struct boot_file *file = &extends->files[i];
        struct json_object *item = json_object_new_object();

        r = json_append(array, item, error);
        r = r ?: json_add_text(item, "path", file->path, error);
        r = r ?: json_add(item, "sha256", json_new_hex(file->sha256.bytes, sizeof(file->sha256.bytes)), error);
    }
    return r;
}

static int add_boot(struct json_object *array, const struct predict_answer *answer, size_t i, struct error *error)
{
    const struct predicted_boot *boot = &answer->prediction->boots[i];
    struct json_object *object = json_object_new_object();
    int r = json_append(array, object, error);

    r = r ?: json_add_text(object, "id", boot->id, error);
    r = r ?: json_add_text(object, "label", boot->label, error);
    r = r ?: json_add_text(object, "title", boot->title, error);
    r = r ?: json_add_text_or_null(object, "kernel", boot->kernel, error);
    r = r ?: add_initrds(object, boot, error);
    r = r ?: json_add_text_or_null(object, "command_line", boot->command_line, error);
    r = r ?: json_add(object, "shell", json_object_new_boolean(boot->shell), error);
    r = r ?: json_add(object, "chosen", json_object_new_boolean(boot->chosen), error);
    r = r ?: json_add(object, "disk_order", json_object_new_int64((int64_t)boot->order), error);
    r = r ?: json_add(object, "step", json_object_new_int64((int64_t)boot->step), error);
    r = r ?: predict_add_after(object, boot, error);
    if (!r && answer->approved)
        r = json_add(object, "approved", json_object_new_boolean(answer->approved[i]), error);
    else
        r = r ?: json_add_null(object, "approved", error);
    r = r ?: add_pcrs(object, answer, boot, error);
    return r ?: add_files(object, &boot->extends, error);
}

static int add_results(struct json_object *object, const struct predict_answer *answer, struct error *error)
{
    const struct verification *verification = answer->verification;
    struct json_object *pcrs = json_object_new_object();
    char key[PCR_KEY];
    int r = json_add(object, "pcrs", pcrs, error);

    for (unsigned i = 0; !r && i < PCR_COUNT; i++) {
        struct json_object *item;

        if (!(answer->pcrs & (1u << i)))
            continue;
        pcr_key(i, key);
        item = json_object_new_object();
        r = json_add(pcrs, key, item, error);
        r = r ?: json_add_text(item, "result", verify_result_name(verification->result[i]), error);
        r = r ?: json_add_text_or_null(item, "reason", verification->reason[i], error);
    }
    return r;
}

static int add_verification(struct json_object *document, const struct predict_answer *answer, struct error *error)
{
    const struct verification *verification = answer->verification;
    struct json_object *object, *event;
    int r;

    if (!verification)
        return json_add_null(document, "verify", error);
    object = json_object_new_object();
    r = json_add(document, "verify", object, error);
    r = r ?: add_results(object, answer, error);
    if (r || !verification->has_event)
        return r ?: json_add_null(object, "first_event", error);
    event = json_object_new_object();
    r = json_add(object, "first_event", event, error);
    r = r ?: json_add(event, "number", json_object_new_int64((int64_t)verification->event), error);
    return r ?: json_add_text(event, "text", verification->event_text, error);
}

int predict_to_json(const struct predict_answer *answer, struct json_object **ret, struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    struct json_object *boots = json_object_new_array();
    int r = document ? json_add(document, "boots", boots, error) : error_no_memory(error);

    for (size_t i = 0; !r && i < answer->prediction->count; i++)
        r = add_boot(boots, answer, i, error);
    r = r ?: json_add_text(document, "boot_chain", boot_chain_name(answer->prediction->chain), error);
    r = r ?: json_add_text(document, "bank", hash_name(answer->bank), error);
    r = r ?: add_verification(document, answer, error);
    if (!r)
        *ret = take_ptr(document);
    return r;
}
