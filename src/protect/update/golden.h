/*
 * Good boots on record: for each, its event log, the PCR values that its initramfs saw, kernel and time. `explain`
 * holds the running boot against the one that is nearest to it.
 *
 * In the state folder, golden-log.json lists them, the latest first; each log is a file of its own, named after its
 * SHA-256 and written before the list is, which is the commit point. There is one for each boot state, and only for
 * states that are approved: so with two kernels in turn, both are there. A boot without an event log (Debian's GRUB
 * with Secure Boot off) has its values alone.
 *
 *   { "version": 1, "boots": [ { "log": "golden-log-<16 digits>.bin" or null, "sha256": "hex" or null,
 *     "boot_id": "…", "kernel": "6.1.0-50-amd64", "date": "2026-11-22T08:00:00Z", "bank": "sha256",
 *     "pcrs": { "0": "hex", … } } ] }
 */
#pragma once

#include "luks/token.h"
#include "measure/event-log.h"
#include "protect/boot/boot-record.h"
#include "protect/state.h"

#define GOLDEN_MAX 4                       /* current and previous kernel, or two slots, each twice */
#define GOLDEN_LOG_MAX_BYTES (1024 * 1024) /* the longest that was seen has 60 KiB */
#define GOLDEN_KERNEL_MAX 63

struct golden_boot {
    bool has_log;
    struct digest log_sha256;
    char boot_id[BOOT_ID_TEXT];
    char kernel[GOLDEN_KERNEL_MAX + 1];
    char date[TOKEN_TIME_TEXT];
    struct pcr_values values; /* before the cap */
};

struct golden_list {
    struct golden_boot items[GOLDEN_MAX];
    size_t count;
};

/* What is on record; none is success. A damaged list is ERROR_METADATA. */
int golden_read(const struct state *state, struct golden_list *ret, struct error *error);

/* The boot whose values differ in the fewest PCRs of `mask`, the latest of those; -1 when there is none of this bank.
 */
int golden_nearest(const struct golden_list *list, const struct pcr_values *values, uint32_t mask);

/* Reads a boot's log and makes sure that it is the one that was kept. Without one: ERROR_FAILED. */
int golden_read_log(const struct state *state, const struct golden_boot *boot, struct event_log *ret,
                    struct error *error);

/*
 * The PCRs of `mask` for which a log speaks and does not give these values: there it is not what was measured. PCR 11
 * may have gone on by systemd's boot phases. A log without the values' bank speaks for none.
 */
int golden_check_log(const struct event_log *log, const struct pcr_values *values, uint32_t mask, uint32_t *ret_differ,
                     struct error *error);

/* True for a boot that went as it should: every volume was opened by the TPM, the boot was capped, and its state is one
 * of the approval. */
bool golden_is_good(const struct approval *approval, const struct boot_record *record);

enum golden_outcome {
    GOLDEN_KEPT,         /* with its log */
    GOLDEN_KEPT_VALUES,  /* this boot has no log, or one that is too long */
    GOLDEN_UNCHANGED,    /* this very boot is on record */
    GOLDEN_NOT_GOOD,     /* see golden_is_good() */
    GOLDEN_NOT_REPLAYED, /* the log does not give the values: nothing is kept */
};

/*
 * Keeps the running boot if it was good. `state` is open for changing; `log_path` NULL: the kernel's. What is no longer
 * approved is forgotten on the way.
 */
int golden_keep(const struct state *state, const struct boot_record *record, const char *log_path,
                enum golden_outcome *ret, struct error *error);
