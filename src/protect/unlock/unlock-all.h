/*
 * What the initramfs does, in this order: wait a bounded time for the TPM and the pinned volumes; note the PCRs; all
 * TPM work that needs no PIN; ask, with the policy's number of tries, where a volume has several PINs for the
 * operator's number first; open each volume under its pinned name, with the options of its crypttab entry; ask for the
 * recovery keys of what is still closed; cap; report. Whatever cannot be opened is said with its reason and left to the
 * distribution's own prompt: for good, since after the cap nothing can be unsealed. A volume that appears later than
 * `wait_s` is opened by its passphrase.
 *
 * A recovery key is taken at every prompt, and is never sent to the TPM: what has its form is tried on the keyslots of
 * recovery keys alone, and costs no PIN try.
 *
 * A lockout keeps the PIN from being asked for. Whoever leaves the recovery key's prompt after the lockout has ended is
 * asked for the PIN once more.
 *
 * A TPM that is announced but silent: its volumes are left to the prompt too; cap-record.h has the rest.
 */
#pragma once

#include "protect/unlock/report.h"

/* How it talks to the person; the program gives it, so that this folder needs to know no prompt. */
struct unlock_ui {
    void (*show)(void *context, const char *line);
    void (*detail)(void *context, const char *line); /* for who wants it verbose; may be NULL */
    int (*ask)(void *context, const char *prompt, struct secret *ret, struct error *error);
    /* for what may be seen while it is typed; NULL: ask */
    int (*ask_number)(void *context, const char *prompt, struct secret *ret, struct error *error);
    int (*ask_recovery_key)(void *context, const char *prompt, struct secret *ret, struct error *error); /* NULL: ask */
    void *context;
};

struct unlock_all_request {
    const char *pins_path;   /* a missing file: no volume is pinned, the cap PCR is CAP_DEFAULT_PCR */
    const char *tcti;        /* NULL: /dev/tpm0 once the firmware's announcement is there, else /dev/tpmrm0 */
    const char *report_path; /* NULL: none is written */
    const char *run;         /* folder of the cap's record (cap-record.h); NULL: none is kept */
    const char *crypttab;    /* options of the mappings (crypttab.h); NULL: none */
    unsigned wait_s;         /* for devices to appear */
    bool test;               /* prove that they would open, activate nothing; the cap is done all the same */
    struct unlock_ui ui;
};

/* 0 when every pinned volume is open, else the kind of the first failure. The details are in the report and were shown.
 */
int unlock_all(const struct unlock_all_request *request, struct report *ret_report, struct error *error);
