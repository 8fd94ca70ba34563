#include "protect/update/entries.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <string.h>

#define LABEL_PREFIX "linux "

const char *entry_of_branch(const struct branch *branch)
{
    size_t length = strlen(LABEL_PREFIX);

    if (branch->entry[0])
        return branch->entry;
    return strncmp(branch->label, LABEL_PREFIX, length) == 0 ? branch->label + length : "";
}

bool entry_is_installed(const char *folder, const char *entry)
{
    cleanup(free_ptr) char *path = NULL;

    if (!entry[0] || strchr(entry, '/'))
        return false;
    if (asprintf(&path, "%s/vmlinuz-%s", folder ? folder : KERNEL_FOLDER, entry) < 0) {
        path = NULL;
        return true; /* not known: nothing is dropped for want of memory */
    }
    return file_exists(path);
}
