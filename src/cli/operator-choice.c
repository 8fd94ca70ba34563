#include "cli/operator-choice.h"

#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/recovery-key-text.h"

#include <string.h>

#define QUESTIONS 5

int operator_from_call(const struct call *call, unsigned *ret, struct error *error)
{
    const char *text = call_option(call, "operator");

    *ret = 0;
    if (!text || operator_parse(text, strlen(text), ret))
        return 0;
    return error_set(error, ERROR_USAGE, "--operator: \"%s\" is not a number from 1 to %d", text,
                     PROTECTOR_OPERATOR_MAX);
}

static int name_option(struct error *error)
{
    if (error->kind == ERROR_USAGE && !error->remedy[0])
        error_remedy(error, "without a terminal, use --operator N; bootseal status shows the numbers");
    return (int)error->kind;
}

int operator_ask(const struct operator_list *list, unsigned preset, unsigned *ret, struct secret *ret_key,
                 struct error *error)
{
    const struct ask_way way = ask_way_terminal();
    char prompt[OPERATOR_PROMPT_TEXT];

    *ret = 0;
    operators_prompt(list, preset, prompt);
    for (int i = 0; i < QUESTIONS; i++) {
        cleanup(secret_free) struct secret typed = { 0 };
        unsigned number = preset;
        int r = ask_text(&way, prompt, &typed, error);

        if (r && r != ERROR_WRONG_PIN) /* that is: longer than anything that is asked for */
            return name_option(error);
        if (!r && ret_key && recovery_key_has_form(&typed)) {
            *ret_key = secret_take(&typed);
            return 0;
        }
        if (!r && (typed.size == 0 || operator_parse((const char *)typed.bytes, typed.size, &number)) &&
            operators_have(list, number)) {
            *ret = number;
            return 0;
        }
        log_info("that is none of the operators' numbers");
    }
    return error_set(error, ERROR_USAGE, "nobody said whose PIN it is");
}
