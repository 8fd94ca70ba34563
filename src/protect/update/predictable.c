#include "protect/update/predictable.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#define FILE_NAME "predictable.json"
#define RECORD_VERSION 1

static int parse(const struct json_view *view, enum hash_algorithm bank, uint32_t *ret, struct error *error)
{
    static const char *const allowed[] = { "version", "bank", "pcrs", NULL };
    enum hash_algorithm recorded;
    struct json_view list;
    int64_t version;
    int r = json_get_integer(view, "version", RECORD_VERSION, RECORD_VERSION, &version, error)
                ?: json_check_keys(view, allowed, error)
                ?: json_get_hash(view, "bank", &recorded, error)
                ?: json_get_array(view, "pcrs", PCR_COUNT, &list, error);
    uint32_t pcrs = 0;

    for (size_t i = 0; !r && i < json_object_array_length(list.object); i++) {
        struct json_object *item = json_object_array_get_idx(list.object, i);
        int number = json_object_is_type(item, json_type_int) ? json_object_get_int(item) : -1;

        if (number < 0 || number >= PCR_COUNT)
            return json_fault(view, "pcrs", error, "is not a list of PCRs");
        pcrs |= 1u << number;
    }
    if (!r)
        *ret = recorded == bank ? pcrs : 0;
    return r;
}

int predictable_read(const struct state *state, enum hash_algorithm bank, uint32_t *ret, struct error *error)
{
    cleanup(free_ptr) char *path = file_path(state->folder, FILE_NAME);
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view = { .source = path, .kind = ERROR_METADATA };

    *ret = 0;
    if (!path)
        return error_no_memory(error);
    if (!file_exists(path))
        return 0;
    return file_check_private(path, error) ?: json_read(&view, &document, error) ?: parse(&view, bank, ret, error);
}

static int write_record(const struct state *state, enum hash_algorithm bank, uint32_t pcrs, struct error *error)
{
    cleanup(free_ptr) char *path = file_path(state->folder, FILE_NAME);
    cleanup(json_free) struct json_object *document = json_object_new_object();
    struct json_object *list = json_object_new_array();
    int r = document ? json_add(document, "pcrs", list, error) : error_no_memory(error);

    for (unsigned i = 0; !r && i < PCR_COUNT; i++)
        if (pcrs & (1u << i))
            r = json_append(list, json_object_new_int((int)i), error);
    r = r ?: json_add(document, "version", json_object_new_int(RECORD_VERSION), error);
    r = r ?: json_add_text(document, "bank", hash_name(bank), error);
    r = r ?: path ? 0 : error_no_memory(error);
    return r ?: json_write(path, document, 0600, error);
}

uint32_t predictable_after(uint32_t before, const struct verification *verification)
{
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        if (verification->result[i] == VERIFY_GOOD)
            before |= 1u << i;
        if (verification->result[i] == VERIFY_DIFFERS)
            before &= ~(1u << i);
    }
    return before;
}

int predictable_update(const struct state *state, enum hash_algorithm bank, const struct verification *verification,
                       uint32_t *ret_pcrs, struct error *error)
{
    uint32_t before;
    int r = predictable_read(state, bank, &before, error);

    if (r)
        return r;
    *ret_pcrs = predictable_after(before, verification);
    return *ret_pcrs == before ? 0 : write_record(state, bank, *ret_pcrs, error);
}
