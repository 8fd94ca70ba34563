#include "tpm/internal.h"

#include <time.h>

#define PAUSE_MS 20 /* between tries: short beside a self-test, long beside a firmware TPM's command */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool wait_a_little(struct tpm_attempt *attempt)
{
    if (attempt->started_ms == 0)
        attempt->started_ms = now_ms();
    if (now_ms() - attempt->started_ms >= TPM_PATIENCE_MS)
        return false;
    (void)nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
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
        if (attempt->flushed)
            return false;
        attempt->flushed = true;
        return tpm_live_flush_others(attempt->tpm);
    default:
        return false;
    }
}
