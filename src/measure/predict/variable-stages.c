#include "measure/predict/variable-stages.h"

#include "base/cleanup.h"
#include "measure/predict/mok-request.h"
#include "measure/predict/variable-update.h"

#include <string.h>

#define ATTRIBUTES 0x27 /* of a variable that is not there yet */

struct known_variable {
    const char *name;
    const uint8_t *vendor;
};

static const struct known_variable known[] = {
    { "PK", vendor_global },    { "KEK", vendor_global },   { "db", vendor_database },
    { "dbx", vendor_database }, { "dbt", vendor_database }, { "dbr", vendor_database },
};

static const struct known_variable *find(const char *name)
{
    for (size_t i = 0; i < array_size(known); i++)
        if (strcmp(known[i].name, name) == 0)
            return &known[i];
    return NULL;
}

bool variable_change_is_known(const char *name)
{
    return find(name) != NULL;
}

void variable_stages_free(struct variable_stages *stages)
{
    for (size_t i = 0; i < stages->count; i++)
        firmware_variable_list_free(&stages->items[i].changed);
    stages->count = 0;
}

/* A copy of a stage, which becomes the last one. */
static int add_stage(struct variable_stages *stages, size_t from, const char *step, struct variable_stage **ret,
                     struct error *error)
{
    struct variable_stage *stage = &stages->items[stages->count];
    int r = firmware_variable_list_copy(&stages->items[from].changed, &stage->changed, error);

    if (r)
        return r;
    memcpy(stage->steps, stages->items[from].steps, sizeof(stage->steps));
    stage->step_count = stages->items[from].step_count;
    stage->steps[stage->step_count++] = step;
    stages->count++;
    *ret = stage;
    return 0;
}

/* The variable as the stage has it; one that is not there is empty. */
static int read_before(const char *folder, const struct variable_stage *stage, const struct known_variable *variable,
                       struct firmware_variable *ret, struct error *error)
{
    bool found;
    int r = firmware_variable_read(folder, &stage->changed, variable->vendor, variable->name, ret, &found, error);

    if (r || found)
        return r;
    memcpy(ret->vendor, variable->vendor, sizeof(ret->vendor));
    ret->attributes = ATTRIBUTES;
    ret->name = strdup(variable->name);
    return ret->name ? 0 : error_no_memory(error);
}

/* One more stage behind the last, unless the update changes nothing. */
static int add_update(const char *folder, const struct variable_change *change, struct variable_stages *stages,
                      struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable before = { 0 }, after = { 0 };
    const struct known_variable *variable = find(change->name);
    struct variable_stage *stage;
    size_t last = stages->count - 1;
    int r;

    if (!variable)
        return error_set(error, ERROR_USAGE, "\"%s\" is none of " VARIABLE_CHANGE_NAMES, change->name);
    if (!folder)
        return error_set(error, ERROR_FAILED, "the firmware's variables cannot be read");
    r = read_before(folder, &stages->items[last], variable, &before, error);
    r = r ?: variable_update_apply(&before, change->update, change->append, &after, error);
    if (r || (after.size == before.size && (after.size == 0 || memcmp(after.data, before.data, after.size) == 0)))
        return r;
    r = add_stage(stages, last, variable->name, &stage, error);
    return r ?: firmware_variable_list_set(&stage->changed, &after, error);
}

static int add_answer(const char *folder, bool enrolled, struct variable_stages *stages, size_t from,
                      struct error *error)
{
    struct variable_stage *stage;
    int r = add_stage(stages, from, enrolled ? VARIABLE_STEP_ENROLLED : VARIABLE_STEP_REFUSED, &stage, error);

    return r ?: mok_request_answer(folder, enrolled, &stage->changed, error);
}

/* For each stage so far, both answers to what waits. */
static int add_answers(const char *folder, struct variable_stages *stages, struct error *error)
{
    enum mok_request request;
    const char *ignored;
    size_t count = stages->count;
    int r = mok_request_read(folder, NULL, &request, &ignored, error);

    if (r || request != MOK_REQUEST_IMPORT)
        return r;
    for (size_t i = 0; !r && i < count; i++)
        r = add_answer(folder, false, stages, i, error) ?: add_answer(folder, true, stages, i, error);
    return r;
}

int variable_stages_make(const char *folder, const struct variable_change *changes, size_t count,
                         struct variable_stages *ret, struct error *error)
{
    int r = 0;

    *ret = (struct variable_stages){ .count = 1 };
    if (count > VARIABLE_CHANGES_MAX)
        return error_set(error, ERROR_USAGE, "more than %d updates of firmware variables", VARIABLE_CHANGES_MAX);
    for (size_t i = 0; !r && i < count; i++) {
        r = add_update(folder, &changes[i], ret, error);
        if (r)
            error_prefix(error, "\"%s\"", changes[i].source);
    }
    r = r ?: add_answers(folder, ret, error);
    if (r)
        variable_stages_free(ret);
    return r;
}
