#include "protect/unlock.h"
#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/recovery-key-text.h"
#include "cli/lockout-wait.h"
#include "cli/operator-choice.h"
#include "cli/protector-words.h"
#include "cli/secrets.h"

#include <string.h>

#define RECOVERY_TRIES 10

static const struct option_row options[] = {
    { "test", NULL, "prove that it would open, and activate nothing" },
    { "operator", "N", "whose PIN it is, where the volume has several" },
    { "pin-file", "FILE|-", "the PIN, or a recovery key; one try" },
    { 0 },
};

/* ---- by the TPM; a recovery key is taken in the PIN's place ---- */

static int try_once(struct unlock *unlock, const struct secret *typed, struct secret *ret, struct error *error)
{
    return recovery_key_has_form(typed) ? unlock_try_recovery(unlock, typed, ret, error)
                                        : unlock_try(unlock, typed, ret, error);
}

/* Of several operators, if there are. A wrong PIN may have been the right one of another. */
static int choose_operator(struct unlock *unlock, const struct operator_list *operators, unsigned *number,
                           struct secret *ret_key, struct error *error)
{
    unsigned chosen = 0;
    int r = operators->count > 1 ? operator_ask(operators, *number, &chosen, ret_key, error) : 0;

    if (r || !chosen)
        return r;
    *number = chosen;
    return unlock_choose(unlock, chosen, error);
}

static int try_pins(const struct call *call, struct unlock *unlock, const struct operator_list *operators,
                    struct secret *ret, struct error *error)
{
    unsigned tries = unlock->state.pins.tries, keys = RECOVERY_TRIES, number = 0;

    while (true) {
        cleanup(secret_free) struct secret typed = { 0 };
        int r = choose_operator(unlock, operators, &number, &typed, error);
        bool is_key;

        if (!r && typed.size == 0)
            r = pin_from_call(call, "pin-file", &typed, error);
        is_key = !r && recovery_key_has_form(&typed);
        r = r ?: try_once(unlock, &typed, ret, error);
        if (r != ERROR_WRONG_PIN || --*(is_key ? &keys : &tries) == 0)
            return r;
        if (is_key)
            log_info("%s", error->text);
        else
            log_info("wrong PIN; %u more %s", tries, tries == 1 ? "try" : "tries");
    }
}

/* During a lockout it waits with whoever is at the terminal, as long as they like. */
static int begin(struct call *call, struct tpm **tpm, struct unlock *unlock, struct error *error)
{
    int r;

    for (;;) {
        r = call_open_tpm(call, tpm, error);
        r = r ?: unlock_begin(unlock, *tpm, call_state_folder(call), call_argument(call, 0), error);
        if (r != ERROR_LOCKOUT || !lockout_wait(call, tpm, error))
            return r;
        unlock_end(unlock);
    }
}

/* `given` is --pin-file's content, empty without. */
static int try_tpm(struct call *call, struct tpm **tpm, struct unlock *unlock, const struct secret *given,
                   struct secret *ret, struct error *error)
{
    struct operator_list operators = { 0 };
    unsigned number;
    int r = begin(call, tpm, unlock, error);

    r = r ?: operator_from_call(call, &number, error);
    if (!r && number)
        r = unlock_choose(unlock, number, error);
    if (r)
        return r;
    if (unlock->by_authority)
        log_verbose("this boot is capped: unsealing with the authority");
    if (!target_has_pin(&unlock->target))
        return unlock_try(unlock, NULL, ret, error);
    if (!number)
        target_operators(&unlock->target, &operators);
    if (!secret_is_given(call, "pin-file"))
        return try_pins(call, unlock, &operators, ret, error);
    r = choose_operator(unlock, &operators, &number, NULL, error);
    return r ?: unlock_try(unlock, given, ret, error);
}

/* ---- by a recovery key alone: the TPM is not asked ---- */

static int begin_recovery(const struct call *call, struct unlock *unlock, struct error *error)
{
    unlock_end(unlock);
    return unlock_begin_recovery(unlock, call_state_folder(call), call_argument(call, 0), error);
}

/* "1f3a90c4", or all of them with "or" between */
static void name_keys(const struct recovery_list *list, char *ret, size_t size)
{
    size_t used = (size_t)snprintf(ret, size, "Recovery key ");

    for (size_t i = 0; i < list->count && used < size; i++)
        used += (size_t)snprintf(ret + used, size - used, "%s%s", i ? " or " : "", list->items[i].id);
}

static int ask_for_key(struct unlock *unlock, const struct ask_way *way, const char *prompt, bool *ret_leave,
                       struct secret *ret, struct error *error)
{
    cleanup(secret_free) struct secret typed = { 0 };
    int r = ask_recovery_key(way, prompt, &typed, error);

    *ret_leave = (r && r != ERROR_WRONG_PIN) || (!r && typed.size == 0);
    return r || *ret_leave ? r : unlock_try_recovery(unlock, &typed, ret, error);
}

