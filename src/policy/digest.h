/*
 * Policy digests without a TPM: each function does to a digest what the TPM2_Policy command of that name does to a
 * session's (TPM 2.0 Part 3, chapter 23). A policy starts as 32 zero bytes.
 */
#pragma once

#include "base/authority.h"
#include "base/pcr.h"

int policy_digest_pcr(struct digest *policy, const struct pcr_values *values, uint32_t mask, struct error *error);

/* 2 to 8 branches. */
int policy_digest_or(struct digest *policy, const struct digest *list, size_t count, struct error *error);

int policy_digest_signed(struct digest *policy, const struct object_name *authority, struct span policy_ref,
                         struct error *error);
int policy_digest_cp_hash(struct digest *policy, const struct digest *cp_hash, struct error *error);
int policy_digest_authorize_nv(struct digest *policy, const struct object_name *index, struct error *error);
int policy_digest_auth_value(struct digest *policy, struct error *error);

/* TPM 2.0 Part 2, 6.8 TPM_EO */
enum policy_operation {
    POLICY_EQUAL = 0x0000,
    POLICY_UNSIGNED_GREATER = 0x0003,
    POLICY_UNSIGNED_LESS_OR_EQUAL = 0x0009,
};

/* Offsets into TPMS_TIME_INFO (TPM 2.0 Part 2, 10.11.6). */
enum policy_time_field {
    POLICY_TIME_CLOCK = 8,
    POLICY_TIME_RESET_COUNT = 16,
    POLICY_TIME_RESTART_COUNT = 20,
};

/* Compares `size` bytes (4 or 8, big-endian operand) at `offset` of TPMS_TIME_INFO; operation: TPM2_EO_*. */
int policy_digest_counter_timer(struct digest *policy, uint64_t operand, size_t size, uint16_t offset,
                                enum policy_operation operation, struct error *error);

/* cpHash of TPM2_Unseal on the object (TPM 2.0 Part 1, 16.7). */
int policy_unseal_cp_hash(const struct object_name *object, struct digest *ret, struct error *error);
