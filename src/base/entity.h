/*
 * A TPM entity that is known without asking the TPM: its handle, public area and Name, as pinned. The SRK (public area:
 * TPMT_PUBLIC) and the approval index (TPMS_NV_PUBLIC, as it is once written) are kept in this form.
 */
#pragma once

#include "base/hash.h"

#define ENTITY_PUBLIC_MAX 512 /* an RSA-2048 SRK takes some 280 bytes */

struct entity {
    uint32_t handle;
    uint8_t public[ENTITY_PUBLIC_MAX];
    size_t public_size;
    struct object_name name;
};

/* ERROR_METADATA unless the Name is that of the public area. */
static inline int entity_check(const struct entity *entity, struct error *error)
{
    bool fits = entity->public_size <= sizeof(entity->public);
    struct object_name name;
    int r = fits ? object_name_compute(&name, entity->public, entity->public_size, error) : 0;

    if (!r && (!fits || !object_name_equal(&name, &entity->name)))
        return error_set(error, ERROR_METADATA,
                         "the Name of the pinned TPM entity 0x%08x is not that of its public area", entity->handle);
    return r;
}
