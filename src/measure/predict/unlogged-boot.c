#include "measure/predict/unlogged-boot.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "measure/predict/grub/environment.h"
#include "measure/predict/program.h"

#include <string.h>
#include <sys/stat.h>

#define REMOVABLE "\\EFI\\BOOT\\BOOTX64.EFI" /* what the firmware starts of a disk (UEFI 2.10, 3.5.1.1) */
#define ENVIRONMENT_MAX_BYTES (64 * 1024)    /* grub-editenv makes 1 KiB */

void unlogged_boot_free(struct unlogged_boot *boot)
{
    free(boot->shim);
    free(boot->grub);
    free(boot->folder);
    *boot = (struct unlogged_boot){ 0 };
}

/* Firmware that knows no Secure Boot has no such variable. */
static int check_secure_boot(const struct predict_machine *machine, struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable secure_boot = { 0 };
    bool found;
    int r;

    if (!machine->variables)
        return error_set(error, ERROR_FAILED,
                         "Linux has no event log of this boot, and the firmware's variables cannot be read");
    r = firmware_variable_read(machine->variables, NULL, vendor_global, "SecureBoot", &secure_boot, &found, error);
    if (r || !found || (secure_boot.size == 1 && secure_boot.data[0] == 0))
        return r;
    return error_set(error, ERROR_FAILED, "Linux has no event log of this boot, though Secure Boot is on");
}

/* The path of a program in the folder of another; NULL: it is not there. */
static char *find_beside(const char *esp, const char *program, const char *name)
{
    cleanup(free_ptr) char *whole = NULL;
    const char *end = strrchr(program, '\\');
    struct error ignored;
    char *path;

    if (!end)
        return NULL;
    if (asprintf(&whole, "%.*s\\%s", (int)(end - program), program, name) < 0) {
        whole = NULL;
        return NULL;
    }
    return program_find(esp, whole, &path, &ignored) ? NULL : path;
}

/* shim starts the GRUB beside it; where it lies as the disk's only program, with fbx64.efi, that one first. */
static int find_programs(const char *esp, const char *program, struct unlogged_boot *ret, struct error *error)
{
    const char *name = strrchr(program, '\\') ? strrchr(program, '\\') + 1 : program;
    cleanup(free_ptr) char *fallback = NULL;
    bool removable = strcasecmp(name, "BOOTX64.EFI") == 0;
    int r = program_find(esp, program, &ret->grub, error);

    if (r || strncasecmp(name, "grub", 4) == 0) {
        ret->chain = CHAIN_GRUB;
        return r;
    }
    ret->chain = CHAIN_SHIM_GRUB;
    ret->shim = take_ptr(ret->grub);
    ret->grub = find_beside(esp, program, "grubx64.efi");
    fallback = removable ? find_beside(esp, program, "fbx64.efi") : NULL;
    if (!ret->grub || fallback || (!removable && strncasecmp(name, "shim", 4) != 0))
        return error_set(error, ERROR_FAILED,
                         "Linux has no event log of this boot, and \"%s\" is not known to have started GRUB", program);
    return 0;
}

static int find_folder(const char *program, char **ret, struct error *error)
{
    const char *end = strrchr(program, '\\');

    *ret = strndup(program, end ? (size_t)(end - program) : 0);
    if (!*ret)
        return error_no_memory(error);
    for (char *c = *ret; *c; c++)
        if (*c == '\\')
            *c = '/';
    return 0;
}

/* shim takes another name for its boot loader from its options. */
static int check_option(const struct predict_machine *machine, const struct boot_option *option, struct error *error)
{
    static const uint8_t marker[] = { 0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d,
                                      0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2 }; /* EDK2's, of its own entries */

    if (!option)
        return error_set(error, ERROR_FAILED,
                         "Linux has no event log of this boot, and the firmware does not say what it started");
    if (option->options_size > 0 &&
        (option->options_size != sizeof(marker) || memcmp(option->options, marker, sizeof(marker)) != 0))
        return error_set(error, ERROR_FAILED,
                         "Linux has no event log of this boot, and Boot%04X (%s) gives its program options",
                         option->number, option->description);
    if (machine->efi_system_partition_uuid && strstr(option->path, "HD(") &&
        !strcasestr(option->path, machine->efi_system_partition_uuid))
        return error_set(error, ERROR_FAILED, "Boot%04X (%s) is on another partition than \"%s\"", option->number,
                         option->description, machine->efi_system_partition);
    return 0;
}

