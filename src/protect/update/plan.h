/*
 * Which of the predicted boots are to be approved, and why the others are not. Three rules: only what this system
 * wrote or verified is approved; a boot that gives a shell is never approved unasked; nothing of the firmware's is
 * taken over from a boot that was not approved.
 *
 * Pure: it decides over values; update/foresee.h acts on them.
 */
#pragma once

#include "measure/predict/predict.h"
#include "policy/approval.h"

enum update_verdict {
    UPDATE_APPROVED, /* its values are approved already */
    UPDATE_APPROVE,  /* they are new, and good */
    UPDATE_UNKNOWN,  /* PCRs of the policy that cannot be predicted */
    UPDATE_FIRMWARE, /* this boot was not approved, and the firmware's own part of it would be taken over */
    UPDATE_SHELL,    /* gives a shell, and --allow-rescue was not given */
    UPDATE_FOREIGN,  /* rests on a file that this system neither wrote nor verified */
};

#define UPDATE_REASON_MAX 511

struct update_choice {
    const struct predicted_boot *boot; /* borrowed from the prediction */
    enum update_verdict verdict;
    char reason[UPDATE_REASON_MAX + 1]; /* empty for UPDATE_APPROVED and UPDATE_APPROVE */
};

struct update_plan {
    struct update_choice *choices; /* as many, and in the same order, as the prediction's boots */
    size_t count;
};

/* Which PCRs can be predicted on this machine: those in which the running boot, predicted from its own sources, came
 * out as it was. */
struct update_trust {
    uint32_t pcrs;
    char why_not[PCR_COUNT][128]; /* for the others */
};

/* What a verification shows. `before`: PCRs that could be reproduced at an earlier time of this boot or in the last
 * good one; they count where a file was changed since, so that this boot cannot tell any more. */
void update_trust_from(const struct verification *verification, uint32_t before, struct update_trust *ret);

/* 0 when every file of the list is one that this system wrote or verified; ERROR_REFUSED with the one that is not. */
typedef int (*update_check_files)(void *context, const struct extend_list *extends, struct error *error);

struct update_rules {
    const struct approval *approval; /* in force */
    const struct update_trust *trust;
    /* Of the running boot; NULL: not known, and its being approved is the caller's business. PCRs that no boot file
     * accounts for (firmware, its settings and keys: 0 to 3, 5 to 7, 14) are predicted from this boot. If it was not
     * approved, as after a recovery key, only a value counts there that an approved state has. */
    const struct pcr_values *running;
    bool allow_rescue;
    update_check_files check_files;
    void *context;
};

/* An error is short memory, or what the check returns but ERROR_REFUSED. */
int update_plan_make(const struct prediction *prediction, const struct update_rules *rules, struct update_plan *ret,
                     struct error *error);
void update_plan_free(struct update_plan *plan);

/* "approved", "approve", "unknown", "firmware", "shell", "foreign-file". */
const char *update_verdict_name(enum update_verdict verdict);

/* The boot that comes when nobody touches anything, and nothing more happens to the firmware's variables until then. */
bool update_choice_is_next(const struct update_choice *choice);

/* Whether the machine would open its volumes if it booted now: in one order of the disks such a boot is approved or to
 * be. If not, *ret_why is the choice that is in the way, NULL when there is no such boot. */
bool update_plan_covers_next(const struct update_plan *plan, const struct update_choice **ret_why);
