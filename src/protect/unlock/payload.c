#include "protect/unlock/payload.h"

#include "base/cleanup.h"
#include "protect/unlock/keys.h"

int payload_unwrap(const struct protector *protector, const struct secret *sealed, const struct secret *mix,
                   struct secret *ret_opener, struct error *error)
{
    return protector->payload == PAYLOAD_VOLUME_KEY
               ? keys_unwrap_volume_key(sealed, mix, protector->id, ret_opener, error)
               : keys_passphrase(sealed, mix, protector->id, ret_opener, error);
}

/* To a passphrase from the TPM, libcryptsetup's "wrong passphrase" says something else than to a typed one. */
static int not_opened(int r, const struct protector *protector, struct error *error)
{
    if (r != ERROR_WRONG_PIN)
        return r;
    return error_set(error, ERROR_METADATA, "the unsealed key does not open keyslot %d: the header was changed",
                     protector->keyslot);
}

static int check_keyslot(const struct protector *protector, struct error *error)
{
    if (protector->keyslot >= 0)
        return 0;
    return error_set(error, ERROR_METADATA, "the protector in token %d names no keyslot", protector->token);
}

int payload_check(struct volume *volume, const struct protector *protector, const struct secret *opener,
                  struct secret *ret_key, struct error *error)
{
    int r;

    if (protector->payload == PAYLOAD_VOLUME_KEY) {
        r = volume_key_check(volume, opener, error);
        return r || !ret_key ? r : secret_copy(ret_key, opener->bytes, opener->size, error);
    }
    r = check_keyslot(protector, error);
    r = r ?: volume_keyslot_open(volume, protector->keyslot, opener, ret_key, NULL, error);
    return not_opened(r, protector, error);
}

int payload_activate(struct volume *volume, const struct protector *protector, const char *name,
                     const struct secret *opener, const struct volume_options *options, struct error *error)
{
    int r;

    if (protector->payload == PAYLOAD_VOLUME_KEY)
        return volume_activate_by_key(volume, name, opener, options, error);
    r = check_keyslot(protector, error);
    r = r ?: volume_activate(volume, name, protector->keyslot, opener, options, error);
    return not_opened(r, protector, error);
}
