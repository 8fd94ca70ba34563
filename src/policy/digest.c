#include "policy/digest.h"

#include "base/cleanup.h"

#include <assert.h>
#include <string.h>

/* TPM 2.0 Part 2, 6.5.2 TPM_CC */
enum policy_command {
    COMMAND_UNSEAL = 0x0000015e,
    COMMAND_POLICY_SIGNED = 0x00000160,
    COMMAND_POLICY_AUTH_VALUE = 0x0000016b,
    COMMAND_POLICY_COUNTER_TIMER = 0x0000016d,
    COMMAND_POLICY_CP_HASH = 0x0000016e,
    COMMAND_POLICY_OR = 0x00000171,
    COMMAND_POLICY_PCR = 0x0000017f,
    COMMAND_POLICY_AUTHORIZE_NV = 0x00000192,
};

#define COMMAND_BYTES 4
#define SELECT_BYTES 3 /* PC Client Platform TPM Profile: PCR_SELECT_MIN, 24 PCRs */

enum {
    OR_MIN = 2,
    OR_MAX = 8, /* TPM 2.0 Part 2, 10.9.3 TPML_DIGEST: the TPM takes two to eight branches */
};

static void put_big_endian(uint8_t *ret, uint64_t number, size_t size)
{
    for (size_t i = size; i-- > 0; number >>= 8)
        ret[i] = (uint8_t)number;
}

/* policy = H(policy || command || argument), the form that all of them have. */
static int update(struct digest *policy, enum policy_command command, struct span argument, struct error *error)
{
    uint8_t code[COMMAND_BYTES];
    struct digest old = *policy;
    const struct span parts[] = { { old.bytes, DIGEST_BYTES }, { code, sizeof(code) }, argument };

    put_big_endian(code, (uint64_t)command, sizeof(code));
    return digest_compute(policy, parts, array_size(parts), error);
}

/* The same where the TPM forgets what came before: PolicyOR and PolicyAuthorizeNV. */
static int update_afresh(struct digest *policy, enum policy_command command, struct span argument, struct error *error)
{
    struct digest fresh = { 0 };
    int r = update(&fresh, command, argument, error);

    if (!r)
        *policy = fresh;
    return r;
}

/* TPML_PCR_SELECTION with one bank in it (TPM 2.0 Part 2, 10.9.7). */
#define SELECTION_BYTES (4 + 2 + 1 + SELECT_BYTES)

static void put_selection(uint8_t ret[SELECTION_BYTES], enum hash_algorithm bank, uint32_t mask)
{
    put_big_endian(ret, 1, 4);
    put_big_endian(ret + 4, (uint64_t)bank, 2);
    ret[6] = SELECT_BYTES;
    for (size_t i = 0; i < SELECT_BYTES; i++)
        ret[7 + i] = (uint8_t)(mask >> (8 * i));
}

int policy_digest_pcr(struct digest *policy, const struct pcr_values *values, uint32_t mask, struct error *error)
{
    uint8_t argument[SELECTION_BYTES + DIGEST_BYTES];
    struct span list[PCR_COUNT];
    struct digest pcrs;
    size_t count = 0, size = hash_size(values->bank);
    int r;

    if (size == 0 || mask == 0 || (mask & ~values->mask) != 0 || mask >> PCR_COUNT != 0)
        return error_set(error, ERROR_FAILED, "a PCR policy needs the value of each PCR that it selects");
    for (unsigned i = 0; i < PCR_COUNT; i++)
        if (mask & (1u << i))
            list[count++] = (struct span){ values->value[i], size };
    r = digest_compute(&pcrs, list, count, error);
    if (r)
        return r;
    put_selection(argument, values->bank, mask);
    memcpy(argument + SELECTION_BYTES, pcrs.bytes, DIGEST_BYTES);
    return update(policy, COMMAND_POLICY_PCR, (struct span){ argument, sizeof(argument) }, error);
}

int policy_digest_or(struct digest *policy, const struct digest *list, size_t count, struct error *error)
{
    if (count < OR_MIN || count > OR_MAX)
        return error_set(error, ERROR_FAILED, "PolicyOR takes %d to %d branches, not %zu", OR_MIN, OR_MAX, count);
    /* struct digest is its bytes and nothing else: a list of them is the concatenation */
    static_assert(sizeof(struct digest) == DIGEST_BYTES, "a list of digests must have no padding");
    return update_afresh(policy, COMMAND_POLICY_OR, (struct span){ list, count * DIGEST_BYTES }, error);
}

int policy_digest_signed(struct digest *policy, const struct object_name *authority, struct span policy_ref,
                         struct error *error)
{
    struct digest named = *policy;
    const struct span parts[] = { { named.bytes, DIGEST_BYTES }, policy_ref };
    int r = update(&named, COMMAND_POLICY_SIGNED, (struct span){ authority->bytes, NAME_BYTES }, error);

    return r ? r : digest_compute(policy, parts, array_size(parts), error);
}

int policy_digest_cp_hash(struct digest *policy, const struct digest *cp_hash, struct error *error)
{
    return update(policy, COMMAND_POLICY_CP_HASH, (struct span){ cp_hash->bytes, DIGEST_BYTES }, error);
}

int policy_digest_authorize_nv(struct digest *policy, const struct object_name *index, struct error *error)
{
    return update_afresh(policy, COMMAND_POLICY_AUTHORIZE_NV, (struct span){ index->bytes, NAME_BYTES }, error);
}

int policy_digest_auth_value(struct digest *policy, struct error *error)
{
    return update(policy, COMMAND_POLICY_AUTH_VALUE, (struct span){ NULL, 0 }, error);
}

int policy_digest_counter_timer(struct digest *policy, uint64_t operand, size_t size, uint16_t offset,
                                enum policy_operation operation, struct error *error)
{
    uint8_t argument[sizeof(operand) + 2 + 2];
    struct digest hash;
    int r;

    if ((size != 4 && size != 8) || (size == 4 && operand > UINT32_MAX))
        return error_set(error, ERROR_FAILED, "a counter or clock is compared by 4 or 8 bytes, not %zu", size);
    put_big_endian(argument, operand, size);
    put_big_endian(argument + size, offset, 2);
    put_big_endian(argument + size + 2, (uint64_t)operation, 2);
    r = digest_compute(&hash, &(struct span){ argument, size + 4 }, 1, error);
    return r ? r : update(policy, COMMAND_POLICY_COUNTER_TIMER, (struct span){ hash.bytes, DIGEST_BYTES }, error);
}

int policy_unseal_cp_hash(const struct object_name *object, struct digest *ret, struct error *error)
{
    uint8_t code[COMMAND_BYTES];
    const struct span parts[] = { { code, sizeof(code) }, { object->bytes, NAME_BYTES } };

    put_big_endian(code, COMMAND_UNSEAL, sizeof(code));
    return digest_compute(ret, parts, array_size(parts), error);
}
