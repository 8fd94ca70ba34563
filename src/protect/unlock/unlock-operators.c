#include "protect/unlock/unlock-run.h"

#include "base/cleanup.h"
#include "base/recovery-key-text.h"

#define VAIN_ANSWERS 10 /* to the question for the number: a prompt without a person must end */

struct choice {
    struct operator_list operators;
    unsigned number; /* 0: none was typed yet */
    unsigned vain;
    unsigned asked;                  /* wrong PINs */
    bool can_open[PINS_MAX_VOLUMES]; /* the operator has a PIN for it */
    size_t first;                    /* the first of these */
};

enum step {
    STEP_ON,
    STEP_AGAIN, /* whatever was wrong was shown */
    STEP_END,   /* the volume is open, or the error says why not */
};

static bool wants_number(const struct run *run, struct operator_list *ret)
{
    bool several = false;

    *ret = (struct operator_list){ 0 };
    for (size_t i = 0; i < run->pins->volume_count; i++) {
        struct operator_list own = { 0 };

        if (!run->open[i])
            continue;
        target_operators(&run->targets[i], &own);
        target_operators(&run->targets[i], ret);
        several |= own.count > 1;
    }
    return several;
}

static enum step answered_in_vain(struct choice *choice, struct error *error)
{
    if (++choice->vain < VAIN_ANSWERS)
        return STEP_AGAIN;
    error_set(error, ERROR_WRONG_PIN, "nobody said whose PIN it is");
    return STEP_END;
}

static enum step try_recovery_key(struct run *run, const struct secret *typed, struct error *error)
{
    if (!unlock_run_recover(run, typed, error))
        return STEP_AGAIN;
    if (run->wrong_recovery_keys >= UNLOCK_RECOVERY_TRIES)
        return STEP_END;
    unlock_run_show(run, "%s", error->text);
    return STEP_AGAIN;
}

/* What was typed is not shown again: it may be a PIN that was typed a question too early. */
static enum step ask_number(struct run *run, struct choice *choice, struct error *error)
{
    cleanup(secret_free) struct secret typed = { 0 };
    const struct unlock_ui *ui = &run->request->ui;
    char prompt[OPERATOR_PROMPT_TEXT];
    unsigned number = choice->number;
    int r;

    operators_prompt(&choice->operators, choice->number, prompt);
    r = (ui->ask_number ? ui->ask_number : ui->ask)(ui->context, prompt, &typed, error);
    if (r && r != ERROR_WRONG_PIN) /* that is: longer than anything that is asked for */
        return STEP_END;
    if (!r && recovery_key_has_form(&typed))
        return try_recovery_key(run, &typed, error);
    if (!r && (typed.size == 0 || operator_parse((const char *)typed.bytes, typed.size, &number)) &&
        operators_have(&choice->operators, number)) {
        choice->number = run->operator_number = number;
        return STEP_ON;
    }
    unlock_run_show(run, "that is none of the operators' numbers");
    return answered_in_vain(choice, error);
}

/* By number, and by salt: who has the same PIN for a volume under another number has that one too. */
static int choose(struct run *run, struct choice *choice, struct error *error)
{
    size_t count = run->pins->volume_count;
    struct error other;
    int r = ERROR_NO_PROTECTOR;

    choice->first = count;
    for (size_t i = 0; i < count; i++) {
        int fault = run->open[i] ? target_choose_operator(&run->targets[i], choice->number, &other) : ERROR_FAILED;

        choice->can_open[i] = !fault;
        if (fault && run->open[i] && r == ERROR_NO_PROTECTOR) {
            r = fault;
            *error = other;
        }
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count && run->open[i] && !choice->can_open[i]; k++)
            choice->can_open[i] = choice->can_open[k] && run->targets[k].protector->operator_number == choice->number &&
                                  !target_choose_same_pin(&run->targets[i], &run->targets[k].protector->kdf, &other);
    for (size_t i = count; i-- > 0;) {
        if (choice->can_open[i])
            choice->first = i;
        else if (run->open[i])
            target_release(&run->targets[i]); /* room in the TPM for those that will be opened */
    }
    return choice->first < count ? 0 : r;
}

static enum step ask_pin(struct run *run, struct choice *choice, struct error *error)
{
    int r = choose(run, choice, error);

    r = r ?: unlock_run_prepare_leader(run, choice->first, error);
    if (r == ERROR_METADATA || r == ERROR_NO_PROTECTOR) { /* of this operator; another one may be better off */
        unlock_run_show_error(run, "operator", error);
        return answered_in_vain(choice, error);
    }
    return !r && unlock_run_try_group(run, choice->first, &choice->asked, error) ? STEP_AGAIN : STEP_END;
}

static void give_up(struct run *run, const struct choice *choice, const struct error *error)
{
    if (choice->first < run->pins->volume_count && run->open[choice->first])
        return unlock_run_give_up_group(run, choice->first, error);
    for (size_t i = 0; i < run->pins->volume_count; i++)
        if (run->open[i])
            unlock_run_give_up(run, i, error);
}

static void leave_others_closed(struct run *run, const struct choice *choice)
{
    struct error error;

    for (size_t i = 0; i < run->pins->volume_count; i++)
        if (run->open[i] && !choice->can_open[i] && target_choose_operator(&run->targets[i], choice->number, &error))
            unlock_run_give_up(run, i, &error);
}

void unlock_run_by_operator(struct run *run)
{
    struct choice choice = { .first = PINS_MAX_VOLUMES };
    enum step step = STEP_AGAIN;
    struct error error;

    while (step == STEP_AGAIN && wants_number(run, &choice.operators)) {
        step = ask_number(run, &choice, &error);
        if (step == STEP_ON)
            step = ask_pin(run, &choice, &error);
    }
    if (step != STEP_END)
        return; /* recovery keys have opened what had several */
    if (choice.first >= run->pins->volume_count || !run->opened[choice.first])
        give_up(run, &choice, &error);
    if (choice.number)
        leave_others_closed(run, &choice);
}
