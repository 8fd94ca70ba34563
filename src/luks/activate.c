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
    r = r ?: keyslot_check_cost(volume, keyslot, error);
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

int volume_activate_by_key(struct volume *volume, const char *name, const struct secret *key,
                           const struct volume_options *options, struct error *error)
{
    struct volume_facts facts;
    int code, r = check_name(name, error);

    r = r ?: volume_facts_read(volume, &facts, error);
    r = r ?: volume_key_check(volume, key, error);
    if (r)
        return r;
    code = crypt_activate_by_volume_key(volume_device(volume), name, (const char *)key->bytes, key->size,
                                        flags_of(options));
    return code < 0 ? volume_fail(volume, code, error, "cannot make \"/dev/mapper/%s\"", name) : 0;
}

int volume_set_data_device(struct volume *volume, const char *path, struct error *error)
{
    int code = crypt_set_data_device(volume_device(volume), path);

    return code < 0 ? volume_fail(volume, code, error, "cannot use \"%s\" for the data", path) : 0;
}

static int deactivate(const char *name, struct error *error)
{
    cleanup(volume_close) struct volume *volume = calloc(1, sizeof(*volume));
    int code;

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

/* Logical volumes that nobody uses hold the volume that they lie on. As far as they go: what stays will be cut off. */
static void remove_holders(const char *folder)
{
    cleanup(mapping_names_free) struct mapping_names names = { 0 };
    struct error ignored;

    if (mapping_holders(folder, &names, &ignored))
        return;
    for (size_t i = 0; i < names.count; i++)
        (void)device_mapper_remove(names.names[i]);
}

/* libcryptsetup's CRYPT_DEACTIVATE_FORCE leaves a mapping that is mounted as it is, key and all. */
static int deactivate_by_force(const char *name, struct error *error)
{
    cleanup(free_ptr) char *folder = NULL;
    struct error ignored;
    int number, r = mapping_find(&system_folders, name, &folder, error);

    if (r)
        return r;
    if (folder)
        remove_holders(folder);
    if (!deactivate(name, &ignored))
        return 0;
    number = folder ? device_mapper_cut_off(name, mapping_size_sectors(folder)) : ENOENT;
    return number ? error_errno(error, number, "the mapping \"%s\" can neither be removed nor cut off", name) : 0;
}

int volume_deactivate(const char *name, struct error *error)
{
    cleanup(free_ptr) char *folder = NULL;
    int r = check_name(name, error);

    /* libcryptsetup prints when there is no such mapping, before a callback can be set: so we look first */
    r = r ?: mapping_find(&system_folders, name, &folder, error);
    if (r)
        return r;
    if (!folder)
        return error_set(error, ERROR_FAILED, "there is no mapping \"%s\"", name);
    return deactivate(name, error);
}

/* Closes what can be closed now. What is left may lie below it. */
static int close_some(struct mapping_names *names, bool force, unsigned *ret_count, struct error *error)
{
    struct error one;
    int r = 0;

    *ret_count = 0;
    for (size_t i = names->count; i-- > 0;) {
        int failed = (force ? deactivate_by_force : deactivate)(names->names[i], &one);

        if (failed && !r) {
            *error = one;
            r = failed;
        }
        if (!failed) {
            free(names->names[i]);
            names->names[i] = names->names[--names->count];
            (*ret_count)++;
        }
    }
    return r;
}

/* Each one is tried, whatever became of the others. */
int volume_mappings_close(const char *uuid, bool force, unsigned *ret_count, struct error *error)
{
    cleanup(mapping_names_free) struct mapping_names names = { 0 };
    unsigned total = 0, count = 0;
    int r = mapping_list(&system_folders, uuid, &names, error);

    if (!r)
        do {
            r = close_some(&names, force, &count, error);
            total += count;
        } while (r && count > 0);
    if (ret_count)
        *ret_count = total;
    return r;
}
