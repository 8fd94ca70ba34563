#include "protect/enroll/initramfs.h"

#include "base/file.h"
#include "base/process.h"

#define UPDATE_INITRAMFS "/usr/sbin/update-initramfs"

bool initramfs_is_there(void)
{
    return file_exists(UPDATE_INITRAMFS);
}

int initramfs_rebuild(struct error *error)
{
    static const char *const argv[] = { UPDATE_INITRAMFS, "-u", "-k", "all", NULL };
    int r = process_run(&(struct process){ .argv = argv }, error);

    if (!r)
        return 0;
    error_prefix(error, "the pins are not in the initramfs yet");
    return error_remedy(error, "find out why, then run: update-initramfs -u -k all");
}
