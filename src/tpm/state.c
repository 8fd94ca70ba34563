#include "base/cleanup.h"
#include "tpm/internal.h"

#include <string.h>

static void free_capability(TPMS_CAPABILITY_DATA **data)
{
    Esys_Free(*data);
}

static int capability_read(struct tpm *tpm, TPM2_CAP capability, UINT32 first, size_t count, TPMS_CAPABILITY_DATA **ret,
                           TPMI_YES_NO *ret_more, struct error *error)
{
    int r = TPM_COMMAND(tpm, error, GetCapability, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, capability, first,
                        (UINT32)count, ret_more, ret);

    if (r)
        return r;
    if ((*ret)->capability != capability) {
        Esys_Free(*ret);
        *ret = NULL;
        return error_set(error, ERROR_TPM, "the TPM answers TPM2_GetCapability with something else");
    }
    return 0;
}

/* Properties first to first + count - 1; one that the TPM does not have is left 0, its bit in *ret_seen too. */
static int properties_read(struct tpm *tpm, TPM2_PT first, size_t count, uint32_t *ret, uint32_t *ret_seen,
                           struct error *error)
{
    TPM2_PT next = first;
    TPMI_YES_NO more = TPM2_YES;

    memset(ret, 0, count * sizeof(*ret));
    *ret_seen = 0;
    while (more && next < first + count) {
        cleanup(free_capability) TPMS_CAPABILITY_DATA *data = NULL;
        int r = capability_read(tpm, TPM2_CAP_TPM_PROPERTIES, next, first + count - next, &data, &more, error);
        TPM2_PT before = next;

        if (r)
            return r;
        for (UINT32 i = 0; i < data->data.tpmProperties.count; i++) {
            const TPMS_TAGGED_PROPERTY *property = &data->data.tpmProperties.tpmProperty[i];

            if (property->property < before || property->property >= first + count)
                continue;
            ret[property->property - first] = property->value;
            *ret_seen |= 1u << (property->property - first);
            next = property->property + 1;
        }
        if (next == before)
            break; /* nothing of ours in this answer, so nothing in the next */
    }
    return 0;
}

int tpm_state_read(struct tpm *tpm, struct tpm_state *ret, struct error *error)
{
    enum { COUNT = TPM2_PT_LOCKOUT_RECOVERY - TPM2_PT_VAR + 1 };
    enum { PERMANENT = TPM2_PT_PERMANENT - TPM2_PT_VAR, STARTUP = TPM2_PT_STARTUP_CLEAR - TPM2_PT_VAR };
    enum { COUNTER = TPM2_PT_LOCKOUT_COUNTER - TPM2_PT_VAR, TRIES = TPM2_PT_MAX_AUTH_FAIL - TPM2_PT_VAR };
    enum { INTERVAL = TPM2_PT_LOCKOUT_INTERVAL - TPM2_PT_VAR, RECOVERY = COUNT - 1 };
    const uint32_t needed =
        1u << PERMANENT | 1u << STARTUP | 1u << COUNTER | 1u << TRIES | 1u << INTERVAL | 1u << RECOVERY;
    uint32_t values[COUNT], seen;
    int r = properties_read(tpm, TPM2_PT_VAR, COUNT, values, &seen, error);

    if (r)
        return r;
    if ((seen & needed) != needed)
        return error_set(error, ERROR_TPM, "the TPM does not tell its lockout state");
    *ret = (struct tpm_state){
        .owner_auth_set = values[PERMANENT] & TPMA_PERMANENT_OWNERAUTHSET,
        .lockout_auth_set = values[PERMANENT] & TPMA_PERMANENT_LOCKOUTAUTHSET,
        .in_lockout = values[PERMANENT] & TPMA_PERMANENT_INLOCKOUT,
        .orderly = values[STARTUP] & TPMA_STARTUP_CLEAR_ORDERLY,
        .lockout_counter = values[COUNTER],
        .max_tries = values[TRIES],
        .recovery_s = values[INTERVAL],
        .lockout_recovery_s = values[RECOVERY],
    };
    return 0;
}

