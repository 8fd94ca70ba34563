#include "base/cleanup.h"
#include "base/json.h"
#include "cli/paint.h"
#include "cli/predict-json.h"
#include "cli/variable-options.h"
#include "cli/verb.h"
#include "policy/document.h"
#include "protect/state.h"
#include "protect/update/machine.h"

#include <stdio.h>
#include <stdlib.h>

static const struct option_row options[] = {
    { "verify", NULL, "predict the running boot instead and compare it with what was measured" },
    { "pcrs", "LIST", "these PCRs instead of the policy's, as 4,7,9" },
    { VARIABLE_OPTION, VARIABLE_OPTION_ARGUMENT, "after this update of db, dbx, KEK, PK too (may be given again)" },
    { "bank", "NAME", "PCR bank instead of the policy's: sha256, sha384, sha512" },
    { 0 },
};

#define ALL_PCRS 0xfbffu /* 0 to 15 without 10, which is IMA's */

/* What is asked for, and what is known of the machine. */
struct look {
    struct state state;
    enum hash_algorithm bank;
    uint32_t pcrs;
    struct update_machine machine;
    struct variable_options variables;
    struct variable_stages stages;
    struct prediction prediction;
    struct verification verification;
    bool *approved;
};

static void look_free(struct look *look)
{
    state_close(&look->state);
    update_machine_free(&look->machine);
    variable_options_free(&look->variables);
    variable_stages_free(&look->stages);
    prediction_free(&look->prediction);
    verification_free(&look->verification);
    free(look->approved);
}

static int choose_pcrs(const struct call *call, struct look *look, struct error *error)
{
    const char *pcrs = call_option(call, "pcrs"), *bank = call_option(call, "bank");
    bool enrolled = look->state.has_approval;

    look->bank = enrolled ? look->state.approval.bank : HASH_SHA256;
    look->pcrs = enrolled ? look->state.approval.pcrs : ALL_PCRS;
    if (bank)
        look->bank = hash_from_name(bank);
    if (!look->bank)
        return error_set(error, ERROR_USAGE, "--bank: \"%s\" is not sha256, sha384 or sha512", bank);
    return pcrs ? policy_pcrs_parse(pcrs, &look->pcrs, error) : 0;
}

static int find_approved(struct look *look, struct error *error)
{
    if (!look->state.has_approval)
        return 0;
    look->approved = calloc(look->prediction.count + 1, sizeof(*look->approved));
    if (!look->approved)
        return error_no_memory(error);
    for (size_t i = 0; i < look->prediction.count; i++)
        look->approved[i] = approval_find_state(&look->state.approval, &look->prediction.boots[i].values) >= 0;
    return 0;
}

/* ---- text ---- */

static void print_values(const struct look *look, const struct predicted_boot *boot)
{
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        if (!(look->pcrs & (1u << i)))
            continue;
        printf("    PCR %2u  ", i);
        if (boot->values.mask & (1u << i))
            for (size_t k = 0; k < hash_size(look->bank); k++)
                printf("%02x", boot->values.value[i][k]);
        else
            printf("not known: %s", boot->unknown[i] ? boot->unknown[i] : "it cannot be predicted");
        putchar('\n');
    }
}

/* When the boot comes, if nobody touches anything. */
static const char *place_of(const struct predicted_boot *boot)
{
    if (!boot->chosen)
        return "";
    if (boot->step)
        return "the boot after next: ";
    return boot->after_count ? "the next boot then: " : "next boot: ";
}

static void print_boot(const struct look *look, size_t i)
{
    const struct predicted_boot *boot = &look->prediction.boots[i];
    const char *words = !look->approved ? "" : look->approved[i] ? ": approved" : ": not approved";

    printf("%s%s (%s, disk order %zu)%s%s%s\n", place_of(boot),
           boot->title[0] ? boot->title : "an entry that is not known", boot->label, boot->order,
           paint(look->approved ? look->approved[i] ? PAINT_GOOD : PAINT_WARNING : PAINT_PLAIN), words,
           paint(PAINT_PLAIN));
    if (boot->shell)
        puts("    gives a shell");
    print_values(look, boot);
}

