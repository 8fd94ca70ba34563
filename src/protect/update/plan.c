#include "protect/update/plan.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *update_verdict_name(enum update_verdict verdict)
{
    static const char *const names[] = {
        [UPDATE_APPROVED] = "approved", [UPDATE_APPROVE] = "approve", [UPDATE_UNKNOWN] = "unknown",
        [UPDATE_FIRMWARE] = "firmware", [UPDATE_SHELL] = "shell",     [UPDATE_FOREIGN] = "foreign-file",
    };

    return names[verdict];
}

void update_trust_from(const struct verification *verification, uint32_t before, struct update_trust *ret)
{
    *ret = (struct update_trust){ 0 };
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        enum verify_result result = verification->result[i];
        const char *reason = verification->reason[i];

        if (result == VERIFY_GOOD || (result == VERIFY_CHANGED && before & (1u << i)))
            ret->pcrs |= 1u << i;
        else
            snprintf(ret->why_not[i], sizeof(ret->why_not[i]), "%s", reason ? reason : verify_result_name(result));
    }
}

/* The first PCR of the policy without a value, or with one that this machine does not keep to; PCR_COUNT: none. */
static unsigned find_unknown(const struct predicted_boot *boot, const struct update_rules *rules, const char **ret_why)
{
    uint32_t wanted = rules->approval->pcrs;

    for (unsigned i = 0; i < PCR_COUNT; i++) {
        if (!(wanted & (1u << i)))
            continue;
        if (!(boot->values.mask & (1u << i)))
            *ret_why = boot->unknown[i] ? boot->unknown[i] : "it cannot be predicted";
        else if (!(rules->trust->pcrs & (1u << i)))
            *ret_why = rules->trust->why_not[i];
        else
            continue;
        return i;
    }
    return PCR_COUNT;
}

#define FIRMWARE_PCRS 0x40efu /* 0 to 3, 5 to 7, and shim's 14 */

static bool is_of_approved(const struct approval *approval, const struct pcr_values *values, unsigned pcr)
{
    for (size_t i = 0; i < approval->branch_count; i++)
        if (approval->branches[i].kind == BRANCH_BOOT &&
            !pcr_values_differ(&approval->branches[i].values, values, 1u << pcr))
            return true;
    return false;
}

/* The first PCR of the firmware's that would be taken over from a boot which nobody has approved; PCR_COUNT: none. */
static unsigned find_firmware(const struct predicted_boot *boot, const struct update_rules *rules)
{
    if (!rules->running || approval_find_state(rules->approval, rules->running) >= 0)
        return PCR_COUNT;
    for (unsigned i = 0; i < PCR_COUNT; i++)
        if (rules->approval->pcrs & FIRMWARE_PCRS & (1u << i) && !is_of_approved(rules->approval, &boot->values, i))
            return i;
    return PCR_COUNT;
}

static void choose(struct update_choice *choice, enum update_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void choose(struct update_choice *choice, enum update_verdict verdict, const char *format, ...)
{
    va_list arguments;

    choice->verdict = verdict;
    va_start(arguments, format);
    vsnprintf(choice->reason, sizeof(choice->reason), format, arguments);
    va_end(arguments);
}

static int decide(const struct predicted_boot *boot, const struct update_rules *rules, struct update_choice *ret,
                  struct error *error)
{
    const char *why = "";
    unsigned pcr;
    int r;

    *ret = (struct update_choice){ .boot = boot };
    if (approval_find_state(rules->approval, &boot->values) >= 0) {
        ret->verdict = UPDATE_APPROVED;
        return 0;
    }
    pcr = find_unknown(boot, rules, &why);
    if (pcr < PCR_COUNT) {
        choose(ret, UPDATE_UNKNOWN, "PCR %u: %s", pcr, why);
        return 0;
    }
    pcr = find_firmware(boot, rules);
    if (pcr < PCR_COUNT) {
        choose(ret, UPDATE_FIRMWARE,
               "PCR %u is another one than in any approved state, and this boot was not approved: see bootseal explain",
               pcr);
        return 0;
    }
    if (boot->shell && !rules->allow_rescue) {
        choose(ret, UPDATE_SHELL, "its command line gives a shell; --allow-rescue approves it all the same");
        return 0;
    }
    r = rules->check_files(rules->context, &boot->extends, error);
    if (r && r != ERROR_REFUSED)
        return r;
    if (r)
        choose(ret, UPDATE_FOREIGN, "%s", error->text);
    else
        ret->verdict = UPDATE_APPROVE;
    return 0;
}

int update_plan_make(const struct prediction *prediction, const struct update_rules *rules, struct update_plan *ret,
                     struct error *error)
{
    int r = 0;

    *ret = (struct update_plan){ .choices = calloc(prediction->count + 1, sizeof(*ret->choices)) };
    if (!ret->choices)
        return error_no_memory(error);
    for (; !r && ret->count < prediction->count; ret->count++)
        r = decide(&prediction->boots[ret->count], rules, &ret->choices[ret->count], error);
    if (r)
        update_plan_free(ret);
    return r;
}

void update_plan_free(struct update_plan *plan)
{
    free(plan->choices);
    *plan = (struct update_plan){ 0 };
}

bool update_choice_is_next(const struct update_choice *choice)
{
    return choice->boot->chosen && choice->boot->step == 0 && choice->boot->after_count == 0;
}

bool update_plan_covers_next(const struct update_plan *plan, const struct update_choice **ret_why)
{
    *ret_why = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        const struct update_choice *choice = &plan->choices[i];

        if (!update_choice_is_next(choice))
            continue;
        if (choice->verdict <= UPDATE_APPROVE)
            return true;
        if (!*ret_why)
            *ret_why = choice;
    }
    return false;
}
