/*
 * Replacing the approval: sealed objects, PINs and keyslots stay as they are; no PIN and no passphrase is needed. Two
 * calls at once take turns (the state folder's lock), and the second one starts from what the first has approved.
 */
#pragma once

#include "protect/state.h"
#include "tpm/tpm.h"

struct reseal_request {
    struct tpm *tpm;
    const char *state_folder;
    const char *report_path;
    bool current_values;             /* see boot-state.h */
    bool keep;                       /* reseal_current(): keep the boot states that are approved so far */
    bool mark_kept;                  /* reseal_current(): a person wants all of them beside each other */
    bool keep_kept;                  /* reseal_commit(): leave those that are marked, of the running entry too */
    const char *const *entries;      /* reseal_commit(): entries that may still be chosen, NULL at the end; or NULL */
    const struct pcr_values *coming; /* reseal_commit(): states that may still come, whatever their entry */
    size_t coming_count;
    const char *kernel_folder; /* reseal_commit() without entries: see entries.h; NULL: KERNEL_FOLDER */
};

/* A boot state that is approved now. */
struct reseal_state {
    char label[BRANCH_LABEL_MAX + 1];
    char entry[BRANCH_ENTRY_MAX + 1]; /* "" when it is not known */
    enum branch_source source;
    bool running; /* the running boot's */
};

struct reseal_result {
    bool resumed; /* a suspension was in force, or over and still on the list; it is ended */
    struct reseal_state states[APPROVAL_MAX_BRANCHES];
    size_t boot_branches; /* how many of them */
    size_t dropped;       /* boot states that were approved before, and are not now */
    size_t volumes;       /* whose header holds the list */
    char label[BRANCH_LABEL_MAX + 1];
};

/* Approves the state of the running boot, and ends a suspension. Repairs a lost index and headers whose list was
 * changed, on the way. */
int reseal_current(const struct reseal_request *request, struct reseal_result *ret, struct error *error);

/*
 * Drops the boot states that the running boot has outlived. What stays: the state that booted; states that were
 * approved since it booted, which are the next boot's; states of the entries that the caller names or, if it names
 * none, of other entries than the running one whose kernel is installed; with `keep_kept` those that a person has kept.
 * A suspension is ended. Nothing to drop is success, and then nothing is written.
 *
 * ERROR_MISMATCH when the running boot is not an approved one.
 */
int reseal_commit(const struct reseal_request *request, struct reseal_result *ret, struct error *error);

/* How many of the approval's boot states reseal_commit() would drop when this boot runs. No TPM. */
int reseal_count_outlived(const struct reseal_request *request, const struct approval *approval,
                          const struct pcr_values *running, size_t *ret, struct error *error);

/* ---- for others that change the approval ---- */

/* What every change starts with: the lock, and a list in force that the TPM agrees with. A change that was cut is
 * finished or taken back before it, whether or not there is anything more to change. */
int reseal_open(const struct reseal_request *request, struct state *state, struct error *error);

/* The running boot's state, of the approval's PCRs and as boot-state.h has it. */
int reseal_running(const struct reseal_request *request, const struct approval *approval, struct pcr_values *ret,
                   struct error *error);

/* Both. */
int reseal_begin(const struct reseal_request *request, struct state *state, struct pcr_values *ret_running,
                 struct error *error);

/* Fills in states, boot_branches, volumes and label from the approval in force. */
void reseal_describe(const struct state *state, const struct pcr_values *running, struct reseal_result *ret);
