/* How `reseal` behaves when an update hook calls it. */
#include "cli/machine-policy.h"
#include "cli/reseal-parts.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "protect/state.h"

static int is_enrolled(const struct call *call, bool *ret, struct error *error)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    int r = state_open(call_state_folder(call), STATE_READ, &state, error);

    *ret = !r && state.has_approval && state.approval.object_count > 0;
    return r;
}

/* A failed update is what the policy wants, or a warning and a boot that asks for the recovery key. */
static int follow_policy(const struct call *call, int failed, struct error *error)
{
    struct policy_document document;
    struct error unread;

    if (machine_policy_read(call, &document, &unread))
        log_warning("%s", unread.text);
    if (document.on_failure == UPDATE_FAILS)
        return failed;
    log_warning("hook %s: the next boot will ask for the recovery key or passphrase: %s", call_option(call, "hook"),
                error->text);
    if (error->remedy[0])
        log_warning("what to do: %s", error->remedy);
    return 0;
}

int reseal_as_hook(const struct call *call, reseal_action act, struct error *error)
{
    const char *name = call_option(call, "hook");
    const struct update_hook *hook = name ? update_hook_find(name) : NULL;
    bool enrolled = true;
    int r = 0;

    if (name && !hook)
        return error_set(error, ERROR_USAGE, "--hook: \"%s\" is none of %s", name, update_hook_names());
    if (hook)
        r = is_enrolled(call, &enrolled, error);
    if (!r && enrolled)
        r = act(call, hook, error);
    return r && hook ? follow_policy(call, r, error) : r;
}
