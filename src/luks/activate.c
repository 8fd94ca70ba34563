/*
 * Mappings are made and removed by libcryptsetup. The header's persistent flags ("allow-discards" and its like) apply
 * as with cryptsetup: none of them weakens the encryption.
 */
#include "luks/internal.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <libcryptsetup.h>
#include <string.h>

static uint32_t flags_of(const struct volume_options *options)
{
    const struct {
        bool wanted;
        uint32_t flag;
    } rows[] = {
        { options->discard, CRYPT_ACTIVATE_ALLOW_DISCARDS },
        { options->read_only, CRYPT_ACTIVATE_READONLY },
        { options->same_cpu_crypt, CRYPT_ACTIVATE_SAME_CPU_CRYPT },
        { options->submit_from_crypt_cpus, CRYPT_ACTIVATE_SUBMIT_FROM_CRYPT_CPUS },
        { options->no_read_workqueue, CRYPT_ACTIVATE_NO_READ_WORKQUEUE },
        { options->no_write_workqueue, CRYPT_ACTIVATE_NO_WRITE_WORKQUEUE },
    };
    uint32_t flags = 0;

    for (size_t i = 0; i < array_size(rows); i++)
        if (rows[i].wanted)
            flags |= rows[i].flag;
    return flags;
}

/* The name becomes a file name under /dev/mapper. */
static int check_name(const char *name, struct error *error)
{
    size_t length = strlen(name);

    if (length == 0 || length > MAPPING_NAME_MAX)
        return error_set(error, ERROR_USAGE, "a mapping's name has 1 to %d bytes, not %zu", MAPPING_NAME_MAX, length);
    if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_set(error, ERROR_USAGE, "\"%s\" cannot be a mapping's name", name);
    return 0;
}

int volume_activate(struct volume *volume, const char *name, int keyslot, const struct secret *passphrase,
                    const struct volume_options *options, struct error *error)
{
    struct volume_facts facts;
    int code, r = check_name(name, error);

    /* whatever the caller compared: a header that is not to be opened is not opened here either */
    r = r ?: volume_facts_read(volume, &facts, error);
    if (r)
        return r;
    if (passphrase->size == 0 || passphrase->size > VOLUME_MAX_PASSPHRASE_BYTES)
        return error_set(error, ERROR_USAGE, "a passphrase of %zu bytes", passphrase->size);
    code = crypt_activate_by_passphrase(volume_device(volume), name, keyslot, (const char *)passphrase->bytes,
                                        passphrase->size, flags_of(options));
    if (code == -EPERM)
        return error_set(error, ERROR_WRONG_PIN, "\"%s\": the passphrase does not open the volume", volume->path);
    if (code < 0)
        return volume_fail(volume, code, error, "cannot make \"/dev/mapper/%s\"", name);
    return 0;
}

int volume_deactivate(const char *name, struct error *error)
{
    cleanup(volume_close) struct volume *volume = calloc(1, sizeof(*volume));
    cleanup(free_ptr) char *folder = NULL;
    int code, r = check_name(name, error);

    /* libcryptsetup prints when there is no such mapping, before a callback can be set: so we look first */
    r = r ?: mapping_find(&system_folders, name, &folder, error);
    if (r)
        return r;
    if (!folder)
        return error_set(error, ERROR_FAILED, "there is no mapping \"%s\"", name);
    if (volume)
        volume->path = file_path("/dev/mapper", name);
    if (!volume || !volume->path)
        return error_no_memory(error);
    code = crypt_init_by_name(&volume->device, name);
    if (code >= 0) {
        volume_listen(volume);
        code = crypt_deactivate_by_name(volume_device(volume), name, 0);
    }
    return code < 0 ? volume_fail(volume, code, error, "cannot remove the mapping") : 0;
}
