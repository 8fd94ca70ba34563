/*
 * What tokens and pins hold for the TPM, and what a TPM answers: the parts are an SRK's public area, the approval
 * index's, a sealed object's private and public part, and the script of a TPM that lies (bad-tpm.h) with no TPM behind.
 */
#include "fuzz.h"

#include "bad-tpm.h"
#include "base/cleanup.h"
#include "tpm/approval-index.h"
#include "tpm/lockout.h"
#include "tpm/sealed.h"

#include <string.h>

#define WAITED_MAX_MS (5 * 60 * 1000)

enum part { SRK, INDEX, PRIVATE, PUBLIC, SCRIPT, PARTS };

/* As pinned: the Name is that of the public area. */
static bool entity_of(uint32_t handle, struct span area, struct entity *ret)
{
    struct error error;

    *ret = (struct entity){ .handle = handle };
    if (area.size == 0 || area.size > sizeof(ret->public))
        return false;
    memcpy(ret->public, area.bytes, area.size);
    ret->public_size = area.size;
    return !object_name_compute(&ret->name, ret->public, ret->public_size, &error);
}

static bool blob_of(const struct span parts[PARTS], struct sealed_blob *ret)
{
    *ret = (struct sealed_blob){ 0 };
    if (parts[PRIVATE].size > sizeof(ret->private) || parts[PUBLIC].size > sizeof(ret->public))
        return false;
    memcpy(ret->private, parts[PRIVATE].bytes, parts[PRIVATE].size);
    memcpy(ret->public, parts[PUBLIC].bytes, parts[PUBLIC].size);
    ret->private_size = parts[PRIVATE].size;
    ret->public_size = parts[PUBLIC].size;
    return true;
}

static void read_all(struct tpm *tpm, const struct entity *index)
{
    enum tpm_index_condition condition;
    struct tpm_identity identity;
    struct tpm_state state;
    struct tpm_clock clock;
    struct pcr_values values;
    struct entity srk;
    struct digest approved;
    struct error error;
    uint32_t mask;

    fuzz_require_told(tpm_state_read(tpm, &state, &error), &error);
    fuzz_require_told(tpm_clock_read(tpm, &clock, &error), &error);
    fuzz_require_told(tpm_identity_read(tpm, &identity, &error), &error);
    fuzz_require_told(tpm_bank_read(tpm, HASH_SHA256, &mask, &error), &error);
    fuzz_require_told(tpm_pcr_read(tpm, HASH_SHA256, 0xffff, &values, &error), &error);
    fuzz_require_told(tpm_pcr_event(tpm, 12, "event", 5, &error), &error);
    fuzz_require_told(tpm_srk_read(tpm, &srk, &error), &error);
    if (!index)
        return;
    fuzz_require_told(tpm_index_probe(tpm, index, &condition, &error), &error);
    fuzz_require_told(tpm_index_read(tpm, index, &approved, &error), &error);
}

static void unseal(struct tpm *tpm, const struct sealed_blob *blob)
{
    cleanup(secret_free) struct secret sealed = { 0 };
    cleanup(tpm_handle_free) struct tpm_handle object = { 0 };
    cleanup(tpm_handle_free) struct tpm_handle session = { 0 };
    struct error error;
    int r = tpm_load(tpm, blob, &object, &error);

    r = r ?: tpm_session_start(tpm, TPM_SESSION_POLICY, &session, &error);
    r = r ?: tpm_policy_pcr(&session, HASH_SHA256, 1u << 7, &error);
    r = r ?: tpm_policy_auth_value(&session, &error);
    r = r ?: tpm_unseal(&object, &session, NULL, &sealed, &error);
    fuzz_require_told(r, &error);
    fuzz_require(sealed.size <= SEALED_DATA_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct span parts[PARTS];
    struct sealed_blob blob;
    struct entity srk, index;
    struct object_name name;
    struct error error;
    bool has_index;

    fuzz_split(bytes, size, parts, PARTS);
    bad_tpm_begin(parts[SCRIPT], true);
    fuzz_require(!tpm_open(&tpm, "none", &error));
    if (entity_of(TPM_SRK_HANDLE, parts[SRK], &srk))
        fuzz_require_told(tpm_srk_use(tpm, &srk, &error), &error);
    has_index = entity_of(TPM_INDEX_FIRST, parts[INDEX], &index);
    if (has_index)
        fuzz_require_told(tpm_index_use(tpm, &index, &error), &error);
    if (size % 2)
        read_all(tpm, has_index ? &index : NULL);
    if (blob_of(parts, &blob)) {
        fuzz_require_told(sealed_name(&blob, &name, &error), &error);
        unseal(tpm, &blob);
    }
    tpm_close(&tpm);
    fuzz_require(bad_tpm_waited_ms() < WAITED_MAX_MS);
    bad_tpm_end();
    return 0;
}
