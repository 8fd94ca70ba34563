/*
 * The journal entries of boot-ok: what happened becomes fields, bytes in and values out. Which fields an entry has, and
 * what each MESSAGE_ID stands for, is told in bootseal-journal(7); IDs and names never change their meaning.
 */
#pragma once

#include "policy/approval.h"
#include "protect/boot/boot-record.h"

#define BOOT_EVENT_PIN "b288e4bf0c7e4bcbb3f15e7c5051e98d"           /* opened by boot state and PIN */
#define BOOT_EVENT_NO_PIN "d506eb49bfcf4f49a8a83cf8c9b840ed"        /* opened by the boot state alone */
#define BOOT_EVENT_RECOVERY "bf861ce782794718a5a8e94963687d48"      /* opened by a recovery key */
#define BOOT_EVENT_MISMATCH "221e27c359bc47a8a00ab99097a3736a"      /* the boot state is not approved */
#define BOOT_EVENT_WRONG_PIN "2d512ba9df5f4d98a0fa21b4824346c7"     /* no right PIN was typed */
#define BOOT_EVENT_LOCKOUT "8147d6701f124e82ab2281b86a08e549"       /* the TPM refuses PINs */
#define BOOT_EVENT_TPM "7b27e9b5d2aa4562a4aabd39a589f44d"           /* no TPM, another one, or it failed */
#define BOOT_EVENT_NOT_OPENED "b6c90f066ff247fa86321e777cf62dbe"    /* not opened for another reason */
#define BOOT_EVENT_NOT_CAPPED "47d136c607f64e82ae0706af53b75920"    /* the boot's right to unseal was not ended */
#define BOOT_EVENT_NO_REPORT "627be3ef689a4e55bead618f378bade7"     /* the initramfs has recorded nothing */
#define BOOT_EVENT_COUNTER_RESET "0c353b2176a5499889f8dabe42aec203" /* the counter of wrong PINs was set to 0 */
#define BOOT_EVENT_SUSPENDED "c6affdf2f39740ee84f10d1caa46923b"     /* opened by a suspension, not approved */
#define BOOT_EVENT_RESUMED "a14cbbf045424e479eedb0c7d9893bbf"       /* the suspension is ended */

#define BOOT_EVENT_CHANGED "0d99c41ca9214485bd7365c8c5a6152c"   /* what changed in a boot that is not approved */
#define BOOT_EVENT_RESEALED "f2bd163ff5614e57b3d01abbd07764d4"  /* recorded updates explain it: it is approved now */
#define BOOT_EVENT_COMMITTED "762866db5e334d279fb851050984f1f2" /* boot states that are not used any more dropped */

#define BOOT_EVENT_FIELDS_MAX 16
#define BOOT_EVENTS_MAX (3 * PINS_MAX_VOLUMES)

struct boot_event {
    char *fields[BOOT_EVENT_FIELDS_MAX]; /* "NAME=value", MESSAGE first; owned */
    size_t count;
};

struct boot_events {
    struct boot_event items[BOOT_EVENTS_MAX];
    size_t count;
};

void boot_events_free(struct boot_events *events);

/* The value of a field; NULL when the entry has none of that name. */
const char *boot_event_value(const struct boot_event *event, const char *name);

/* syslog's level (sd-daemon(3)): 6 for what is as it should be, 3 for what is broken. */
int boot_event_priority(const struct boot_event *event);

/* Adds what the record tells. `approval` (NULL: none is known) gives the PCRs in which a boot state differs. */
int boot_events_of_record(const struct boot_record *record, const struct approval *approval, struct boot_events *ret,
                          struct error *error);

/* Adds the one event of a machine that has pins but whose initramfs left no report. */
int boot_events_no_report(struct boot_events *ret, struct error *error);

/* Adds that the counter was `before` and is 0. */
int boot_events_counter_reset(unsigned before, struct boot_events *ret, struct error *error);

/* Adds what changed in a boot that is not approved: in which PCRs, since which good boot (NULL: none is on record), and
 * in words, which may be empty. */
int boot_events_changed(uint32_t pcrs, const char *since, const char *changes, struct boot_events *ret,
                        struct error *error);

/* Adds that boot-ok has approved this boot. */
int boot_events_resealed(uint32_t pcrs, struct boot_events *ret, struct error *error);

/* Adds that so many boot states are not approved any more. */
int boot_events_committed(size_t dropped, struct boot_events *ret, struct error *error);

/* The suspension is over: `resealed` tells that the boot state that it had let through is approved now. */
int boot_events_resumed(bool resealed, struct boot_events *ret, struct error *error);
