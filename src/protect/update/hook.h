/*
 * The update hooks that call `bootseal reseal --hook NAME`, and what each of them knows: which boot files were written
 * by this system right before it runs. hook.c has the table; bootseal-hooks(7) describes the hooks.
 */
#pragma once

#include <stdbool.h>

struct update_hook {
    const char *name;
    const char *const *written; /* patterns (glob(3)) of files, NULL at the end */
};

/* NULL: no hook has that name. */
const struct update_hook *update_hook_find(const char *name);

/* "kernel, initramfs, …", for messages. */
const char *update_hook_names(void);
