/*
 * The approval: the branches in force on a machine and the objects that they release. One list for all its volumes; its
 * digest lies in the approval index, the list itself in each volume's bootseal-approval token and in the state folder.
 *
 *   boot branch       PolicyPCR(bank, selection, values)
 *   suspend branch    PolicyPCR(cap PCR before the cap), resetCount > after, resetCount <= until, restartCount = 0
 *                     [, clock <= clock_ms]
 *   authority branch  PolicySigned(authority, "bootseal admin")
 *   B                 PolicyOR tree of the branches (at least two)
 *   d_i               PolicyCpHash(Unseal, object i) on top of B
 *   approved          PolicyOR tree of the d_i
 *
 * As JSON (the token's fields; keys beside these are the caller's). Values that branches share are written once:
 *
 *   { "bank": "sha256", "pcrs": [4, 7, 12], "cap": 12, "values": ["hex", …],
 *     "branches": [ { "kind": "boot", "label": "…", "source": "measured", "values": [0, 1, 2],
 *                     "entry": "…", "approved_in": "1a2b3c4d", "kept": true },
 *                   { "kind": "suspend", "after": 40, "until": 41, "clock_ms": null, "value": 2,
 *                     "purpose": "firmware", "then_reseal": true, "without_pin": true },
 *                   { "kind": "authority", "public": "base64 of TPMT_PUBLIC" } ],
 *     "objects": ["Name in hex", …], "next": null or { "branches": […], "objects": […] } }
 */
#pragma once

#include "base/authority.h"
#include "base/json.h"
#include "base/pcr.h"
#include "policy/or-tree.h"

#define APPROVAL_MAX_BRANCHES 128
#define APPROVAL_MAX_OBJECTS 64
#define BRANCH_LABEL_MAX 63
#define BRANCH_ENTRY_MAX 63
#define BRANCH_BOOT_DIGITS 8

enum branch_kind { BRANCH_BOOT, BRANCH_SUSPEND, BRANCH_AUTHORITY };
enum branch_source { BRANCH_MEASURED, BRANCH_PREDICTED };

/* Why a suspension was made: by a person; since an update could not be foreseen, or is half done; for a firmware
 * update. */
enum suspend_purpose { SUSPEND_BY_HAND, SUSPEND_UPDATE, SUSPEND_FIRMWARE };

struct branch {
    enum branch_kind kind;
    char label[BRANCH_LABEL_MAX + 1]; /* boot: for people, "linux 6.1.0-50" */
    enum branch_source source;        /* boot */
    char entry[BRANCH_ENTRY_MAX + 1]; /* boot: which boot entry it is a state of, "6.1.0-50-amd64"; "" when unknown */
    char approved_in[BRANCH_BOOT_DIGITS + 1]; /* boot: the first digits of the boot_id of the boot that approved it */
    bool kept;                                /* boot: a person wants it kept beside others, "reseal --keep" */
    struct pcr_values values;                 /* boot: the selection; suspend: the cap PCR alone */
    uint32_t after, until;                    /* suspend: bounds of resetCount */
    bool has_clock;                           /* suspend */
    uint64_t clock_ms;                        /* suspend */
    enum suspend_purpose purpose;             /* suspend */
    bool then_reseal;                         /* suspend: boot-ok approves what a suspended boot has measured */
    bool without_pin;                  /* suspend: a protector without a PIN is under it, its secret is to be renewed */
    struct authority_public authority; /* authority */
};

/* All zero is an empty approval; approval_free() makes it one again. */
struct approval {
    enum hash_algorithm bank;
    uint32_t pcrs; /* mask, the same for every boot branch */
    unsigned cap;
    struct branch *branches;
    size_t branch_count;
    struct object_name *objects;
    size_t object_count;
};

/* How to satisfy it: from one branch and for one object. */
struct approval_path {
    struct or_path branches; /* PolicyOR after the branch's own condition */
    struct digest cp_hash;   /* PolicyCpHash */
    struct or_path objects;  /* PolicyOR after that */
};

void approval_free(struct approval *approval);
int approval_copy(const struct approval *from, struct approval *ret, struct error *error);

/* Appends a copy. ERROR_REFUSED past APPROVAL_MAX_*, with what to do. In a branch's label and entry, control characters
 * and broken UTF-8 become '?': they are shown on terminals, and any hand may have written them. */
int approval_add_branch(struct approval *approval, const struct branch *branch, struct error *error);
int approval_add_object(struct approval *approval, const struct object_name *object, struct error *error);
void approval_remove_branch(struct approval *approval, size_t i);
void approval_remove_object(struct approval *approval, size_t i);

/* The first index, or -1. */
int approval_find_branch(const struct approval *approval, enum branch_kind kind);

/* The first boot branch with these values of the selection, or -1; also when they are of another bank, or lack a PCR.
 */
int approval_find_state(const struct approval *approval, const struct pcr_values *values);

int approval_find_object(const struct approval *approval, const struct object_name *object);

/* The digest of one branch's condition, before the OR. */
int approval_branch_digest(const struct approval *approval, size_t i, struct digest *ret, struct error *error);

/* The digest for the index. Needs two branches and one object at least, else ERROR_METADATA. */
int approval_digest(const struct approval *approval, struct digest *ret, struct error *error);

int approval_path(const struct approval *approval, size_t branch, size_t object, struct approval_path *ret,
                  struct error *error);

/*
 * The PCRs in which a boot state differs from the boot branch that it is nearest to (fewest PCRs), 0 when one matches;
 * *ret_branch, if not NULL, is that branch. Without any boot branch: the whole selection and -1.
 */
uint32_t approval_mismatch(const struct approval *approval, const struct pcr_values *now, int *ret_branch);

/* Adds the fields to `object`, or replaces them. `next` may be NULL. The two share bank, selection and cap. What
 * approval_from_json() would refuse is not written: ERROR_FAILED, and the object is of no more use. */
int approval_to_json(const struct approval *approval, const struct approval *next, struct json_object *object,
                     struct error *error);

/* The same for a token: a LUKS2 header has little room, so what the unlocker has no use for is left out: labels, sources
 * and origins of boot branches. The reader takes them as empty, and a source as measured. */
int approval_to_token(const struct approval *approval, const struct approval *next, struct json_object *object,
                      struct error *error);

/* The reverse, total and bounded. *ret_has_next tells whether `next` was there; ret_next may be NULL. On failure both
 * results stay as they were. */
int approval_from_json(const struct json_view *view, struct approval *ret, struct approval *ret_next,
                       bool *ret_has_next, struct error *error);
