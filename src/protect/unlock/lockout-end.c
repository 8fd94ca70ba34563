#include "protect/unlock/lockout-end.h"

#include <stdio.h>

#define CLOCK_IS_SET 1577836800 /* 2020-01-01: before this program was written it was never that early */

uint32_t lockout_longest_s(const struct tpm_state *state)
{
    uint64_t tries, seconds;

    if (!state->in_lockout)
        return 0;
    tries = state->lockout_counter >= state->max_tries ? (uint64_t)state->lockout_counter - state->max_tries + 1 : 1;
    seconds = tries * state->recovery_s;
    return seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

void lockout_duration_format(uint32_t seconds, char ret[LOCKOUT_DURATION_TEXT])
{
    static const struct {
        uint32_t large_s, small_s;
        const char *large, *small;
    } units[] = { { 86400, 3600, "d", "h" }, { 3600, 60, "h", "min" }, { 60, 1, "min", "s" } };
    size_t i = seconds >= 86400 ? 0 : seconds >= 3600 ? 1 : 2;
    uint32_t large = seconds / units[i].large_s, small = seconds % units[i].large_s / units[i].small_s;

    if (large && small)
        snprintf(ret, LOCKOUT_DURATION_TEXT, "%u %s %u %s", large, units[i].large, small, units[i].small);
    else
        snprintf(ret, LOCKOUT_DURATION_TEXT, "%u %s", large ? large : small, large ? units[i].large : units[i].small);
}

/* ", until 14:32:10 UTC at the latest (9 min 58 s)" */
static void format_end(uint32_t seconds, time_t now, char *ret, size_t size)
{
    char duration[LOCKOUT_DURATION_TEXT], clock[64];
    time_t end = now + (time_t)seconds;
    struct tm local;

    ret[0] = '\0';
    if (!seconds)
        return;
    lockout_duration_format(seconds, duration);
    if (now < CLOCK_IS_SET || !localtime_r(&end, &local) ||
        !strftime(clock, sizeof(clock), seconds < 86400 ? "%H:%M:%S %Z" : "%Y-%m-%d %H:%M %Z", &local))
        snprintf(ret, size, ", for %s at the most", duration);
    else
        snprintf(ret, size, ", until %s at the latest (%s)", clock, duration);
}

int lockout_refuse(const struct tpm_state *state, time_t now, struct error *error)
{
    char end[160];

    format_end(lockout_longest_s(state), now, end, sizeof(end));
    error_set(error, ERROR_LOCKOUT, "the TPM refuses PINs after %u wrong ones%s", state->lockout_counter, end);
    return error_remedy(error,
                        "wait with the machine switched on (one try is forgiven each %u s), or use the recovery key",
                        state->recovery_s);
}
