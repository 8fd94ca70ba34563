/* The magic numbers and places are those of the LUKS2 On-Disk Format Specification 1.1, 2.1. */
#include "luks/internal.h"

#include "base/cleanup.h"

#include <string.h>
#include <unistd.h>

#define MAGIC_BYTES 6

static const uint8_t first_magic[MAGIC_BYTES] = { 'L', 'U', 'K', 'S', 0xba, 0xbe };
static const uint8_t second_magic[MAGIC_BYTES] = { 'S', 'K', 'U', 'L', 0xba, 0xbe };

/* Reads magic and version (big-endian, behind it); false when the magic is another one. */
static bool find_magic(int fd, off_t at, const uint8_t *magic, unsigned *ret_version)
{
    uint8_t bytes[MAGIC_BYTES + 2];

    if (pread(fd, bytes, sizeof(bytes), at) != (ssize_t)sizeof(bytes) || memcmp(bytes, magic, MAGIC_BYTES) != 0)
        return false;
    *ret_version = (unsigned)(bytes[MAGIC_BYTES] << 8 | bytes[MAGIC_BYTES + 1]);
    return true;
}

/* The second copy of the header lies where the first one ends: 16 KiB to 4 MiB, powers of two. */
static bool has_second_header(int fd)
{
    unsigned version;

    for (off_t at = 0x4000; at <= 0x400000; at *= 2)
        if (find_magic(fd, at, second_magic, &version))
            return true;
    return false;
}

int probe_explain(int fd, const char *path, struct error *error)
{
    unsigned version = 0;
    bool first = find_magic(fd, 0, first_magic, &version);

    if (first && version == 1) {
        error_set(error, ERROR_NOT_LUKS2, "\"%s\" is a LUKS1 volume, and bootseal needs LUKS2", path);
        return error_remedy(error,
                            "back up the header (cryptsetup luksHeaderBackup), then, while the volume is closed: "
                            "cryptsetup convert --type luks2 on it");
    }
    if (first && version != 2) {
        error_set(error, ERROR_NOT_LUKS2, "\"%s\" has a LUKS header of the unknown version %u", path, version);
        return error_remedy(error, "a newer cryptsetup may know it: cryptsetup luksDump on it");
    }
    if (first || has_second_header(fd)) {
        error_set(error, ERROR_NOT_LUKS2, "\"%s\" has a damaged LUKS2 header", path);
        return error_remedy(error,
                            "make a copy of its first 16 MiB, then try cryptsetup repair on it, or restore a header "
                            "backup with cryptsetup luksHeaderRestore");
    }
    error_set(error, ERROR_NOT_LUKS2, "\"%s\" is not a LUKS volume", path);
    return error_remedy(error, "see which devices hold one: lsblk -f (TYPE crypto_LUKS)");
}
