/*
 * The suspension in an approval: one, or none. It is a branch for each value that the cap PCR may have before the cap,
 * and all of them share the rest. What is left of it is told from the TPM's clock (TPM2_ReadClock), which nobody
 * proves: it serves for words, and the TPM holds the suspension to its limits.
 */
#pragma once

#include "policy/approval.h"

#define SUSPEND_MAX_REBOOTS 15
#define SUSPEND_SPARE_RESETS 6 /* that the firmware may add when it updates itself */
#define SUSPEND_MAX_CAPS 7     /* with the authority they still fit into one PolicyOR of their own */

struct suspension {
    uint32_t after, until; /* holds while after < resetCount <= until, and restartCount is 0 */
    bool has_clock;
    uint64_t clock_ms; /* holds while clock <= clock_ms */
    enum suspend_purpose purpose;
    bool then_reseal;
    bool without_pin;
};

/* The TPM's time, as tpm_clock_read() has it. */
struct suspension_time {
    uint32_t reset_count;
    uint64_t clock_ms;
};

/* False: there is none. A list from elsewhere may have suspensions that differ: the first one counts. */
bool suspension_find(const struct approval *approval, struct suspension *ret);

/*
 * Replaces the suspension: it will hold where the cap PCR has the value that a boot branch of the approval has, or one
 * of those in `more` (each with the cap PCR in its mask), or zero, or what was given before and SUSPEND_MAX_CAPS are
 * reached. `more_count` may be 0.
 */
int suspension_set(struct approval *approval, const struct suspension *suspension, const struct pcr_values *more,
                   size_t more_count, struct error *error);

/* False: there was none. */
bool suspension_drop(struct approval *approval);

/* The reboots that it still covers; 0 when it is over, by their number or by the clock. */
unsigned suspension_reboots_left(const struct suspension *suspension, const struct suspension_time *now);

/* True when the running boot came after it was made, and within its limits as far as they can be told now. */
bool suspension_covers_running(const struct suspension *suspension, const struct suspension_time *now);

/* "by hand", "update", "firmware" */
const char *suspend_purpose_name(enum suspend_purpose purpose);
