/*
 * The firmware's event log, as the kernel gives it out: what was extended into which PCR, and what the one who did it
 * says that it was. Two forms: the crypto-agile one (TCG PC Client Platform Firmware Profile 1.06, 10.2.2), which has a
 * digest for each bank, and the one before it (10.2.1), which has SHA-1 alone.
 *
 * Nothing in a log is trusted: parsing ends with a value or an error for any bytes. And nothing in it is proven: the
 * digests are, once replay.h's values equal the TPM's; of the data, only what event-check.h finds in the digest.
 *
 * The log owns a copy of the file; its events point into that. All zero is an empty log.
 */
#pragma once

#include "base/hash.h"

#define EVENT_LOG_PATH "/sys/kernel/security/tpm0/binary_bios_measurements"
#define EVENT_LOG_MAX_BYTES (4 * 1024 * 1024) /* Linux and firmware stop at some hundred KiB */
#define EVENT_LOG_MAX_EVENTS 8192             /* GRUB's longest configurations give some hundred */
#define EVENT_LOG_MAX_BANKS 8                 /* TPM 2.0 Part 2, HASH_COUNT; PC Client TPMs have up to four */
#define EVENT_LOG_MAX_DIGEST 128

/* One bank of the log. The algorithm may be one that hash.h does not know; hash_name() is NULL then. */
struct event_bank {
    uint16_t algorithm;
    uint16_t size;
    bool complete; /* every event has a digest for it */
};

struct event {
    uint32_t pcr; /* below PCR_COUNT, but for EV_NO_ACTION: any */
    uint32_t type;
    size_t offset;                              /* in the file */
    const uint8_t *digest[EVENT_LOG_MAX_BANKS]; /* by bank; NULL: this event has none for it */
    struct span data;
};

struct event_log {
    char *bytes;
    bool crypto_agile;
    struct event_bank banks[EVENT_LOG_MAX_BANKS];
    size_t bank_count;
    struct event *events; /* without the header of the crypto-agile form */
    size_t count;
};

/* Parses a copy of `size` bytes. What is not a log from the first byte to the last: ERROR_METADATA, with the offset. */
int event_log_parse(const void *bytes, size_t size, struct event_log *ret, struct error *error);

/* event_log_parse() on a file of at most EVENT_LOG_MAX_BYTES. A file that cannot be read is ERROR_FAILED. */
int event_log_read(const char *path, struct event_log *ret, struct error *error);

void event_log_free(struct event_log *log);

/* The place of the bank in banks[] and digest[]; -1 when the log has none. */
int event_log_bank(const struct event_log *log, enum hash_algorithm algorithm);

/* True when the event was extended into its PCR. */
bool event_is_extended(const struct event *event);
