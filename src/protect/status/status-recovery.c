#include "protect/status/status.h"

int status_read_recovery_keys(struct volume *volume, struct status_volume *ret, struct error *error)
{
    struct recovery_list list;
    int r = recovery_list_read(volume, &list, error);

    for (size_t i = 0; !r && i < list.count; i++) {
        struct error ignored;
        bool minimal = false;

        if (list.items[i].keyslot >= 0 &&
            !volume_keyslot_is_minimal(volume, list.items[i].keyslot, &minimal, &ignored) && minimal)
            ret->recovery_keys[ret->recovery_key_count++] = list.items[i];
    }
    return r;
}
