#include "base/authority.h"

#include <string.h>

/* TPMT_PUBLIC up to the point's x (TPM 2.0 Part 2, 12.2.4), and the size of y between the two coordinates. */
static const uint8_t area_head[] = {
    0x00, 0x23,             /* type: TPM2_ALG_ECC */
    0x00, 0x0b,             /* nameAlg: TPM2_ALG_SHA256 */
    0x00, 0x04, 0x00, 0x00, /* objectAttributes: sign */
    0x00, 0x00,             /* authPolicy: empty */
    0x00, 0x10,             /* symmetric: TPM2_ALG_NULL */
    0x00, 0x18, 0x00, 0x0b, /* scheme: ECDSA with SHA-256 */
    0x00, 0x03,             /* curveID: TPM2_ECC_NIST_P256 */
    0x00, 0x10,             /* kdf: TPM2_ALG_NULL */
    0x00, 0x20,             /* size of x */
};
static const uint8_t area_middle[] = { 0x00, 0x20 };

enum {
    X_AT = sizeof(area_head),
    MIDDLE_AT = X_AT + AUTHORITY_COORDINATE_BYTES,
    Y_AT = MIDDLE_AT + sizeof(area_middle),
};

_Static_assert(Y_AT + AUTHORITY_COORDINATE_BYTES == AUTHORITY_AREA_BYTES, "the area's parts make the whole");

struct span authority_policy_ref(enum authority_use use)
{
    static const char approve[] = "bootseal approve", admin[] = "bootseal admin";

    return use == AUTHORITY_APPROVE ? (struct span){ approve, sizeof(approve) - 1 }
                                    : (struct span){ admin, sizeof(admin) - 1 };
}

void authority_public_area(const struct authority_public *public, uint8_t ret[AUTHORITY_AREA_BYTES])
{
    memcpy(ret, area_head, sizeof(area_head));
    memcpy(ret + X_AT, public->x, AUTHORITY_COORDINATE_BYTES);
    memcpy(ret + MIDDLE_AT, area_middle, sizeof(area_middle));
    memcpy(ret + Y_AT, public->y, AUTHORITY_COORDINATE_BYTES);
}

bool authority_public_parse(const uint8_t *area, size_t size, struct authority_public *ret)
{
    if (size != AUTHORITY_AREA_BYTES || memcmp(area, area_head, sizeof(area_head)) != 0 ||
        memcmp(area + MIDDLE_AT, area_middle, sizeof(area_middle)) != 0)
        return false;
    memcpy(ret->x, area + X_AT, AUTHORITY_COORDINATE_BYTES);
    memcpy(ret->y, area + Y_AT, AUTHORITY_COORDINATE_BYTES);
    return true;
}

int authority_name(const struct authority_public *public, struct object_name *ret, struct error *error)
{
    uint8_t area[AUTHORITY_AREA_BYTES];

    authority_public_area(public, area);
    return object_name_compute(ret, area, sizeof(area), error);
}
