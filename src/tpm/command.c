#include "tpm/internal.h"

#include "base/clock.h"

#define PAUSE_MS 20 /* between tries: short beside a self-test, long beside a firmware TPM's command */

static bool wait_a_little(struct tpm_attempt *attempt)
{
    if (attempt->tpm->is_stuck)
        return false;
    if (attempt->started_ms == 0)
        attempt->started_ms = clock_now_ms();
    if (clock_now_ms() - attempt->started_ms >= TPM_PATIENCE_MS) {
        attempt->tpm->is_stuck = true;
        return false;
    }
    clock_pause_ms(PAUSE_MS);
    return true;
}

/* The flushing is made of commands, too: those are given no room. */
static bool make_room(struct tpm_attempt *attempt)
{
    struct tpm *tpm = attempt->tpm;

    if (attempt->flushed || tpm->is_making_room)
        return false;
    attempt->flushed = true;
    tpm->is_making_room = true;
    tpm_live_flush_others(tpm);
    tpm->is_making_room = false;
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
    case TPM2_RC_MEMORY:
        return make_room(attempt);
    default:
        attempt->tpm->is_stuck = false;
        attempt->tpm->is_broken |= rc && !tpm_response_code(rc);
        return false;
    }
}
