#include "tpm/internal.h"

#include "base/clock.h"

#define PAUSE_MS 20 /* between tries: short beside a self-test, long beside a firmware TPM's command */

static bool wait_a_little(struct tpm_attempt *attempt)
{
    if (attempt->started_ms == 0)
        attempt->started_ms = clock_now_ms();
    if (clock_now_ms() - attempt->started_ms >= TPM_PATIENCE_MS)
        return false;
    clock_pause_ms(PAUSE_MS);
    return true;
}

/* tpm2-tss sends a command again by itself, five times and at once; a self-test takes longer than that. */
bool tpm_try_again(struct tpm_attempt *attempt, TSS2_RC rc)
{
    switch (tpm_response_code(rc)) {
    case TPM2_RC_RETRY:
    case TPM2_RC_TESTING:
    case TPM2_RC_YIELDED:
    case TPM2_RC_NV_RATE:
        return wait_a_little(attempt);
    case TPM2_RC_OBJECT_MEMORY:
    case TPM2_RC_SESSION_MEMORY:
        if (attempt->flushed || attempt->tpm->flushing)
            return false;
        attempt->flushed = true;
        return tpm_live_flush_others(attempt->tpm);
    default:
        return false;
    }
}
