/*
 * The doctor: everything that would make protection weak, or the next boot fail. In three steps: facts are gathered
 * (gather.c, next-boot.c and system.c: the only ones that look at the machine), checks are pure functions over the
 * facts (one file per group, one row per finding), and what is safe is repaired by those who made it (repair.c).
 */
#pragma once

#include "measure/boot-chain.h"
#include "policy/document.h"
#include "protect/status/status.h"
#include "tpm/approval-index.h"

/* ---- facts ---- */

enum doctor_answer { DOCTOR_NO, DOCTOR_YES, DOCTOR_NOT_KNOWN };

struct doctor_volume {
    const struct status_volume *status;
    struct error pin; /* kind other than ERROR_NONE: the volume is not the pinned one */
    bool pending;     /* an enrolment was cut */
    bool list_good;   /* its list of approved states is the state folder's */
    bool list_cut;    /* and a change of it has not come to its end */
};

#define DOCTOR_PATH_MAX 255
#define DOCTOR_IMAGES_MAX 16
#define DOCTOR_PLACES_MAX 32
#define DOCTOR_BOOT_FILES_MAX 16

struct doctor_place {
    char path[DOCTOR_PATH_MAX + 1];
    bool safe; /* shown to lie on an encrypted volume (for a device to resume from: on a pinned one) */
};

struct doctor_places {
    struct doctor_place items[DOCTOR_PLACES_MAX];
    size_t count;
};

struct doctor_image { /* an initramfs with a kernel beside it */
    char path[DOCTOR_PATH_MAX + 1];
    struct error error; /* kind other than ERROR_NONE: it cannot be looked at */
    bool has_program;
    bool program_is_installed; /* its program is the one that is installed */
    bool pins_are_current;
};

struct doctor_boot_file {
    char path[DOCTOR_PATH_MAX + 1];
    struct error error; /* what is wrong with it, and what to do */
};

/* Of the boot that comes when nobody touches anything. */
struct doctor_next_boot {
    bool predicted;          /* false: there is no event log, or nothing is approved; then nothing is said */
    struct error error;      /* kind other than ERROR_NONE: it is known, and not approved */
    uint32_t unpredictable;  /* PCRs of the policy */
    char why[PCR_COUNT][96]; /* for each of them */
};

struct doctor_facts {
    struct status status;
    struct doctor_volume volumes[PINS_MAX_VOLUMES];
    size_t volume_count;
    struct lockout_rules rules; /* the policy's */

    enum doctor_answer srk; /* DOCTOR_YES: the pinned one; DOCTOR_NO: another one; DOCTOR_NOT_KNOWN: see srk_missing */
    bool srk_missing;
    bool index_known; /* the next two are set */
    enum tpm_index_condition index;
    bool index_holds_list;
    uint32_t active_pcrs; /* of the approval's bank */
    bool lockout_auth_kept;

    enum boot_chain chain;
    struct doctor_next_boot next;
    struct doctor_boot_file changed[DOCTOR_BOOT_FILES_MAX]; /* boot files that something else has changed */
    size_t changed_count;

    enum doctor_answer secure_boot; /* DOCTOR_NOT_KNOWN: no UEFI */
    enum doctor_answer panic;       /* the kernel's command line has panic= */
    bool state_encrypted;
    bool boot_encrypted;            /* /boot; true when there is none */
    struct doctor_places resume;    /* none or one */
    struct doctor_places swaps;     /* zram excepted */
    struct doctor_places key_files; /* crypttab's */
    struct doctor_places copied;    /* of these: what cryptsetup's hook copies into the initramfs (KEYFILE_PATTERN) */
    struct doctor_image images[DOCTOR_IMAGES_MAX];
    size_t image_count;
};

static inline bool doctor_is_enrolled(const struct doctor_facts *facts)
{
    return facts->status.state.has_pins && facts->volume_count > 0;
}

struct doctor_request {
    struct status_request status;
    const char *root;        /* folder that the system's files are under: "" for this very system */
    const char *policy_path; /* the machine's policy under `root`; when it is not there, its defaults count */
    const char *log_path;    /* the running boot's event log; NULL: the kernel's under `root` */
};

int doctor_gather(const struct doctor_request *request, struct doctor_facts *ret, struct error *error);
void doctor_facts_free(struct doctor_facts *facts);

/* The lockout rules that hold on this machine. */
int doctor_rules(const struct doctor_request *request, struct lockout_rules *ret, struct error *error);

/* The part that is about boot chain and boot files; ret->status is there. */
void doctor_gather_next_boot(const struct doctor_request *request, struct doctor_facts *ret);

/* The part that is about the system under request->root; the state's pins are in ret->status. */
void doctor_gather_system(const struct doctor_request *request, struct doctor_facts *ret);

/* ---- findings ---- */

enum doctor_severity {
    DOCTOR_NOTE,    /* worth knowing */
    DOCTOR_WARNING, /* protection is weaker than it could be */
    DOCTOR_FAULT,   /* there is no protection, or the next boot will ask for the recovery key */
};

enum doctor_repair { /* what --fix does */
                     DOCTOR_REPAIR_NONE,
                     DOCTOR_REPAIR_APPROVAL,  /* SRK, index and lists, from the state folder */
                     DOCTOR_REPAIR_LOCKOUT,   /* lockout authorisation and limits */
                     DOCTOR_REPAIR_LEFTOVERS, /* of enrolments that were cut */
                     DOCTOR_REPAIR_INITRAMFS, /* is built anew */
                     DOCTOR_REPAIRS,
};

struct doctor_findings;
struct doctor_check {
    const char *kind; /* stable: scripts know it */
    enum doctor_severity severity;
    enum doctor_repair repair;
    void (*run)(const struct doctor_facts *facts, const struct doctor_check *check, struct doctor_findings *findings);
};

struct doctor_finding {
    const struct doctor_check *check;
    char subject[DOCTOR_PATH_MAX + 1]; /* the volume, file or PCR that it is about; may be empty */
    char text[1024];                   /* what it means */
    char remedy[512];                  /* what to run */
    bool fixed;
    struct error fix; /* why --fix could not repair it */
};

#define DOCTOR_FINDINGS_MAX 256 /* more are dropped: by then somebody has enough to do */
struct doctor_findings {
    struct doctor_finding *items; /* free() */
    size_t count;
};

/* The groups, each ending with an empty row. */
extern const struct doctor_check *const doctor_groups[];
extern const struct doctor_check doctor_checks_tpm[], doctor_checks_boot[], doctor_checks_next_boot[],
    doctor_checks_volumes[], doctor_checks_storage[], doctor_checks_initramfs[];

int doctor_examine(const struct doctor_facts *facts, struct doctor_findings *ret, struct error *error);
void doctor_findings_free(struct doctor_findings *findings);

/* For the checks. `remedy` is a whole text; the format makes what it means. */
void doctor_find(struct doctor_findings *findings, const struct doctor_check *check, const char *subject,
                 const char *remedy, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* "note", "warning", "fault". */
const char *doctor_severity_name(enum doctor_severity severity);

/* ---- repairs ---- */

/* Repairs what can be, each kind of repair once. A failure is told at the findings that it was for; `fixed` is set by
 * doctor_mark_fixed(). */
void doctor_repair(const struct doctor_request *request, struct doctor_findings *findings);

/* What was found before, could be repaired, and is not there any more is fixed; what is new since is appended. */
void doctor_mark_fixed(struct doctor_findings *before, const struct doctor_findings *now);
