/*
 * The policy document: what a machine's administrator decides, in JSON, described in bootseal-policy(5) and
 * policy/schema.json. Presets are such documents, one per boot chain, in the data folder; the machine's own is
 * /etc/bootseal/policy.json. Keys that are left out have the defaults given here; unknown ones are errors.
 *
 *   { "version": 1, "bank": "sha256", "pcrs": [4, 7, 8, 9, 12, 14], "cap": 12, "tries": 3, "root": "pinned",
 *     "on_failure": "warn", "after_recovery": "advise",
 *     "pin": { "min_length": 6, "max_length": 20, "characters": "digits", "allow_simple": false },
 *     "kdf": { "memory_kib": 65536, "time_ms": 500, "floor_memory_kib": 8192, "floor_iterations": 1 },
 *     "lockout": { "max_tries": 32, "recovery_s": 600, "lockout_recovery_s": 86400 } }
 */
#pragma once

#include "base/pcr.h"
#include "base/secret.h"

#define PIN_MAX_BYTES 256

struct pin_rules {
    unsigned min_length; /* bytes; default 6, at least 4 */
    unsigned max_length; /* bytes; default 20, at most PIN_MAX_BYTES */
    bool digits_only;    /* "characters": "digits" (default) or "any" */
    bool allow_simple;   /* sequences, repeats and years too; default false */
};

struct kdf_rules {
    uint32_t memory_kib;       /* Argon2id memory asked for; default 65536, at least 8192 */
    uint32_t time_ms;          /* how long one derivation should take on the enrolling machine; default 500 */
    uint32_t floor_memory_kib; /* the unlocker refuses less; default 8192 */
    uint32_t floor_iterations; /* the unlocker refuses less; default 1 */
};

struct lockout_rules {
    uint32_t max_tries;          /* default 32, at most 32 */
    uint32_t recovery_s;         /* default 600, at least 600 */
    uint32_t lockout_recovery_s; /* default 86400 */
};

/* "on_failure": "warn" (default): the hook says so, and the update goes on; "fail": the update fails; "suspend": the
 * next boot is let through by a suspension, or where that cannot be, as "warn". */
enum update_failure { UPDATE_WARNS, UPDATE_FAILS, UPDATE_SUSPENDS };

struct policy_document {
    enum hash_algorithm bank; /* sha256 (default), sha384 or sha512 */
    uint32_t pcrs;            /* mask; never empty, never PCR 10, 16 or 23, always with the cap PCR */
    unsigned cap;             /* default 12; one of 8 to 15, not 10 */
    unsigned tries;           /* at the prompt of one boot; default 3, 1 to 10 */
    bool any_root;            /* "root": "pinned" (default), or "any": a root that is not on pinned volumes may run */
    enum update_failure on_failure; /* what a hook does when the next boot cannot be approved */
    bool reseal_after_recovery; /* "after_recovery": "reseal": boot-ok approves a boot that a recovery key opened when
                                   recorded updates explain it; or "advise" (default): it says what to do */
    struct pin_rules pin;
    struct kdf_rules kdf;
    struct lockout_rules lockout;
};

/*
 * Reads a document. `name` with a '/' or ending in ".json" is a file; otherwise one preset's name, or several joined by
 * commas, whose PCRs are united (the first one's other settings hold), from FOLDER/NAME.json. A fault is ERROR_USAGE
 * and names file, key and rule; an unknown preset lists those that there are.
 */
int policy_document_read(const char *folder, const char *name, struct policy_document *ret, struct error *error);

/* The same on text; `source` names it in errors. */
int policy_document_parse(const char *text, const char *source, struct policy_document *ret, struct error *error);

/* All keys left out: the rules for PINs and their derivation where no document says other ones. `pcrs` is empty, so it
 * is nothing to enroll by. */
struct policy_document policy_document_default(void);

/* `4,7,9` into a mask; ERROR_USAGE for anything that is not PCR numbers from 0 to 23. */
int policy_pcrs_parse(const char *list, uint32_t *ret_mask, struct error *error);

/* The rules for bank, selection and cap, for documents and for --pcrs and --bank alike. `source` names the origin. */
int policy_document_check(const struct policy_document *document, const char *source, struct error *error);

/*
 * Refuses (ERROR_REFUSED) to rely on what is not there: a PCR of the selection at its reset value, 12, 13 and 14
 * excepted (zero there means that nothing was added, which is worth binding), and so is the cap, which is there to be
 * extended later. Refuses a selection that covers neither kernel nor initrd (none of 4, 8, 9, 11) where GRUB measures
 * commands (PCR 8 is not at its reset value), or without a PIN. `values` are those of the boot state, with PCR 8 beside
 * the selection if it is known.
 */
int policy_document_check_values(const struct policy_document *document, const struct pcr_values *values, bool has_pin,
                                 struct error *error);

/*
 * The rules for a new PIN: length, characters, and that it is none of the first that anyone tries: a piece of one to
 * four bytes again and again; a sequence, each digit as far from the one before it (0 comes after 9), or letters in the
 * order of their codes; four to eight digits that begin with a year, 19xx or 20xx, or end with one after numbers from 1
 * to 31. ERROR_USAGE with the rule; never quotes the PIN. It is bytes as they were typed: nothing is normalised.
 */
int policy_pin_check(const struct pin_rules *rules, const struct secret *pin, struct error *error);
