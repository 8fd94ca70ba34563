#include "protect/unlock/unlock-run.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/recovery-key-text.h"
#include "protect/unlock/keys.h"
#include "protect/unlock/lockout-end.h"
#include "protect/unlock/payload.h"

#include <string.h>

/* With the header elsewhere, crypttab's source is the device with the data. */
static int use_data_device(struct volume *volume, const char *source, struct error *error)
{
    if (source[0] != '/')
        return error_set(error, ERROR_REFUSED,
                         "crypttab names the data of a volume with header= by \"%s\"; only a path will do", source);
    return volume_set_data_device(volume, source, error);
}

/* By what the TPM released, as the crypttab entry says. */
static int activate(struct run *run, size_t i, const struct secret *opener, struct error *error)
{
    const struct crypttab_entry *entry = &run->entries[i];
    struct target *target = &run->targets[i];
    int r = 0;

    if (run->request->test)
        return payload_check(target->volume, target->protector, opener, NULL, error);
    if (entry->header[0])
        r = use_data_device(target->volume, entry->source, error);
    return r ? r
             : payload_activate(target->volume, target->protector, target->pin->name, opener, &entry->options, error);
}

int unlock_run_activate(struct run *run, size_t i, int keyslot, const struct secret *passphrase, struct error *error)
{
    const struct crypttab_entry *entry = &run->entries[i];
    struct target *target = &run->targets[i];
    int r = 0;

    if (run->request->test)
        return volume_keyslot_open(target->volume, keyslot, passphrase, NULL, NULL, error);
    if (entry->header[0])
        r = use_data_device(target->volume, entry->source, error);
    return r ? r : volume_activate(target->volume, target->pin->name, keyslot, passphrase, &entry->options, error);
}

/* Unseals and opens volume i with what the PIN gave. A wrong PIN is returned and changes nothing else. */
static int open_volume(struct run *run, size_t i, const struct secret *auth, const struct secret *mix,
                       struct error *error)
{
    cleanup(secret_free) struct secret opener = { 0 };
    struct report_volume *volume = &run->report->volumes[i];
    uint64_t started = clock_now_ms();
    int r = unlock_run_prepare(run, i, error);

    if (!r)
        r = target_unseal(&run->targets[i], auth, mix, &opener, error);
    if (!r)
        r = activate(run, i, &opener, error);
    if (r)
        return r;
    run->open[i] = false;
    run->opened[i] = volume->opened = true;
    volume->by = run->targets[i].protector->kind;
    volume->operator_number = run->targets[i].protector->operator_number;
    volume->suspended = run->targets[i].unseal.suspended;
    strcpy(volume->protector, run->targets[i].protector->id);
    volume->milliseconds = clock_now_ms() - started;
    return 0;
}

/* All volumes that share the first one's PIN. Only the first one decides whether the PIN was right: the others have the
 * same authValue, and a PIN is never tried on two objects. */
static int open_group(struct run *run, size_t first, const struct secret *pin, struct error *error)
{
    cleanup(secret_free) struct secret auth = { 0 };
    cleanup(secret_free) struct secret mix = { 0 };
    struct target *leader = &run->targets[first];
    int r = keys_stretch(pin, &leader->protector->kdf, &auth, &mix, error);

    if (!r)
        r = open_volume(run, first, &auth, &mix, error);
    if (r)
        return r;
    for (size_t i = first + 1; i < run->pins->volume_count; i++)
        if (run->open[i] && target_same_pin(&run->targets[first], &run->targets[i]) &&
            open_volume(run, i, &auth, &mix, error))
            unlock_run_give_up(run, i, error);
    return 0;
}

static void name_group(const struct run *run, size_t first, char *ret, size_t size)
{
    size_t length = (size_t)snprintf(ret, size, "%s", run->pins->volumes[first].name);

    for (size_t i = first + 1; i < run->pins->volume_count && length < size; i++)
        if (run->open[i] && target_same_pin(&run->targets[first], &run->targets[i]))
            length += (size_t)snprintf(ret + length, size - length, ", %s", run->pins->volumes[i].name);
}

/* Wrong PINs, as the TPM counts them by now. */
static unsigned count_wrong(const struct run *run, size_t first)
{
    return run->targets[first].unseal.state.lockout_counter + run->wrong_pins - run->known_wrong_pins[first];
}

/* Tries that both the policy and the TPM still give. */
static unsigned tries_left(const struct run *run, size_t first, unsigned asked)
{
    unsigned max = run->targets[first].unseal.state.max_tries, counted = count_wrong(run, first);
    unsigned policy = run->pins->tries - asked;
    unsigned tpm = max > counted ? max - counted : 0;

    return policy < tpm ? policy : tpm;
}

