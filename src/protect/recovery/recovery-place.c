/* Where a file with a recovery key must not lie. */
#include "protect/recovery/recovery-key.h"

#include "base/blockdev.h"
#include "base/cleanup.h"

#include <libgen.h>
#include <string.h>

/* The beginning of the dm UUIDs of all mappings of the volume: "CRYPT-LUKS2-", 32 digits, "-". */
static bool is_mapping_of(void *context, const struct blockdev_node *node)
{
    char wanted[MAPPING_UUID_TEXT];

    volume_mapping_uuid("", context, wanted);
    return strncmp(node->dm_uuid, wanted, strlen(wanted)) == 0;
}

int recovery_key_check_place(const char *sysfs, const char *path, const char *uuid, struct error *error)
{
    cleanup(free_ptr) char *copy = strdup(path), *own_uuid = strdup(uuid);
    struct blockdev_list devices;
    bool inside = false;
    int r;

    if (!copy || !own_uuid)
        return error_no_memory(error);
    r = blockdev_of_path(sysfs, dirname(copy), &devices, error);
    if (!r)
        r = blockdev_some_way(sysfs, &devices, is_mapping_of, own_uuid, &inside, error);
    if (r || !inside)
        return r;
    error_set(error, ERROR_REFUSED, "\"%s\" would lie on the very volume that the recovery key opens", path);
    return error_remedy(error, "write it to a removable medium or to another machine");
}
