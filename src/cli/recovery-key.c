#include "protect/recovery/recovery-key.h"
#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/recovery-key-text.h"
#include "cli/recovery-output.h"
#include "cli/secrets.h"
#include "protect/recovery/other-keyslots.h"
#include "protect/unlock/recover.h"

#include <string.h>

static const struct option_row options[] = {
    { "unlock-key-file", "FILE|-", "an existing passphrase or recovery key; with check: the key that is checked" },
    { "pin-file", "FILE|-", "the PIN, with TPM and authority, in the place of an existing passphrase" },
    { "id", "ID", "with rotate: the key to replace (default: the one that was given, or the only one)" },
    { "output", "FILE", "write the new key to a new file (mode 0600) instead of showing it" },
    { "qr", NULL, "show the new key as a QR code too" },
    { "yes", NULL, "do not have two groups of the new key typed back" },
    { "remove-other-keyslots", NULL, "with check: then remove every keyslot that is no protector's or recovery key's" },
    { 0 },
};

/* ---- whoever asks for a new key must have an old way in ---- */

static int access_by_pin(const struct call *call, struct recovery_access *access, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(secret_free) struct secret pin = { 0 };
    int r = pin_from_call(call, "pin-file", &pin, error);

    if (!r && recovery_key_has_form(&pin))
        return recovery_access_by_secret(access, &pin, error);
    if (!r)
        r = call_open_tpm(call, &tpm, error);
    return r ? r : recovery_access_by_pin(access, tpm, &pin, error);
}

static int authorise(const struct call *call, struct recovery_access *access, struct error *error)
{
    cleanup(secret_free) struct secret given = { 0 };
    int r;

    if (secret_is_given(call, "pin-file"))
        return access_by_pin(call, access, error);
    r = secret_from_call(call, "unlock-key-file", "Existing passphrase or recovery key (Enter alone: the PIN)",
                         VOLUME_MAX_PASSPHRASE_BYTES, &given, error);
    if (!r && given.size == 0 && !secret_is_given(call, "unlock-key-file"))
        return access_by_pin(call, access, error);
    return r ? r : recovery_access_by_secret(access, &given, error);
}

/* ---- add, rotate ---- */

static int new_result(const char *action, const struct recovery_access *access, struct json_object **ret,
                      struct error *error)
{
    struct json_object *result = *ret = json_object_new_object();
    int r = result ? 0 : error_no_memory(error);

    r = r ?: json_add(result, "action", json_object_new_string(action), error);
    return r ?: json_add(result, "volume", json_object_new_string(volume_uuid(access->volume)), error);
}

static int add_replaced(struct json_object *result, const struct recovery *old, struct error *error)
{
    if (old)
        return json_add(result, "replaced", json_object_new_string(old->id), error);
    return json_object_object_add(result, "replaced", NULL) < 0 ? error_no_memory(error) : 0;
}

/* `old` NULL: a key beside the others. */
static int make_key(const struct call *call, struct recovery_access *access, const struct recovery *old,
                    struct error *error)
{
    cleanup(json_free) struct json_object *result = NULL;
    struct recovery_output output = { .call = call };
    struct recovery_hand_over hand_over = recovery_output_hand_over(&output);
    struct recovery fresh = { .token = -1 };
    int r = new_result(old ? "rotate" : "add", access, &result, error);

    r = r ?: add_replaced(result, old, error);
    output.result = result;
    if (!r && old)
        r = recovery_key_rotate(access->volume, &access->key, access->keyslot, old, &hand_over, &fresh, error);
    else if (!r)
        r = recovery_key_add(access->volume, &access->key, access->keyslot, &hand_over, &fresh, error);
    if (r && fresh.token < 0)
        recovery_output_take_back(&output);
    if (!r && old)
        log_info("the recovery key %s opens nothing any more", old->id);
    return r;
}

static int begin_making(const struct call *call, struct recovery_access *access, struct error *error)
{
    int r = recovery_output_check(call, error);

    r = r ?: recovery_access_begin(access, call_state_folder(call), call_argument(call, 1), error);
    return r ?: recovery_output_check_place(call, volume_uuid(access->volume), error);
}

static int add(const struct call *call, struct recovery_access *access, struct error *error)
{
    int r = begin_making(call, access, error);

    r = r ?: authorise(call, access, error);
    return r ?: make_key(call, access, NULL, error);
}

static int rotate(const struct call *call, struct recovery_access *access, struct error *error)
{
    struct recovery old;
    int r = begin_making(call, access, error);

    r = r ?: authorise(call, access, error);
    r = r ?: recovery_access_choose(access, call_option(call, "id"), &old, error);
    return r ?: make_key(call, access, &old, error);
}

/* ---- check ---- */

static int key_to_check(const struct call *call, struct secret *ret, struct error *error)
{
    const struct ask_way way = ask_way_terminal();
    int r;

    if (secret_is_given(call, "unlock-key-file"))
        return secret_from_call(call, "unlock-key-file", "", VOLUME_MAX_PASSPHRASE_BYTES, ret, error);
    r = ask_recovery_key(&way, "Recovery key", ret, error);
    if (r == ERROR_USAGE)
        error_remedy(error, "without a terminal, use --unlock-key-file FILE");
    return r;
}

static int print_checked(const struct call *call, const struct recovery_access *access, const struct recovery *recovery,
                         struct error *error)
{
    cleanup(json_free) struct json_object *result = NULL;
    struct json_object *object;
    int r;

