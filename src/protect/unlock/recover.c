#include "protect/unlock/recover.h"

#include "base/cleanup.h"
#include "base/recovery-key-text.h"

#include <string.h>

static int try_key(struct volume *volume, const struct recovery *recovery, struct recovered *ret, struct error *error)
{
    int r;

    if (recovery->keyslot < 0)
        return error_set(error, ERROR_METADATA, "the recovery key %s of \"%s\" has no keyslot any more", recovery->id,
                         volume_path(volume));
    r = volume_keyslot_open(volume, recovery->keyslot, &ret->passphrase, &ret->key, NULL, error);
    if (!r)
        ret->recovery = *recovery;
    return r;
}

static int try_keys(struct volume *volume, const struct recovery_list *list, struct recovered *ret, struct error *error)
{
    struct error one;
    int r = ERROR_WRONG_PIN;

    error_set(error, ERROR_WRONG_PIN, "that is not a recovery key of \"%s\"", volume_path(volume));
    for (size_t i = 0; r && i < list->count; i++) {
        r = try_key(volume, &list->items[i], ret, &one);
        if (r && r != ERROR_WRONG_PIN)
            *error = one; /* worth more than "wrong", unless another key opens it */
    }
    return r ? (int)error->kind : 0;
}

int recover_open(struct volume *volume, const struct secret *typed, struct recovered *ret, struct error *error)
{
    cleanup(recovered_free) struct recovered recovered = { 0 };
    struct recovery_list list;
    int r = recovery_key_parse(typed, &recovered.passphrase, error);

    if (!r)
        r = recovery_list_read(volume, &list, error);
    if (!r && list.count == 0)
        r = error_set(error, ERROR_NO_PROTECTOR, "\"%s\" has no recovery key", volume_path(volume));
    if (!r)
        r = try_keys(volume, &list, &recovered, error);
    if (r)
        return r;
    *ret = recovered;
    recovered = (struct recovered){ 0 };
    return 0;
}

void recovered_free(struct recovered *recovered)
{
    secret_free(&recovered->passphrase);
    secret_free(&recovered->key);
    *recovered = (struct recovered){ 0 };
}

/* A recovery key that this volume's tokens know, or one whose token is gone. */
static int try_as_recovery_key(struct volume *volume, const struct secret *given, struct secret *ret_key,
                               int *ret_keyslot, struct error *error)
{
    cleanup(recovered_free) struct recovered recovered = { 0 };
    cleanup(secret_free) struct secret text = { 0 };
    int r = recover_open(volume, given, &recovered, error);

    if (!r) {
        *ret_key = secret_take(&recovered.key);
        *ret_keyslot = recovered.recovery.keyslot;
        return 0;
    }
    r = recovery_key_parse(given, &text, error);
    return r ? r : volume_keyslot_open(volume, -1, &text, ret_key, ret_keyslot, error);
}

int recover_any(struct volume *volume, const struct secret *given, struct secret *ret_key, int *ret_keyslot,
                struct error *error)
{
    cleanup(secret_free) struct secret line = { 0 };
    struct error typo;
    int recovery = ERROR_NONE, r;

    if (recovery_key_has_form(given)) {
        recovery = try_as_recovery_key(volume, given, ret_key, ret_keyslot, &typo);
        if (!recovery)
            return 0;
    }
    r = volume_keyslot_open(volume, -1, given, ret_key, ret_keyslot, error);
    if (r == ERROR_WRONG_PIN && given->size > 1 && given->bytes[given->size - 1] == '\n') {
        r = secret_copy(&line, given->bytes, given->size, error);
        secret_chomp(&line);
        r = r ? r : volume_keyslot_open(volume, -1, &line, ret_key, ret_keyslot, error);
    }
    if (r == ERROR_WRONG_PIN && recovery)
        *error = typo;
    return r ? (int)error->kind : 0;
}
