/*
 * Device mapper without its library (linux/dm-ioctl.h): for what libcryptsetup has no words for, the table that the
 * kernel really runs, mappings of other kinds, and the end of one that is in use.
 */
#include "luks/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <string.h>
#include <sys/ioctl.h>

#define CONTROL "/dev/mapper/control"

int device_mapper_call(unsigned long request, struct dm_ioctl *head, size_t size)
{
    cleanup(close_fd) int fd = open(CONTROL, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return errno;
    head->version[0] = DM_VERSION_MAJOR;
    head->version[1] = head->version[2] = 0;
    head->data_size = (uint32_t)size;
    head->data_start = sizeof(*head);
    return ioctl(fd, request, head) < 0 ? errno : 0;
}

int device_mapper_remove(const char *name)
{
    struct dm_ioctl head = { 0 };

    snprintf(head.name, sizeof(head.name), "%s", name);
    return device_mapper_call(DM_DEV_REMOVE, &head, sizeof(head));
}

/* A table of one part. */
struct table {
    struct dm_ioctl head;
    struct dm_target_spec target;
    char parameters[8]; /* none; the kernel wants a multiple of eight */
};

static struct table table_for(const char *name)
{
    struct table table = { 0 };

    snprintf(table.head.name, sizeof(table.head.name), "%s", name);
    return table;
}

static int load_failing_table(const char *name, uint64_t size_sectors)
{
    struct table table = table_for(name);

    table.head.target_count = 1;
    table.target.length = size_sectors;
    strcpy(table.target.target_type, "error");
    return device_mapper_call(DM_TABLE_LOAD, &table.head, sizeof(table));
}

/* To resume a mapping is to exchange its table for the one that was loaded. Nothing is written before: the file system
 * may wait for ever. */
static int exchange_tables(const char *name)
{
    struct table table = table_for(name);

    table.head.flags = DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG;
    return device_mapper_call(DM_DEV_SUSPEND, &table.head, sizeof(table));
}

static int expect_failing_table(const char *name)
{
    struct table table = table_for(name);
    int number = device_mapper_call(DM_TABLE_STATUS, &table.head, sizeof(table));

    if (number)
        return number;
    /* what does not fit is not ours */
    if ((table.head.flags & DM_BUFFER_FULL_FLAG) || table.head.target_count != 1 ||
        strncmp(table.target.target_type, "error", sizeof(table.target.target_type)) != 0)
        return EBUSY;
    return 0;
}

int device_mapper_cut_off(const char *name, uint64_t size_sectors)
{
    int number = load_failing_table(name, size_sectors);

    number = number ?: exchange_tables(name);
    return number ?: expect_failing_table(name);
}
