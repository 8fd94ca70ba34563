#include "protect/recovery/other-keyslots.h"

#include "base/cleanup.h"

struct keyslots {
    uint32_t used;
    uint32_t protectors;
    uint32_t recovery;
    bool volume_key; /* a protector keeps that, and needs no keyslot */
};

static int read_keyslots(struct volume *volume, struct keyslots *ret, struct error *error)
{
    cleanup(protector_list_free) struct protector_list list = { 0 };
    int r = volume_keyslots(volume, &ret->used, error);

    ret->protectors = 0;
    ret->volume_key = false;
    if (!r)
        r = protector_list_read(volume, TOKEN_TYPE_PROTECTOR, &list, error);
    if (!r)
        r = recovery_keyslots(volume, &ret->recovery, error);
    for (size_t i = 0; !r && i < list.count; i++) {
        if (list.items[i].keyslot >= 0)
            ret->protectors |= 1u << list.items[i].keyslot;
        ret->volume_key |= list.items[i].payload == PAYLOAD_VOLUME_KEY;
    }
    return r;
}

int other_keyslots(struct volume *volume, uint32_t *ret_mask, struct error *error)
{
    struct keyslots keyslots;
    int r = read_keyslots(volume, &keyslots, error);

    if (!r)
        *ret_mask = keyslots.used & ~keyslots.protectors & ~keyslots.recovery;
    return r;
}

int other_keyslots_remove(struct volume *volume, const struct recovery *checked, struct error *error)
{
    struct keyslots keyslots;
    uint32_t others;
    int r = read_keyslots(volume, &keyslots, error);

    if (r)
        return r;
    if (checked->keyslot < 0 || !(keyslots.used & keyslots.recovery & 1u << checked->keyslot) ||
        (!(keyslots.used & keyslots.protectors) && !keyslots.volume_key)) {
        error_set(error, ERROR_REFUSED, "the other keyslots of \"%s\" stay: without them there would be one way in",
                  volume_path(volume));
        return error_remedy(error, "first have both a protector (bootseal enroll) and a recovery key (bootseal "
                                   "recovery-key add)");
    }
    others = keyslots.used & ~keyslots.protectors & ~keyslots.recovery;
    for (int i = 0; !r && i < VOLUME_MAX_KEYSLOTS; i++)
        if (others & (1u << i))
            r = volume_keyslot_remove(volume, i, error);
    return r;
}
