#include "measure/boot-chain.h"

#include "base/cleanup.h"
#include "measure/predict/boot-option.h"
#include "measure/predict/program.h"

#include <string.h>

/* Part of the program's name, and the way of booting. */
static const struct {
    const char *part;
    enum boot_chain chain;
} programs[] = {
    { "\\shim", CHAIN_SHIM_GRUB },   { "\\grub", CHAIN_GRUB },      { "\\systemd-boot", CHAIN_SYSTEMD_BOOT },
    { "\\EFI\\Linux\\", CHAIN_UKI }, { "\\vmlinuz", CHAIN_KERNEL },
};

static int has(const char *folder, const char *name, bool *ret, struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable variable = { 0 };

    return firmware_variable_read(folder, NULL, vendor_loader, name, &variable, ret, error);
}

/* True when the program of that name lies in the same folder of the partition as the other. */
static bool is_beside(const char *esp, const char *program, const char *name)
{
    const char *end = strrchr(program, '\\');
    cleanup(free_ptr) char *whole = NULL;
    cleanup(free_ptr) char *path = NULL;
    struct error ignored;

    if (!esp || !end || asprintf(&whole, "%.*s\\%s", (int)(end - program), program, name) < 0)
        return false;
    return !program_find(esp, whole, &path, &ignored);
}

/* By the name of the program; removable media's name says nothing, but for shim's boot loader beside it. */
static enum boot_chain chain_of(const char *esp, const char *program)
{
    enum boot_chain chain = CHAIN_NONE;

    for (size_t i = 0; i < array_size(programs) && chain == CHAIN_NONE; i++)
        if (strcasestr(program, programs[i].part))
            chain = programs[i].chain;
    if (chain == CHAIN_SHIM_GRUB && esp && !is_beside(esp, program, "grubx64.efi") &&
        !is_beside(esp, program, "grubaa64.efi"))
        return CHAIN_NONE;
    if (chain == CHAIN_NONE && is_beside(esp, program, "grubx64.efi") && is_beside(esp, program, "mmx64.efi"))
        return CHAIN_SHIM_GRUB;
    return chain;
}

int boot_chain_from_variables(const char *folder, const char *esp, enum boot_chain *ret, struct error *error)
{
    cleanup(boot_options_free) struct boot_options options = { .next = -1, .current = -1 };
    const struct boot_option *current;
    bool stub, loader;
    int r = has(folder, "StubInfo", &stub, error);

    *ret = CHAIN_NONE;
    r = r ?: has(folder, "LoaderInfo", &loader, error);
    r = r ?: boot_options_read(folder, NULL, &options, error);
    if (r)
        return r;
    current = boot_options_find(&options, options.current);
    if (stub)
        *ret = CHAIN_UKI;
    else if (loader)
        *ret = CHAIN_SYSTEMD_BOOT;
    else if (current)
        *ret = chain_of(esp, current->file);
    return 0;
}
