#include "protect/unlock/unlock-run.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/recovery-key-text.h"
#include "protect/unlock/recover.h"

#include <string.h>

#define IDS_SHOWN 3

/* Whatever was wrong with its tokens or its TPM: the header is the pinned one, and the volume can be mapped. */
static bool is_recoverable(const struct run *run, size_t i)
{
    return !run->opened[i] && run->mappable[i] && run->targets[i].is_pinned;
}

static int recover_volume(struct run *run, size_t i, const struct secret *typed, struct error *error)
{
    cleanup(recovered_free) struct recovered recovered = { 0 };
    struct report_volume *volume = &run->report->volumes[i];
    uint64_t started = clock_now_ms();
    int r = recover_open(run->targets[i].volume, typed, &recovered, error);

    if (!r)
        r = unlock_run_activate(run, i, recovered.recovery.keyslot, &recovered.passphrase, error);
    if (r)
        return r;
    target_release(&run->targets[i]);
    run->open[i] = false;
    run->opened[i] = volume->opened = volume->by_recovery = true;
    strcpy(volume->recovery_id, recovered.recovery.id);
    volume->milliseconds = clock_now_ms() - started;
    unlock_run_show(run, "the recovery key %s has opened %s", recovered.recovery.id, volume->name);
    return 0;
}

static int check_typing(const struct secret *typed, struct error *error)
{
    cleanup(secret_free) struct secret text = { 0 };

    return recovery_key_parse(typed, &text, error);
}

int unlock_run_recover(struct run *run, const struct secret *typed, struct error *error)
{
    int r = check_typing(typed, error);
    struct error one;
    bool any = false;

    for (size_t i = 0; !r && i < run->pins->volume_count; i++) {
        int failed = is_recoverable(run, i) ? recover_volume(run, i, typed, &one) : ERROR_NO_PROTECTOR;

        any |= !failed;
        if (failed && failed != ERROR_WRONG_PIN && failed != ERROR_NO_PROTECTOR)
            unlock_run_show(run, "%s: %s", run->pins->volumes[i].name, one.text);
    }
    if (any)
        return 0;
    if (++run->wrong_recovery_keys >= UNLOCK_RECOVERY_TRIES)
        return error_set(error, ERROR_WRONG_PIN, "%u wrong recovery keys", run->wrong_recovery_keys);
    return r ? r : error_set(error, ERROR_WRONG_PIN, "that recovery key opens nothing here");
}

/* "1f3a90c4 or 5e6f7a8b"; empty when no key is left that has a keyslot. */
static void name_keys(const struct run *run, size_t i, char *ret, size_t size)
{
    struct recovery_list list;
    struct error ignored;
    size_t used = 0, shown = 0;

    ret[0] = '\0';
    if (recovery_list_read(run->targets[i].volume, &list, &ignored))
        return;
    for (size_t k = 0; k < list.count && shown < IDS_SHOWN && used < size; k++) {
        if (list.items[k].keyslot < 0)
            continue;
        used += (size_t)snprintf(ret + used, size - used, "%s%s", shown ? " or " : "", list.items[k].id);
        shown++;
    }
}

static int ask(struct run *run, size_t i, const char *ids, struct secret *ret, struct error *error)
{
    const struct unlock_ui *ui = &run->request->ui;
    char prompt[256];

    snprintf(prompt, sizeof(prompt), "Recovery key %s for %s", ids, run->pins->volumes[i].name);
    return (ui->ask_recovery_key ? ui->ask_recovery_key : ui->ask)(ui->context, prompt, ret, error);
}

enum answer { ANSWER_TYPED, ANSWER_OTHER_WAY, ANSWER_NOBODY };

/* One question about volume i, and what comes of it. */
static enum answer try_volume(struct run *run, size_t i, const char *ids)
{
    cleanup(secret_free) struct secret typed = { 0 };
    struct error error;
    int r = ask(run, i, ids, &typed, &error);

    if (r && r != ERROR_WRONG_PIN)
        return ANSWER_NOBODY;
    if (!r && typed.size == 0)
        return ANSWER_OTHER_WAY;
    if (r) /* longer than any key */
        run->wrong_recovery_keys++;
    else
        r = unlock_run_recover(run, &typed, &error);
    if (r)
        unlock_run_show(run, "%s", error.text);
    return ANSWER_TYPED;
}

void unlock_run_ask_recovery(struct run *run)
{
    char ids[IDS_SHOWN * (RECOVERY_ID_TEXT + 4)];
    enum answer answer = ANSWER_TYPED;

    for (size_t i = 0; answer != ANSWER_NOBODY && i < run->pins->volume_count; i++) {
        if (!is_recoverable(run, i) || run->wrong_recovery_keys >= UNLOCK_RECOVERY_TRIES)
            continue;
        name_keys(run, i, ids, sizeof(ids));
        if (!ids[0])
            continue;
        unlock_run_show(run, "%s can be opened by its recovery key; Enter alone goes on to other ways in%s",
                        run->pins->volumes[i].name,
                        run->report->volumes[i].status == ERROR_LOCKOUT ? ", to the PIN if the lockout has ended" : "");
        do
            answer = try_volume(run, i, ids);
        while (answer == ANSWER_TYPED && !run->opened[i] && run->wrong_recovery_keys < UNLOCK_RECOVERY_TRIES);
    }
}
