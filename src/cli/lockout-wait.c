#include "cli/lockout-wait.h"

#include "ask/ask.h"
#include "base/cleanup.h"
#include "cli/secrets.h"
#include "protect/unlock/lockout-end.h"

static bool is_over(void *context)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct tpm_state state;
    struct error ignored;

    return !call_open_tpm(context, &tpm, &ignored) && !tpm_state_read(tpm, &state, &ignored) && !state.in_lockout;
}

bool lockout_wait(struct call *call, struct tpm **tpm, const struct error *error)
{
    struct ask_way way = ask_way_terminal();
    struct ask_wait wait = {
        .text = "the next try, if you wait (Enter: do not wait), in at most",
        .is_over = is_over,
        .context = call,
    };
    struct tpm_state state;
    struct error ignored;
    bool over = false;

    if (secret_is_given(call, "pin-file") || tpm_state_read(*tpm, &state, &ignored))
        return false;
    wait.seconds = lockout_longest_s(&state);
    if (!wait.seconds)
        return false;
    tpm_close(tpm);
    ask_show(&way, "%s", error->text);
    return !ask_wait(&way, &wait, &over, &ignored) && over;
}
