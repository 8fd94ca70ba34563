#include "tpm/internal.h"

/* More than any TPM holds loaded at once (TPM 2.0 Part 2, MAX_LOADED_OBJECTS and MAX_LOADED_SESSIONS: 3 to 64). */
#define HANDLES_MAX 64

static void live_remove(struct tpm *tpm, TPM2_HANDLE handle)
{
    for (size_t i = 0; i < tpm->live_count; i++)
        if (tpm->live[i] == handle) {
            tpm->live[i] = tpm->live[--tpm->live_count];
            return;
        }
}

static bool is_live(const struct tpm *tpm, TPM2_HANDLE handle)
{
    for (size_t i = 0; i < tpm->live_count; i++)
        if (tpm->live[i] == handle)
            return true;
    return false;
}

int tpm_live_reserve(const struct tpm *tpm, struct error *error)
{
    if (tpm->live_count == TPM_LIVE_MAX)
        return error_set(error, ERROR_FAILED, "more than %d sessions and objects at once", TPM_LIVE_MAX);
    return 0;
}

void tpm_live_adopt(struct tpm *tpm, ESYS_TR reference, struct tpm_handle *ret)
{
    TPM2_HANDLE handle;

    *ret = (struct tpm_handle){ .tpm = tpm, .reference = reference };
    if (tpm->live_count < TPM_LIVE_MAX && !Esys_TR_GetTpmHandle(tpm->esys, reference, &handle))
        tpm->live[tpm->live_count++] = handle;
}

void tpm_live_forget(struct tpm_handle *handle)
{
    TPM2_HANDLE number;

    if (!handle->reference)
        return;
    if (!Esys_TR_GetTpmHandle(handle->tpm->esys, handle->reference, &number))
        live_remove(handle->tpm, number);
    tpm_reference_close(handle->tpm, &handle->reference);
}

void tpm_handle_free(struct tpm_handle *handle)
{
    struct error ignored;
    TPM2_HANDLE number;
    bool known;

    if (!handle->reference)
        return;
    known = !Esys_TR_GetTpmHandle(handle->tpm->esys, handle->reference, &number);
    if (TPM_COMMAND(handle->tpm, &ignored, FlushContext, handle->reference))
        tpm_reference_close(handle->tpm, &handle->reference); /* tpm_close() tries once more, by the number */
    else if (known)
        live_remove(handle->tpm, number);
    handle->reference = 0;
}

static bool flush_number(struct tpm *tpm, TPM2_HANDLE number)
{
    struct error ignored;
    ESYS_TR reference;

    if (tpm_reference_handle(tpm, number, &reference, &ignored))
        return false;
    if (!Esys_FlushContext(tpm->esys, reference))
        return true;
    tpm_reference_close(tpm, &reference);
    return false;
}

static bool flush_all_others(struct tpm *tpm)
{
    static const TPM2_HANDLE ranges[] = { TPM_TRANSIENT_FIRST, TPM_LOADED_SESSION_FIRST };
    TPM2_HANDLE handles[HANDLES_MAX];
    struct error ignored;
    bool any = false;
    size_t count;

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (tpm_handles_read(tpm, ranges[i], handles, HANDLES_MAX, &count, &ignored))
            continue;
        for (size_t j = 0; j < count; j++)
            if (!is_live(tpm, handles[j]) && flush_number(tpm, handles[j]))
                any = true;
    }
    return any;
}

/* A TPM that has no room even for this says so to the command that wanted it. */
bool tpm_live_flush_others(struct tpm *tpm)
{
    bool any;

    tpm->flushing = true;
    any = flush_all_others(tpm);
    tpm->flushing = false;
    return any;
}

/* After an answer that cannot be trusted tpm2-tss refuses every further call, so the flushing gets a fresh context. */
void tpm_live_flush_own(struct tpm *tpm)
{
    if (tpm->live_count == 0)
        return;
    Esys_Finalize(&tpm->esys);
    if (Esys_Initialize(&tpm->esys, tpm->tcti, NULL))
        return;
    while (tpm->live_count > 0)
        flush_number(tpm, tpm->live[--tpm->live_count]);
}
