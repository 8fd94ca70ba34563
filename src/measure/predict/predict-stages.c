#include "measure/predict/predict.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

#define NAMED_UPDATES 2 /* more of them are counted */
#define CUT "..."

static bool is_answer(const char *step)
{
    return strcmp(step, VARIABLE_STEP_ENROLLED) == 0 || strcmp(step, VARIABLE_STEP_REFUSED) == 0;
}

static const char *words_of(const char *step)
{
    if (strcmp(step, VARIABLE_STEP_ENROLLED) == 0)
        return "MOK";
    return strcmp(step, VARIABLE_STEP_REFUSED) == 0 ? "MOK refused" : step;
}

/* ", after dbx, MOK" */
static void put_steps(const struct variable_stage *stage, char ret[PREDICT_LABEL_MAX + 1])
{
    size_t updates = stage->step_count, used = 0;

    updates -= is_answer(stage->steps[stage->step_count - 1]);
    if (updates > NAMED_UPDATES)
        used = (size_t)snprintf(ret, PREDICT_LABEL_MAX + 1, ", after %zu updates", updates);
    for (size_t i = updates > NAMED_UPDATES ? updates : 0; i < stage->step_count && used <= PREDICT_LABEL_MAX; i++)
        used += (size_t)snprintf(ret + used, PREDICT_LABEL_MAX + 1 - used, "%s%s", used ? ", " : ", after ",
                                 words_of(stage->steps[i]));
}

/* Where the text may end at the most, without a part of a character. */
static size_t find_end(const char *text, size_t max)
{
    while (max > 0 && ((uint8_t)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

static void add_to_label(struct predicted_boot *boot, const char *steps)
{
    size_t length = strlen(boot->label), room = PREDICT_LABEL_MAX - strlen(steps);

    if (length > room) {
        length = find_end(boot->label, room - strlen(CUT));
        length += (size_t)snprintf(boot->label + length, sizeof(boot->label) - length, "%s", CUT);
    }
    snprintf(boot->label + length, sizeof(boot->label) - length, "%s", steps);
}

static void mark(const struct variable_stage *stage, struct predicted_boot *boot)
{
    char steps[PREDICT_LABEL_MAX + 1];

    if (stage->step_count == 0)
        return;
    put_steps(stage, steps);
    add_to_label(boot, steps);
    memcpy(boot->after, stage->steps, sizeof(boot->after));
    boot->after_count = stage->step_count;
}

/* Takes the boots over. */
static int append(struct prediction *prediction, struct prediction *of_stage, struct error *error)
{
    size_t count = prediction->count + of_stage->count;
    struct predicted_boot *boots = reallocarray(prediction->boots, count + 1, sizeof(*boots));

    if (!boots)
        return error_no_memory(error);
    memcpy(boots + prediction->count, of_stage->boots, of_stage->count * sizeof(*boots));
    prediction->boots = boots;
    prediction->count = count;
    prediction->chain = of_stage->chain;
    of_stage->count = 0;
    return 0;
}

static int predict_stage(const struct predict_machine *machine, const struct variable_stage *stage,
                         struct prediction *ret, struct error *error)
{
    cleanup(prediction_free) struct prediction of_stage = { 0 };
    struct predict_machine at_stage = *machine;
    int r;

    at_stage.changed = &stage->changed;
    r = predict_boots(&at_stage, &of_stage, error);
    for (size_t i = 0; !r && i < of_stage.count; i++)
        mark(stage, &of_stage.boots[i]);
    return r ?: append(ret, &of_stage, error);
}

int predict_stages(const struct predict_machine *machine, const struct variable_stages *stages, struct prediction *ret,
                   struct error *error)
{
    int r = 0;

    *ret = (struct prediction){ 0 };
    for (size_t i = 0; !r && i < stages->count; i++)
        r = predict_stage(machine, &stages->items[i], ret, error);
    if (r)
        prediction_free(ret);
    return r;
}
