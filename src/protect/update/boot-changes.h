/*
 * What is different in this boot: against the approval, and against the good boot on record that is nearest to it.
 * Works without a TPM, from what the initramfs recorded, the event logs and the state folder, and as far as these are
 * there: what is missing is told by an error of its own, the rest is compared.
 */
#pragma once

#include "measure/compare.h"
#include "protect/update/golden.h"

struct boot_changes_request {
    const char *state_folder; /* NULL: STATE_FOLDER */
    const char *report_path;
    const char *log_path; /* NULL: the kernel's */
};

/* An event log and what its events stand for. */
struct told_log {
    struct event_log log;
    struct component_list components;
};

struct boot_changes {
    struct pcr_values values;  /* the boot state; mask 0: not known */
    struct error report_error; /* why they are not the initramfs's; kind ERROR_NONE: they are. Else they are what the
                                  event log gives */

    uint32_t pcrs;         /* the policy's; 0: nothing is approved on this machine */
    uint32_t not_approved; /* of these, those in which the boot differs from the nearest approved state */
    char nearest[BRANCH_LABEL_MAX + 1];

    bool has_golden;
    struct golden_boot golden;
    uint32_t differ; /* PCRs with other values than in the good boot, PCR 10 aside */

    struct error log_error; /* why the running boot's log, or the good boot's, cannot be read; ERROR_NONE: compared */
    struct told_log running, before;
    uint32_t unproven; /* PCRs for which the running boot's log does not give the value: its words may be lies */
    struct comparison comparison; /* empty unless both logs are there */
};

int boot_changes_read(const struct boot_changes_request *request, struct boot_changes *ret, struct error *error);
void boot_changes_free(struct boot_changes *changes);

/* True when the boot state is known and approved. */
bool boot_changes_is_approved(const struct boot_changes *changes);

/* PCRs of which there is something to say: not approved, other values, or other events. */
uint32_t boot_changes_pcrs(const struct boot_changes *changes);

/* Writes it for people: a line for the boot that it was compared with, one for each such PCR with the differences under
 * it, and one for the approval. Without a good boot the policy's PCRs are written with what each stands for. */
void boot_changes_put(FILE *stream, const struct boot_changes *changes);

/* Writes the differences of the PCRs in `mask` on one line, the first `max` of them: "PCR 9: the initrd /initrd.img:
 * other content; PCR 8: …". Nothing when there is nothing to tell. */
void boot_changes_put_short(FILE *stream, const struct boot_changes *changes, uint32_t mask, size_t max);
