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

/* True when the Name is that of the public area. */
static inline bool entity_is_consistent(const struct entity *entity)
{
    struct object_name name;
    struct error error;

    return !object_name_compute(&name, entity->public, entity->public_size, &error) &&
           object_name_equal(&name, &entity->name);
}