int unlogged_boot_read(const struct predict_machine *machine, const struct boot_options *options,
                       struct unlogged_boot *ret, struct error *error)
{
    const struct boot_option *option = boot_options_find(options, options->current);
    const char *program = option && option->file[0] ? option->file : REMOVABLE;
    enum boot_chain chain = CHAIN_NONE;
    int r = check_secure_boot(machine, error);

    *ret = (struct unlogged_boot){ 0 };
    if (!r && !machine->efi_system_partition)
        r = error_set(error, ERROR_FAILED,
                      "Linux has no event log of this boot, and it is not known where the EFI system partition is");
    r = r ?: check_option(machine, option, error);
    r = r ?: boot_chain_from_variables(machine->variables, NULL, &chain, error);
    if (!r && chain != CHAIN_NONE && chain != CHAIN_SHIM_GRUB && chain != CHAIN_GRUB)
        r = error_set(error, ERROR_FAILED, "Linux has no event log of this boot, which did not come by GRUB");
    r = r ?: find_programs(machine->efi_system_partition, program, ret, error);
    r = r ?: find_folder(program, &ret->folder, error);
    if (r)
        unlogged_boot_free(ret);
    return r;
}

bool unlogged_boot_is_newer(const struct predict_machine *machine, const char *path)
{
    struct stat status;

    return stat(path, &status) != 0 || status.st_mtime >= machine->started || status.st_ctime >= machine->started;
}

/* What happened, and the path's first bytes. */
static int put_words(char **ret, const char *what, const char *path, int length, struct error *error)
{
    if (asprintf(ret, "%s: %.*s", what, length, path) >= 0)
        return 0;
    *ret = NULL;
    return error_no_memory(error);
}

static int find_newer(const struct predict_machine *machine, const char *path, char **ret, struct error *error)
{
    const char *end = strrchr(path, '/');
    int length = end ? (int)(end - path) : 0;
    cleanup(free_ptr) char *folder = strndup(path, (size_t)length);

    if (!folder)
        return error_no_memory(error);
    if (unlogged_boot_is_newer(machine, path))
        return put_words(ret, "changed since this boot", path, (int)strlen(path), error);
    if (length > 0 && unlogged_boot_is_newer(machine, folder))
        return put_words(ret, "something came or went since this boot", path, length, error);
    return 0;
}

/* GRUB writes to its environment block in place: the file's times do not tell. It is empty where nobody ever asked for
 * that, by grub-reboot or GRUB_SAVEDEFAULT. */
static int find_written(const char *path, char **ret, struct error *error)
{
    struct environment environment = { 0 };
    cleanup(free_ptr) char *bytes = NULL;
    cleanup(free_ptr) char *name = NULL;
    cleanup(free_ptr) char *value = NULL;
    size_t offset = 0;
    int r = file_read(path, ENVIRONMENT_MAX_BYTES, &bytes, &environment.size, error);

    if (r)
        return r;
    environment.bytes = bytes;
    name = malloc(environment.size + 1);
    value = malloc(environment.size + 1);
    if (!name || !value)
        return error_no_memory(error);
    if (!environment_is_good(&environment) || !environment_next(&environment, &offset, name, value))
        return 0;
    return put_words(ret, "GRUB may have written to it in this boot", path, (int)strlen(path), error);
}

int unlogged_boot_find_changed(const struct predict_machine *machine, const struct extend_list *list, char **ret,
                               struct error *error)
{
    static const char name[] = "/grubenv";
    int r = 0;

    *ret = NULL;
    for (size_t i = 0; !r && !*ret && i < list->file_count; i++)
        r = find_newer(machine, list->files[i].path, ret, error);
    for (size_t i = 0; !r && !*ret && i < list->file_count; i++) {
        const char *path = list->files[i].path;
        size_t length = strlen(path);

        if (length > strlen(name) && strcmp(path + length - strlen(name), name) == 0)
            r = find_written(path, ret, error);
    }
    return r;
}