/* The TPM did not do it, for the reason in `error`. Whoever sits at a terminal may have a recovery key. */
static int offer_recovery(const struct call *call, struct unlock *unlock, struct secret *ret, struct error *error)
{
    const struct ask_way way = ask_way_terminal();
    const struct error reason = *error;
    struct recovery_list list = { 0 };
    char prompt[256];
    bool leave = false;
    int r = ERROR_WRONG_PIN;

    if (secret_is_given(call, "pin-file") || !ask_is_possible(&way) || begin_recovery(call, unlock, error) ||
        recovery_list_read(unlock->target.volume, &list, error) || list.count == 0) {
        *error = reason;
        return (int)reason.kind;
    }
    log_error(&reason);
    name_keys(&list, prompt, sizeof(prompt));
    for (unsigned tries = RECOVERY_TRIES; tries > 0 && r == ERROR_WRONG_PIN; tries--) {
        r = ask_for_key(unlock, &way, prompt, &leave, ret, error);
        if (leave) {
            *error = reason;
            return (int)reason.kind;
        }
        if (r == ERROR_WRONG_PIN)
            log_info("%s", error->text);
    }
    return r;
}

static int try_given_key(const struct call *call, struct unlock *unlock, const struct secret *given, struct secret *ret,
                         struct error *error)
{
    int r = begin_recovery(call, unlock, error);

    return r ?: unlock_try_recovery(unlock, given, ret, error);
}

/* ---- the result ---- */

static const char *opened_by(const struct unlock *unlock)
{
    if (unlock->recovery.id[0])
        return "recovery";
    if (unlock->by_authority)
        return "authority";
    return unlock->target.unseal.suspended ? "suspension" : "boot-state";
}

static void print_text(const struct call *call, const struct unlock *unlock)
{
    printf("%s %s by the ", unlock->pin.uuid, call_flag(call, "test") ? "would open" : "is open");
    if (unlock->recovery.id[0])
        printf("recovery key %s\n", unlock->recovery.id);
    else if (unlock->by_authority)
        puts("authority");
    else
        puts(unlock->target.unseal.suspended ? "suspension" : "boot state");
}

static int add_text_or_null(struct json_object *object, const char *key, const char *text, struct error *error)
{
    if (text)
        return json_add(object, key, json_object_new_string(text), error);
    return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
}

static int print_result(const struct call *call, const struct unlock *unlock, const char *name, struct error *error)
{
    cleanup(json_free) struct json_object *result = NULL;
    bool test = call_flag(call, "test"), by_key = unlock->recovery.id[0];
    int r;

    if (!call_flag(call, "json")) {
        print_text(call, unlock);
        return 0;
    }
    result = json_object_new_object();
    r = result ? 0 : error_no_memory(error);
    r = r ?: json_add(result, "volume", json_object_new_string(unlock->pin.uuid), error);
    r = r ?: add_text_or_null(result, "protector", by_key ? NULL : unlock->target.protector->id, error);
    if (!r && by_key)
        r = add_text_or_null(result, "operator", NULL, error);
    else if (!r)
        r = protector_add_operator(result, unlock->target.protector, error);
    r = r ?: add_text_or_null(result, "recovery_id", by_key ? unlock->recovery.id : NULL, error);
    r = r ?: json_add(result, "by", json_object_new_string(opened_by(unlock)), error);
    r = r ?: json_add(result, "activated", json_object_new_boolean(!test), error);
    if (!r && !test)
        r = json_add(result, "name", json_object_new_string(name), error);
    return r ? r : print_json(result, error);
}

static int open_volume(struct call *call, struct tpm **tpm, struct unlock *unlock, struct secret *ret,
                       struct error *error)
{
    cleanup(secret_free) struct secret given = { 0 };
    unsigned ignored; /* what is wrong with an option is told before anything is done */
    int r = operator_from_call(call, &ignored, error);

    if (!r && secret_is_given(call, "pin-file"))
        r = pin_from_call(call, "pin-file", &given, error);
    if (r)
        return r;
    if (recovery_key_has_form(&given))
        return try_given_key(call, unlock, &given, ret, error);
    r = try_tpm(call, tpm, unlock, &given, ret, error);
    return r ? offer_recovery(call, unlock, ret, error) : 0;
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(unlock_end) struct unlock unlock = { .state.lock = -1 };
    cleanup(secret_free) struct secret passphrase = { 0 };
    const char *device = call_argument(call, 0), *name = call_argument(call, 1);
    int r = open_volume(call, &tpm, &unlock, &passphrase, error);

    if (!r && !call_flag(call, "test"))
        r = unlock_activate(&unlock, name, &passphrase, error);
    if (r)
        return error_prefix(error, "unlock \"%s\"", device);
    return print_result(call, &unlock, name ? name : unlock.pin.name, error);
}

const struct verb verb_unlock = {
    .name = "unlock",
    .arguments = "DEVICE [NAME]",
    .summary = "open a volume here and now",
    .options = options,
    .min_arguments = 1,
    .max_arguments = 2,
    .needs_root = true,
    .run = run,
};