    if (!call_flag(call, "json")) {
        printf("recovery key %s opens %s (keyslot %d)\n", recovery->id, volume_path(access->volume), recovery->keyslot);
        return 0;
    }
    r = new_result("check", access, &result, error);
    if (r)
        return r;
    object = json_object_new_object();
    r = json_add(result, "recovery_key", object, error);
    r = r ?: json_add(object, "id", json_object_new_string(recovery->id), error);
    r = r ?: json_add(object, "created", json_object_new_string(recovery->created), error);
    r = r ?: json_add(object, "keyslot", json_object_new_int(recovery->keyslot), error);
    return r ?: print_json(result, error);
}

static int check(const struct call *call, struct recovery_access *access, struct error *error)
{
    cleanup(recovered_free) struct recovered recovered = { 0 };
    cleanup(secret_free) struct secret typed = { 0 };
    int r = recovery_access_begin(access, call_state_folder(call), call_argument(call, 1), error);

    r = r ?: key_to_check(call, &typed, error);
    r = r ?: recover_open(access->volume, &typed, &recovered, error);
    if (!r && call_flag(call, "remove-other-keyslots"))
        r = other_keyslots_remove(access->volume, &recovered.recovery, error);
    return r ?: print_checked(call, access, &recovered.recovery, error);
}

/* ---- list ---- */

static int add_listed(struct json_object *list, const struct recovery *recovery, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    r = r ?: json_add(object, "id", json_object_new_string(recovery->id), error);
    r = r ?: json_add(object, "created", json_object_new_string(recovery->created), error);
    if (!r && recovery->used[0])
        r = json_add(object, "used", json_object_new_string(recovery->used), error);
    else if (!r)
        r = json_object_object_add(object, "used", NULL) < 0 ? error_no_memory(error) : 0;
    if (!r && recovery->keyslot >= 0)
        r = json_add(object, "keyslot", json_object_new_int(recovery->keyslot), error);
    else if (!r)
        r = json_object_object_add(object, "keyslot", NULL) < 0 ? error_no_memory(error) : 0;
    return r;
}

static int print_list_json(const struct recovery_access *access, const struct recovery_list *list, struct error *error)
{
    cleanup(json_free) struct json_object *result = NULL;
    struct json_object *keys;
    int r = new_result("list", access, &result, error);

    if (r)
        return r;
    keys = json_object_new_array();
    r = json_add(result, "recovery_keys", keys, error);
    for (size_t i = 0; !r && i < list->count; i++)
        r = add_listed(keys, &list->items[i], error);
    r = r ?: json_add(result, "damaged", json_object_new_int((int)list->damaged), error);
    return r ?: print_json(result, error);
}

static void print_list(const struct recovery_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct recovery *recovery = &list->items[i];

        printf("%s  made %s", recovery->id, recovery->created);
        if (recovery->keyslot < 0)
            printf("  its keyslot is gone: it opens nothing");
        else
            printf("  keyslot %d", recovery->keyslot);
        if (recovery->used[0])
            printf("  used %s: replace it (bootseal recovery-key rotate)", recovery->used);
        putchar('\n');
    }
    if (list->damaged)
        log_warning("%zu %s of recovery keys cannot be read", list->damaged, list->damaged == 1 ? "token" : "tokens");
}

static int list(const struct call *call, struct recovery_access *access, struct error *error)
{
    struct recovery_list keys;
    int r = recovery_access_begin(access, call_state_folder(call), call_argument(call, 1), error);

    r = r ?: recovery_list_read(access->volume, &keys, error);
    if (r || call_flag(call, "json"))
        return r ?: print_list_json(access, &keys, error);
    print_list(&keys);
    return 0;
}

/* ---- the verb ---- */

static const struct action {
    const char *name;
    int (*run)(const struct call *call, struct recovery_access *access, struct error *error);
    const char *const options[7]; /* those that it knows besides the common ones */
} actions[] = {
    { "add", add, { "unlock-key-file", "pin-file", "output", "qr", "yes" } },
    { "rotate", rotate, { "unlock-key-file", "pin-file", "id", "output", "qr", "yes" } },
    { "check", check, { "unlock-key-file", "remove-other-keyslots" } },
    { "list", list, { 0 } },
};

static bool knows(const struct action *action, const char *option)
{
    for (size_t i = 0; i < array_size(action->options) && action->options[i]; i++)
        if (strcmp(action->options[i], option) == 0)
            return true;
    return false;
}

static int check_options(const struct call *call, const struct action *action, struct error *error)
{
    for (const struct option_row *row = options; row->name; row++)
        if (call_flag(call, row->name) && !knows(action, row->name))
            return error_set(error, ERROR_USAGE, "recovery-key %s: --%s says nothing here", action->name, row->name);
    if (call_flag(call, "unlock-key-file") && call_flag(call, "pin-file"))
        return error_set(error, ERROR_USAGE, "recovery-key: --unlock-key-file and --pin-file exclude each other");
    return 0;
}

static int run(struct call *call, struct error *error)
{
    cleanup(recovery_access_end) struct recovery_access access = { .state.lock = -1 };
    const char *name = call_argument(call, 0);
    const struct action *action = NULL;
    int r;

    for (size_t i = 0; !action && i < array_size(actions); i++)
        if (strcmp(actions[i].name, name) == 0)
            action = &actions[i];
    if (!action)
        return error_set(error, ERROR_USAGE, "recovery-key: \"%s\" is not add, rotate, check or list", name);
    r = check_options(call, action, error);
    r = r ?: action->run(call, &access, error);
    return r ? error_prefix(error, "recovery-key %s \"%s\"", name, call_argument(call, 1)) : 0;
}

const struct verb verb_recovery_key = {
    .name = "recovery-key",
    .arguments = "add|rotate|check|list DEVICE",
    .summary = "48-digit keys that open a volume without the TPM",
    .options = options,
    .min_arguments = 2,
    .max_arguments = 2,
    .needs_root = true,
    .run = run,
};
