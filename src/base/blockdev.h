/*
 * What a file system lies on, read from sysfs: block devices stand on other block devices (a logical volume on a
 * physical one, that on a dm-crypt mapping, that on a partition), and /sys/dev/block/MAJOR:MINOR/slaves names the next
 * lower ones. A device with no slaves is a leaf: a partition (its disk is not a slave of it), a disk, a loop device.
 * The question that is asked of such a tree is always "does each way from here down to a leaf pass through one of
 * those".
 *
 * The answer errs to one side only: what cannot be traced counts as not passing. File systems without a block device
 * (tmpfs, NFS), ones that hide theirs (overlayfs, ZFS) and the file behind a loop device are not followed. A second
 * device that a file system keeps its journal on (ext4, XFS) is not seen: do not use this against root's own wish.
 *
 * `sysfs` is where sysfs is mounted: BLOCKDEV_SYSFS, or a folder with the same structure for a test.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define BLOCKDEV_SYSFS "/sys"
#define BLOCKDEV_MAX_DEPTH 16    /* real stacks have some five layers */
#define BLOCKDEV_MAX_VISITS 1024 /* devices looked at in one walk; one that is reached on two ways counts twice */
#define BLOCKDEV_MAX_DEVICES 64  /* of one file system */
#define BLOCKDEV_UUID_TEXT 129   /* DM_UUID_LEN, linux/dm-ioctl.h */

struct blockdev {
    unsigned major;
    unsigned minor;
};

struct blockdev_list {
    struct blockdev devices[BLOCKDEV_MAX_DEVICES];
    size_t count;
};

/*
 * The block devices under the file system that holds `path`: one, or all of a btrfs. None at all (count 0, no error)
 * for file systems without a block device or that do not tell. ERROR_FAILED when the path or sysfs cannot be read.
 */
int blockdev_of_path(const char *sysfs, const char *path, struct blockdev_list *ret, struct error *error);

/* All devices of the mounted btrfs with this UUID (36 characters, lower case). ERROR_FAILED when there are none. */
int blockdev_of_btrfs(const char *sysfs, const char *uuid, struct blockdev_list *ret, struct error *error);

/* The device's dm UUID ("CRYPT-LUKS2-…", "LVM-…"), "" when it is none of device mapper's. ERROR_FAILED when sysfs does
 * not know the device. */
int blockdev_dm_uuid(const char *sysfs, struct blockdev device, char ret[BLOCKDEV_UUID_TEXT], struct error *error);

struct blockdev_node {
    struct blockdev device;
    const char *dm_uuid; /* "" for what is not device mapper's */
    unsigned depth;      /* 0: a device of the list */
};

/* True for a device that settles the way on which it was reached: nothing below it is looked at. */
typedef bool (*blockdev_accept)(void *context, const struct blockdev_node *node);

/*
 * Walks down from every device of the list, upper ones first. *ret is true when each way from there to a leaf comes by
 * an accepted device; an empty list has no such way and is false. The walk ends at the first leaf that does not: the
 * last node that `accept` saw. Loops, stacks deeper and trees larger than the limits, devices that vanish: ERROR_FAILED
 * with *ret false.
 */
int blockdev_every_way(const char *sysfs, const struct blockdev_list *list, blockdev_accept accept, void *context,
                       bool *ret, struct error *error);

/* The same walk, with *ret true when at least one way comes by an accepted device. An empty list has none. */
int blockdev_some_way(const char *sysfs, const struct blockdev_list *list, blockdev_accept accept, void *context,
                      bool *ret, struct error *error);

/* blockdev_every_way() for "a dm-crypt mapping that LUKS made": a dm UUID that starts with "CRYPT-LUKS". */
int blockdev_is_encrypted(const char *sysfs, const struct blockdev_list *list, bool *ret, struct error *error);
