/*
 * A sealed object as it lies on disk: the two blobs that TPM2_Create returns, without their TPM2B sizes. The private
 * part is encrypted and authenticated by its parent, the SRK; neither part is a secret.
 */
#pragma once

#include "base/hash.h"

#define SEALED_PRIVATE_MAX 384 /* a sealed object of 128 bytes takes some 220 */
#define SEALED_PUBLIC_MAX 128  /* TPMT_PUBLIC of a KEYEDHASH object takes some 80 */
#define SEALED_DATA_MAX 128    /* TPM 2.0 Part 2, MAX_SYM_DATA */

struct sealed_blob {
    uint8_t private[SEALED_PRIVATE_MAX];
    size_t private_size;
    uint8_t public[SEALED_PUBLIC_MAX];
    size_t public_size;
};

/* The object's Name, from its public part. */
static inline int sealed_name(const struct sealed_blob *blob, struct object_name *ret, struct error *error)
{
    return object_name_compute(ret, blob->public, blob->public_size, error);
}
