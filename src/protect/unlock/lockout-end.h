/*
 * How long the TPM refuses PINs. It tells how many wrong ones it counts and how often it forgives one, but not when it
 * did so last: the end is known as a time by which it will have come, if the machine stays on.
 */
#pragma once

#include "tpm/tpm.h"

#include <time.h>

#define LOCKOUT_DURATION_TEXT 48

/* Seconds until the TPM takes a PIN again, at the most; 0 when it takes one now, or does not say. */
uint32_t lockout_longest_s(const struct tpm_state *state);

/* "2 h 46 min", "9 min 58 s", "45 s". */
void lockout_duration_format(uint32_t seconds, char ret[LOCKOUT_DURATION_TEXT]);

/* ERROR_LOCKOUT that says until when, at `now` (time(2)); a clock that was never set is left out. */
int lockout_refuse(const struct tpm_state *state, time_t now, struct error *error);
