/*
 * The authority as the rest of the world sees it: a P-256 public key, the TPM Name that it has when it is loaded
 * (LoadExternal), and the one form of request that its holder signs. The private key is src/protect's business.
 *
 * What is signed is SHA-256(nonceTPM (32 bytes) || expiration (4 bytes, zero) || cpHashA (32 bytes) || policyRef), TPM
 * 2.0 Part 3, TPM2_PolicySigned. cpHashA is always there: without it an interposer would choose what is written.
 */
#pragma once

#include "base/hash.h"

#define AUTHORITY_COORDINATE_BYTES 32
#define AUTHORITY_AREA_BYTES 88 /* TPMT_PUBLIC: ECC, SHA-256, sign, no policy, P-256, ECDSA with SHA-256 */

struct authority_public {
    uint8_t x[AUTHORITY_COORDINATE_BYTES]; /* big-endian */
    uint8_t y[AUTHORITY_COORDINATE_BYTES];
};

enum authority_use {
    AUTHORITY_APPROVE, /* policyRef "bootseal approve": NV_Write of the approval index */
    AUTHORITY_ADMIN,   /* policyRef "bootseal admin": Unseal in the running system */
};

struct authority_request {
    enum authority_use use;
    uint8_t nonce_tpm[32];
    struct digest cp_hash;
};

struct authority_signature {
    uint8_t r[AUTHORITY_COORDINATE_BYTES];
    uint8_t s[AUTHORITY_COORDINATE_BYTES];
};

/* What a TPM session needs of the authority; `sign` may refuse. The struct borrows the context. */
struct authority_signer {
    struct authority_public public;
    int (*sign)(void *context, const struct authority_request *request, struct authority_signature *ret,
                struct error *error);
    void *context;
};

/* The policyRef of a use, as bytes without a NUL. */
struct span authority_policy_ref(enum authority_use use);

/* The marshalled TPMT_PUBLIC, AUTHORITY_AREA_BYTES. */
void authority_public_area(const struct authority_public *public, uint8_t ret[AUTHORITY_AREA_BYTES]);

/* The reverse; false when the bytes are not exactly such an area. */
bool authority_public_parse(const uint8_t *area, size_t size, struct authority_public *ret);

/* The Name under which a TPM loads it. */
int authority_name(const struct authority_public *public, struct object_name *ret, struct error *error);
