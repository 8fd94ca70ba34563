/*
 * A wrong lockout authorisation locks the lockout hierarchy (for lockout_recovery_s, or with 0 until the next start),
 * against the right one too. So one that the TPM refused is written down, and not sent again:
 *
 *   - to the TPM that refused it, known by its SRK's Name,
 *   - until lockout_recovery_s of the TPM's clock have passed (with 0: until its next reset); in the meantime the TPM
 *     would take none anyway.
 *
 * Another authorisation may be sent at any time. One record is enough: nothing else can be refused in the meantime.
 *
 * STATE/lockout-refused.json: { "version": 1, "srk": "Name in hex", "digest": "SHA-256 in hex", "clock_ms": N,
 * "reset_count": N, "recovery_s": N }. The digest is of the authorisation; the folder, which holds the right one in
 * clear, keeps it as well as that.
 */
#pragma once

#include "protect/state.h"
#include "tpm/tpm.h"

struct lockout_refusal {
    struct object_name srk;
    struct digest auth;
    uint64_t clock_ms;
    uint32_t reset_count;
    uint32_t recovery_s;
};

/* What would be written down if the TPM (state->pins.srk) refused `auth` now. Reads its clock and limits. */
int lockout_refusal_prepare(struct tpm *tpm, const struct state *state, const struct secret *auth,
                            struct lockout_refusal *ret, struct error *error);

/* ERROR_REFUSED when the one that `now` describes was refused and may not be sent yet; the remedy says how long. */
int lockout_refusal_check(const struct state *state, const struct lockout_refusal *now, struct error *error);

int lockout_refusal_write(const struct state *state, const struct lockout_refusal *refusal, struct error *error);

/* After the TPM took one. */
int lockout_refusal_forget(const struct state *state, struct error *error);
