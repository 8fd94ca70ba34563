/*
 * Event logs made up by tests: bytes are appended as a firmware would, or as none should.
 *
 *     struct built_log *built = built_log_start(2, (uint16_t[]){ HASH_SHA1, HASH_SHA256 });
 *     built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: echo", "echo");
 *     built_log_parse(built, &log);
 *
 * A failure to build is a failed assertion. The next start ends the log before.
 */
#pragma once

#include "measure/event-log.h"

#define BUILT_LOG_MAX 65536

struct built_log {
    uint8_t bytes[BUILT_LOG_MAX];
    size_t size;
    uint16_t banks[EVENT_LOG_MAX_BANKS];
    size_t bank_count; /* 0: the old SHA-1 form */
};

void built_log_put(struct built_log *built, const void *bytes, size_t size);
void built_log_u8(struct built_log *built, uint8_t number);
void built_log_u16(struct built_log *built, uint16_t number);
void built_log_u32(struct built_log *built, uint32_t number);
void built_log_u64(struct built_log *built, uint64_t number);

/* A log of the crypto-agile form with its header, or with no banks of the old form with nothing yet. */
struct built_log *built_log_start(size_t bank_count, const uint16_t *banks);

/* An event whose digests are of the `hashed` bytes. */
void built_log_add(struct built_log *built, uint32_t pcr, uint32_t type, struct span data, struct span hashed);

/* The same for strings: `text` is the data, with its NUL; `hashed` is hashed without one. */
void built_log_add_text(struct built_log *built, uint32_t pcr, uint32_t type, const char *text, const char *hashed);

/* The same for a text in UTF-16, its NUL in both. */
void built_log_add_utf16(struct built_log *built, uint32_t pcr, uint32_t type, const char *text);

/* An EFI variable's event; the data is hashed whole. `vendor` has 16 bytes. */
void built_log_add_variable(struct built_log *built, uint32_t pcr, uint32_t type, const uint8_t *vendor,
                            const char *name, struct span data);

/* A program's event, from a file (NULL: from memory); `content` is what is hashed. */
void built_log_add_program(struct built_log *built, const char *file, const char *content);

/* A tagged event, as the kernel's EFI stub and systemd make them. */
void built_log_add_tag(struct built_log *built, uint32_t pcr, uint32_t tag, const char *text, const char *hashed);

/* Parses it: it must be good. */
void built_log_parse(const struct built_log *built, struct event_log *ret);

/* The recorded logs, below the folder of tests/data/eventlogs, and that folder, which main() sets. */
#define RECORDED_LOGS 5
extern const char *const recorded_logs[RECORDED_LOGS];
extern const char *recorded_folder;

/* "FOLDER/NAME.EXTENSION", in a buffer of its own. */
const char *recorded_path(const char *name, const char *extension);

extern const uint8_t global_vendor[16], database_vendor[16], shim_vendor[16];
