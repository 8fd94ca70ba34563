/* A verb's way to a volume and its key: second half of recovery-key.h. */
#include "protect/recovery/recovery-key.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock.h"
#include "protect/unlock/payload.h"
#include "protect/unlock/recover.h"

#include <string.h>

static int check_pin(struct recovery_access *access, struct error *error)
{
    struct pinned_volume *pin = NULL;

    if (access->state.has_pins)
        pin = pins_find(&access->state.pins, volume_uuid(access->volume));
    return pin ? pins_check_volume(pin, access->volume, error) : 0;
}

int recovery_access_begin(struct recovery_access *ret, const char *state_folder, const char *device,
                          struct error *error)
{
    enum state_mode mode = file_exists(state_folder ? state_folder : STATE_FOLDER) ? STATE_CHANGE : STATE_READ;
    int r;

    *ret = (struct recovery_access){ .state.lock = -1, .keyslot = -1 };
    r = state_open(state_folder, mode, &ret->state, error);
    if (!r)
        r = volume_open(&ret->volume, device, error);
    return r ? r : check_pin(ret, error);
}

void recovery_access_end(struct recovery_access *access)
{
    secret_free(&access->key);
    volume_close(&access->volume);
    state_close(&access->state);
}

int recovery_access_by_secret(struct recovery_access *access, const struct secret *given, struct error *error)
{
    return recover_any(access->volume, given, &access->key, &access->keyslot, error);
}

int recovery_access_by_pin(struct recovery_access *access, struct tpm *tpm, const struct secret *pin,
                           struct error *error)
{
    cleanup(unlock_end) struct unlock unlock = { .state.lock = -1 };
    cleanup(secret_free) struct secret opener = { 0 };
    int r = unlock_begin(&unlock, tpm, access->state.folder, volume_path(access->volume), error);

    if (!r && !pin && target_has_pin(&unlock.target))
        r = error_set(error, ERROR_USAGE, "the protector of \"%s\" has a PIN", volume_path(access->volume));
    if (!r)
        r = unlock_try(&unlock, pin, &opener, error);
    if (!r)
        r = payload_check(access->volume, unlock.target.protector, &opener, &access->key, error);
    if (!r)
        access->keyslot = unlock.target.protector->keyslot;
    return r;
}

/* "1f3a90c4, 5e6f7a8b" */
static void list_ids(const struct recovery_list *list, char *ret, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < list->count && used < size; i++)
        used += (size_t)snprintf(ret + used, size - used, "%s%s", i ? ", " : "", list->items[i].id);
}

/* The key whose keyslot gave the volume key, else the only one that opens anything; NULL when that is not clear. */
static const struct recovery *find_default(const struct recovery_access *access, const struct recovery_list *list)
{
    const struct recovery *only = NULL;
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].keyslot < 0)
            continue;
        if (list->items[i].keyslot == access->keyslot)
            return &list->items[i];
        only = &list->items[i];
        count++;
    }
    return count == 1 ? only : NULL;
}

int recovery_access_choose(const struct recovery_access *access, const char *id, struct recovery *ret,
                           struct error *error)
{
    char ids[VOLUME_MAX_TOKENS * (RECOVERY_ID_TEXT + 1)] = "";
    const struct recovery *chosen;
    struct recovery_list list;
    int r = recovery_list_read(access->volume, &list, error);

    if (r)
        return r;
    chosen = id ? recovery_list_find(&list, id) : find_default(access, &list);
    if (!chosen && (id || list.count == 0)) {
        error_set(error, ERROR_NO_PROTECTOR, id ? "\"%s\" has no recovery key \"%s\"" : "\"%s\" has no recovery key",
                  volume_path(access->volume), id);
        return error_remedy(error, "see: bootseal recovery-key list %s", volume_path(access->volume));
    }
    if (!chosen) {
        list_ids(&list, ids, sizeof(ids));
        error_set(error, ERROR_USAGE, "\"%s\" has %zu recovery keys: %s", volume_path(access->volume), list.count, ids);
        return error_remedy(error, "say which one is to be replaced: --id ID");
    }
    *ret = *chosen;
    return 0;
}
