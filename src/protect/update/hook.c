#include "protect/update/hook.h"

#include <stddef.h>
#include <string.h>

/* zz-update-grub has run before, or the file was seen to change in the running system */
static const char *const grub_configuration[] = { "/boot/grub/grub.cfg", NULL };
/* grub-install writes the stub beside GRUB's image */
static const char *const boot_loader[] = { "/boot/efi/EFI/*/grub.cfg", "/boot/grub/grub.cfg", NULL };
static const char *const nothing[] = { NULL };

static const struct update_hook hooks[] = {
    { "initramfs", nothing },       { "kernel", grub_configuration },
    { "grub", grub_configuration }, { "shim", boot_loader },
    { "kernel-install", nothing },  { "rauc", nothing },
    { "swupdate", nothing },        { "mender", nothing },
    { "shutdown", nothing },
};

const struct update_hook *update_hook_find(const char *name)
{
    for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
        if (strcmp(hooks[i].name, name) == 0)
            return &hooks[i];
    return NULL;
}

const char *update_hook_names(void)
{
    return "initramfs, kernel, grub, shim, kernel-install, rauc, swupdate, mender, shutdown";
}