/* The TPM's tries may have been used up before the policy's: then it is a lockout, with an end. */
static bool has_tries(const struct run *run, size_t first, unsigned asked, struct error *error)
{
    struct tpm_state state = run->targets[first].unseal.state;

    if (tries_left(run, first, asked) > 0)
        return true;
    state.lockout_counter = count_wrong(run, first);
    state.in_lockout = state.lockout_counter >= state.max_tries;
    if (state.in_lockout)
        (void)lockout_refuse(&state, time(NULL), error);
    else
        error_set(error, ERROR_WRONG_PIN, "%u wrong PINs", asked);
    return false;
}

void unlock_run_give_up_group(struct run *run, size_t first, const struct error *error)
{
    for (size_t i = run->pins->volume_count; i-- > first;)
        if (run->open[i] && (i == first || target_same_pin(&run->targets[first], &run->targets[i])))
            unlock_run_give_up(run, i, error);
}

static int ask_pin(struct run *run, size_t first, unsigned left, struct secret *ret, struct error *error)
{
    char names[256], whose[32] = "", prompt[320];

    name_group(run, first, names, sizeof(names));
    if (run->operator_number)
        snprintf(whose, sizeof(whose), " of operator %u", run->operator_number);
    snprintf(prompt, sizeof(prompt), "PIN%s for %s (%u %s left)", whose, names, left, left == 1 ? "try" : "tries");
    return run->request->ui.ask(run->request->ui.context, prompt, ret, error);
}

enum answer { ANSWER_NONE, ANSWER_PIN, ANSWER_RECOVERY_KEY };

/* One question. An empty answer asks for the next way in: the recovery key's prompt, the distribution's. */
static int try_once(struct run *run, size_t first, unsigned left, enum answer *ret_answer, struct error *error)
{
    cleanup(secret_free) struct secret pin = { 0 };
    int r = ask_pin(run, first, left, &pin, error);

    *ret_answer = r ? ANSWER_PIN : ANSWER_NONE; /* longer than any PIN: no command was spent on it */
    if (!r && pin.size == 0)
        return error_set(error, ERROR_WRONG_PIN, "no PIN was given");
    if (!r && recovery_key_has_form(&pin)) {
        *ret_answer = ANSWER_RECOVERY_KEY;
        return unlock_run_recover(run, &pin, error);
    }
    if (r)
        return r;
    *ret_answer = ANSWER_PIN;
    r = open_group(run, first, &pin, error);
    run->report->volumes[first].wrong_pins += r == ERROR_WRONG_PIN;
    run->wrong_pins += r == ERROR_WRONG_PIN;
    return r;
}

/* What was prepared earlier does not know of the wrong PINs that others have cost since. */
int unlock_run_prepare_leader(struct run *run, size_t first, struct error *error)
{
    struct target *leader = &run->targets[first];
    int r;

    if (leader->prepared && run->wrong_pins == run->known_wrong_pins[first])
        return 0;
    r = leader->prepared ? tpm_state_read(run->tpm, &leader->unseal.state, error)
                         : unlock_run_prepare(run, first, error);
    if (!r)
        run->known_wrong_pins[first] = run->wrong_pins;
    return r;
}

/* A recovery key costs no try. */
bool unlock_run_try_group(struct run *run, size_t first, unsigned *asked, struct error *error)
{
    enum answer answer;
    int r;

    if (!has_tries(run, first, *asked, error))
        return false;
    r = try_once(run, first, tries_left(run, first, *asked), &answer, error);
    if (run->opened[first])
        return false;
    if (!r) /* a recovery key has opened another volume */
        return true;
    if (r != ERROR_WRONG_PIN || answer == ANSWER_NONE)
        return false;
    unlock_run_show(run, "%s", answer == ANSWER_PIN ? "wrong PIN" : error->text);
    if (answer == ANSWER_RECOVERY_KEY)
        return run->wrong_recovery_keys < UNLOCK_RECOVERY_TRIES;
    *asked += 1;
    return has_tries(run, first, *asked, error);
}

static void ask_for_group(struct run *run, size_t first)
{
    struct error error;
    unsigned asked = 0;

    if (!unlock_run_prepare_leader(run, first, &error))
        while (unlock_run_try_group(run, first, &asked, &error))
            ;
    if (!run->opened[first])
        unlock_run_give_up_group(run, first, &error);
}

void unlock_run_by_tpm(struct run *run)
{
    struct error error;

    for (size_t i = 0; i < run->pins->volume_count; i++)
        if (run->open[i] && !target_has_pin(&run->targets[i]) && open_volume(run, i, NULL, NULL, &error))
            unlock_run_give_up(run, i, &error);
    unlock_run_by_operator(run);
    for (size_t i = 0; i < run->pins->volume_count; i++)
        if (run->open[i])
            ask_for_group(run, i);
}
