/*
 * Approving the next boot before it comes: what the machine may choose is predicted, what rests on known files alone is
 * approved beside what is approved already. Neither PIN nor passphrase is needed: the authority signs.
 *
 *   lock - settle a cut change - put the files that were just written on record - predict - decide - switch
 *
 * The prediction is made under the lock, so that of two hooks the later one has the later files. What an earlier call
 * in this same boot had predicted for a boot entry, and what is not predicted any more, goes; all else stays until
 * reseal_commit(): the running boot's state, states of other boots, and states for other contents of the firmware's
 * variables (PCRs 7 and 14), since an update that an earlier call was told of may still be written. A suspension ends
 * when the caller says so and the next boot is approved without it.
 */
#pragma once

#include "protect/reseal.h"
#include "protect/update/machine.h"
#include "protect/update/plan.h"

/* Which suspensions a call ends: none; those that bridge an update (SUSPEND_UPDATE); any. */
enum foresee_ends { FORESEE_ENDS_NONE, FORESEE_ENDS_UPDATE, FORESEE_ENDS_ANY };

struct foresee_request {
    struct reseal_request reseal;
    const char *log_path;       /* NULL: the kernel's */
    const char *const *written; /* patterns (glob(3)) of boot files that this system has just written: file-rules.h;
                                   NULL at the end, or NULL */
    const char *built;          /* one more such file, or NULL */
    const char *trusted;        /* a boot file that a person vouches for, or NULL */
    const char *slot;           /* folder of an update whose signature was checked: what the prediction finds there is
                                   the update's; or NULL */
    const struct variable_change *changes; /* updates of firmware variables that are about to be written, */
    size_t change_count;                   /* in their order: each state on the way is approved */
    bool trust_all;                        /* all that it rests on is vouched for: at enrolment */
    bool allow_rescue;
    enum foresee_ends ends;
    bool read_only; /* foresee_look() alone: what is found is not put on record either, and no lock is taken */
};

struct foresee_result {
    struct reseal_result approved;
    struct update_machine machine;
    struct prediction prediction;
    struct update_trust trust;
    struct update_plan plan;
    size_t added;       /* states approved now that were not before */
    bool next_opens;    /* the boot that comes when nobody touches anything is approved */
    bool by_suspension; /* it is not, but a suspension covers it; foresee() alone can tell */
    struct error why;   /* if not: what is in the way, ERROR_MISMATCH or ERROR_REFUSED, with a remedy */
};

/* 0 also when the next boot is not covered: that is told in the result, which the caller gives to foresee_end(). */
int foresee(const struct foresee_request *request, struct foresee_result **ret, struct error *error);

/* The same without the last step, for which alone a TPM is needed: what is on record is brought up to date, nothing is
 * approved. */
int foresee_look(const struct foresee_request *request, struct foresee_result **ret, struct error *error);

void foresee_end(struct foresee_result **result);

/* True when foresee() would approve something that is not approved yet. */
bool foresee_has_news(const struct foresee_result *result);

/* The boot states that may come: those of the plan that are approved or to be. `ret` has room for plan.count. */
size_t foresee_coming(const struct foresee_result *result, struct pcr_values *ret);