static void print_verification(const struct look *look)
{
    const struct verification *verification = &look->verification;

    for (unsigned i = 0; i < PCR_COUNT; i++) {
        enum verify_result result = verification->result[i];

        if (!(look->pcrs & (1u << i)))
            continue;
        printf("PCR %2u  %s%s%s%s%s\n", i, paint(result == VERIFY_GOOD ? PAINT_GOOD : PAINT_BAD),
               verify_result_name(result), paint(PAINT_PLAIN), verification->reason[i] ? ": " : "",
               verification->reason[i] ? verification->reason[i] : "");
    }
    if (verification->has_event)
        printf("the first event that could not be reproduced is number %zu: %s\n", verification->event,
               verification->event_text);
}

/* ---- the verb ---- */

static int print_result(const struct call *call, const struct look *look, struct error *error)
{
    cleanup(json_free) struct json_object *document = NULL;
    bool verify = call_flag(call, "verify");
    const struct predict_answer answer = {
        .prediction = &look->prediction,
        .bank = look->bank,
        .pcrs = look->pcrs,
        .approved = look->approved,
        .verification = verify ? &look->verification : NULL,
    };
    int r;

    if (call_flag(call, "json")) {
        r = predict_to_json(&answer, &document, error);
        return r ?: print_json(document, error);
    }
    if (verify)
        print_verification(look);
    else
        printf("boot chain: %s\n", boot_chain_words(look->prediction.chain));
    for (size_t i = 0; !verify && i < look->prediction.count; i++)
        print_boot(look, i);
    return 0;
}

/* The running boot could be reproduced in all PCRs that matter. */
static int judge(const struct look *look, struct error *error)
{
    uint32_t wrong = 0;
    char list[PCR_LIST_TEXT];

    for (unsigned i = 0; i < PCR_COUNT; i++)
        if (look->pcrs & (1u << i) && look->verification.result[i] != VERIFY_GOOD)
            wrong |= 1u << i;
    if (!wrong)
        return 0;
    pcr_mask_format(wrong, list);
    error_set(error, ERROR_FAILED, "this boot could not be reproduced in PCR %s", list);
    return error_remedy(error, "what was changed since it started can be predicted all the same; else leave these "
                               "PCRs out of the policy, or approve each boot with bootseal reseal --current");
}

static int predict(struct look *look, struct error *error)
{
    int r = variable_stages_make(look->machine.predict.variables, look->variables.changes, look->variables.count,
                                 &look->stages, error);

    return r ?: predict_stages(&look->machine.predict, &look->stages, &look->prediction, error);
}

static int run(struct call *call, struct error *error)
{
    cleanup(look_free) struct look look = { .state.lock = -1 };
    bool verify = call_flag(call, "verify");
    int r = variable_options_read(call, &look.variables, error);

    if (!r && verify && look.variables.count)
        r = error_set(error, ERROR_USAGE, "--verify and --" VARIABLE_OPTION " exclude each other");
    r = r ?: state_open(call_state_folder(call), STATE_READ, &look.state, error);
    r = r ?: choose_pcrs(call, &look, error);
    r = r ?: update_machine_read(&look.machine, look.bank, call_report(call), call_running_log(call), error);
    if (!r && verify) {
        look.prediction.chain = update_machine_chain(&look.machine);
        r = predict_verify(&look.machine.predict, &look.verification, error);
    } else
        r = r ?: predict(&look, error);
    r = r ?: find_approved(&look, error);
    r = r ?: print_result(call, &look, error);
    if (!r && verify)
        r = judge(&look, error);
    return r ? error_prefix(error, "predict") : 0;
}

const struct verb verb_predict = {
    .name = "predict",
    .arguments = "",
    .summary = "the PCR values of the next boots, without booting them",
    .options = options,
    .needs_root = true,
    .run = run,
};