static void free_time(TPMS_TIME_INFO **time)
{
    Esys_Free(*time);
}

int tpm_clock_read(struct tpm *tpm, struct tpm_clock *ret, struct error *error)
{
    cleanup(free_time) TPMS_TIME_INFO *time = NULL;
    int r = TPM_COMMAND(tpm, error, ReadClock, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &time);

    if (r)
        return r;
    *ret = (struct tpm_clock){
        .clock_ms = time->clockInfo.clock,
        .reset_count = time->clockInfo.resetCount,
        .restart_count = time->clockInfo.restartCount,
    };
    return 0;
}

/* Four characters of a property; what a terminal should not see becomes '?', padding is cut by the NUL. */
static void put_characters(uint32_t value, char *ret)
{
    for (int i = 0; i < 4; i++) {
        char c = (char)(value >> (24 - 8 * i) & 0xff);

        ret[i] = (char)(c == '\0' || (c >= 0x20 && c < 0x7f) ? c : '?');
    }
}

static int has_command(struct tpm *tpm, TPM2_CC command, bool *ret, struct error *error)
{
    cleanup(free_capability) TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;
    int r = capability_read(tpm, TPM2_CAP_COMMANDS, command, 1, &data, &more, error);

    if (r)
        return r;
    *ret = data->data.command.count > 0 &&
           (data->data.command.commandAttributes[0] & (TPMA_CC_COMMANDINDEX_MASK | TPMA_CC_V)) == command;
    return 0;
}

int tpm_identity_read(struct tpm *tpm, struct tpm_identity *ret, struct error *error)
{
    enum { COUNT = TPM2_PT_FIRMWARE_VERSION_2 - TPM2_PT_FIXED + 1 };
    enum { REVISION = TPM2_PT_REVISION - TPM2_PT_FIXED, MANUFACTURER = TPM2_PT_MANUFACTURER - TPM2_PT_FIXED };
    enum { VENDOR = TPM2_PT_VENDOR_STRING_1 - TPM2_PT_FIXED, FIRMWARE = COUNT - 2 };
    uint32_t values[COUNT], seen;
    int r = properties_read(tpm, TPM2_PT_FIXED, COUNT, values, &seen, error);

    if (r)
        return r;
    *ret = (struct tpm_identity){
        .firmware = (uint64_t)values[FIRMWARE] << 32 | values[FIRMWARE + 1],
        .revision = values[REVISION],
    };
    put_characters(values[MANUFACTURER], ret->manufacturer);
    for (int i = 0; i < 4; i++)
        put_characters(values[VENDOR + i], ret->vendor + 4 * i);
    return has_command(tpm, TPM2_CC_PolicyAuthorizeNV, &ret->has_policy_authorize_nv, error);
}

int tpm_handles_read(struct tpm *tpm, TPM2_HANDLE first, TPM2_HANDLE *ret, size_t max, size_t *ret_count,
                     struct error *error)
{
    cleanup(free_capability) TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;
    int r = capability_read(tpm, TPM2_CAP_HANDLES, first, max, &data, &more, error);

    if (r)
        return r;
    *ret_count = data->data.handles.count < max ? data->data.handles.count : max;
    memcpy(ret, data->data.handles.handle, *ret_count * sizeof(*ret));
    return 0;
}

int tpm_bank_read(struct tpm *tpm, enum hash_algorithm bank, uint32_t *ret_mask, struct error *error)
{
    cleanup(free_capability) TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;
    int r = capability_read(tpm, TPM2_CAP_PCRS, 0, 1, &data, &more, error);

    if (r)
        return r;
    *ret_mask = tpm_selection_mask(&data->data.assignedPCR, bank);
    return 0;
}
