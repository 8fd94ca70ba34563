#include "protect/update/explained.h"

#include "measure/pe.h"
#include "protect/update/file-hash.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

enum { PCR_PROGRAMS = 4, PCR_SECURE_BOOT = 7, PCR_FILES = 9 };

/* The last part of a path, of Linux, GRUB or UEFI. */
static const char *last_part(const char *path)
{
    const char *part = path;

    for (; *path; path++)
        if (*path == '/' || *path == '\\')
            part = path + 1;
    return part;
}

/* A component without a name may be any file. EFI's file systems know no case. */
static bool is_named_as(const struct known_file *file, const struct component *component)
{
    const char *name = last_part(component->name);

    return !name[0] || strcasecmp(last_part(file->path), name) == 0;
}

/* What the running boot measured for the component, a SHA-256; NULL when its log has none. */
static const uint8_t *measured(const struct boot_changes *changes, const struct component *component)
{
    const struct event_log *log = &changes->running.log;
    int bank = event_log_bank(log, HASH_SHA256);
    size_t i = (size_t)(component - changes->running.components.items);

    return bank < 0 || i >= log->count ? NULL : log->events[i].digest[bank];
}

/* True when the file still is the one on record, and a program with this Authenticode hash. */
static bool is_program(const struct known_file *file, const uint8_t *digest)
{
    struct file_hashes now;
    struct error ignored;
    uint8_t hash[HASH_MAX_BYTES];

    return file_hashes_read(file->path, &now, &ignored) == 0 && digest_equal(&now.sha256, &file->sha256) &&
           pe_hash(file->path, HASH_SHA256, hash, &ignored) == 0 && memcmp(hash, digest, DIGEST_BYTES) == 0;
}

static bool accounts_for(const struct known_file *file, const struct difference *difference, const uint8_t *digest)
{
    if (!is_named_as(file, difference->after))
        return false;
    if (difference->pcr == PCR_FILES)
        return memcmp(file->sha256.bytes, digest, DIGEST_BYTES) == 0;
    return difference->pcr == PCR_PROGRAMS && is_program(file, digest);
}

static bool is_explained(const struct boot_changes *changes, const struct known_files *files,
                         const struct difference *difference)
{
    const uint8_t *digest = difference->after ? measured(changes, difference->after) : NULL;

    if (!digest || (difference->change != CHANGE_CHANGED && difference->change != CHANGE_APPEARED))
        return false;
    for (size_t i = 0; i < files->count; i++)
        if (accounts_for(&files->items[i], difference, digest))
            return true;
    return false;
}

static bool no(char ret_why[EXPLAINED_WHY_TEXT], const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool no(char ret_why[EXPLAINED_WHY_TEXT], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(ret_why, EXPLAINED_WHY_TEXT, format, args);
    va_end(args);
    return false;
}

/* What has to hold before any difference is looked at. */
static bool is_comparable(const struct boot_changes *changes, char ret_why[EXPLAINED_WHY_TEXT])
{
    const uint32_t secure_boot = 1u << PCR_SECURE_BOOT;

    if (changes->report_error.kind)
        return no(ret_why, "the initramfs has recorded no PCRs in this boot");
    if (!changes->has_golden || changes->log_error.kind)
        return no(ret_why, "there are no event logs of this boot and a good one to compare");
    if (!(changes->values.mask & changes->golden.values.mask & secure_boot) || changes->differ & secure_boot ||
        changes->not_approved & secure_boot)
        return no(ret_why, "PCR 7 is not as it was");
    if (changes->unproven & changes->pcrs)
        return no(ret_why, "the event log does not give the values that the initramfs recorded");
    return true;
}

bool boot_changes_are_explained(const struct boot_changes *changes, const struct known_files *files,
                                char ret_why[EXPLAINED_WHY_TEXT])
{
    uint32_t told = 0;

    if (!is_comparable(changes, ret_why))
        return false;
    for (size_t i = 0; i < changes->comparison.count; i++) {
        const struct difference *difference = &changes->comparison.items[i];

        if (!(changes->pcrs & (1u << difference->pcr)))
            continue;
        if (!is_explained(changes, files, difference))
            return no(ret_why, "no recorded update accounts for PCR %u: %s", difference->pcr, difference->text);
        told |= 1u << difference->pcr;
    }
    if (changes->differ & changes->pcrs & ~told || changes->not_approved & ~told)
        return no(ret_why, "a PCR differs, and the event logs do not tell why");
    return true;
}
