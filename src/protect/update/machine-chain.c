#include "protect/update/machine-chain.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "measure/predict/firmware-variable.h"
#include "protect/update/boot-places.h"

#include <stdio.h>

/* design: lifecycle.md, "Boot chains to recognise". A kernel that the firmware starts measures initrd and command line
 * itself, as below systemd-boot. */
static const struct {
    const char *preset;
    uint32_t pcrs;
} chains[] = {
    [CHAIN_NONE] = { NULL, 0 },
    [CHAIN_UKI] = { "uki", 1u << 11 },
    [CHAIN_SYSTEMD_BOOT] = { "systemd-boot", 1u << 9 },
    [CHAIN_SHIM_GRUB] = { "grub", 1u << 8 | 1u << 9 },
    [CHAIN_GRUB] = { "grub", 1u << 8 | 1u << 9 },
    [CHAIN_KERNEL] = { "systemd-boot", 1u << 9 },
};

const char *machine_chain_preset(enum boot_chain chain)
{
    return chains[chain].preset;
}

uint32_t machine_chain_pcrs(enum boot_chain chain)
{
    return chains[chain].pcrs;
}

static char *under(const char *root, const char *path)
{
    char *whole = NULL;

    return asprintf(&whole, "%s%s", root, path) < 0 ? NULL : whole;
}

static int from_log(const char *path, enum boot_chain *ret, struct error *error)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    cleanup(component_list_free) struct component_list components = { 0 };
    int r = event_log_read(path, &log, error);

    r = r ?: component_list_read(&log, &components, error);
    if (!r)
        *ret = boot_chain_detect(&log, &components);
    return r;
}

/* Where the EFI system partition of another root is mounted is not known. */
static int from_variables(const char *root, const char *folder, enum boot_chain *ret, struct error *error)
{
    cleanup(boot_places_free) struct boot_places places = { 0 };
    const char *esp = NULL;
    int r = root[0] ? 0 : boot_places_read(&places, &esp, error);

    return r ?: boot_chain_from_variables(folder, esp, ret, error);
}

int machine_chain_read(const char *root, const char *log_path, struct machine_chain *ret, struct error *error)
{
    cleanup(free_ptr) char *log = under(root, EVENT_LOG_PATH);
    cleanup(free_ptr) char *variables = under(root, FIRMWARE_VARIABLES);
    int r = 0;

    *ret = (struct machine_chain){ .chain = CHAIN_NONE };
    if (!log || !variables)
        return error_no_memory(error);
    if (file_exists(log_path ? log_path : log))
        r = from_log(log_path ? log_path : log, &ret->chain, error);
    ret->by_log = ret->chain != CHAIN_NONE;
    if (r || ret->by_log || !file_exists(variables))
        return r;
    return from_variables(root, variables, &ret->chain, error);
}
