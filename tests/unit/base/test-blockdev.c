#include "base/blockdev.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

/* A sysfs of our own: devices are folders under dev/block, slaves are links to them, as in the real one. */
static char sysfs[64];

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    strcpy(sysfs, "/tmp/test-blockdev-XXXXXX");
    return mkdtemp(sysfs) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return nftw(sysfs, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    struct error error;

    assert_int_equal(file_make_folder(folder, 0755, &error), 0);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &error), 0);
}

static void write_number(const char *folder, struct blockdev device)
{
    char text[64];

    snprintf(text, sizeof(text), "%u:%u\n", device.major, device.minor);
    write_file(folder, "dev", text);
}

static struct blockdev make_device(unsigned major, unsigned minor)
{
    const struct blockdev device = { major, minor };
    char folder[128];

    snprintf(folder, sizeof(folder), "%s/dev/block/%u:%u", sysfs, major, minor);
    write_number(folder, device);
    return device;
}

/* A device-mapper device, number 253:minor. */
static struct blockdev make_dm(unsigned minor, const char *uuid)
{
    struct blockdev device = make_device(253, minor);
    char folder[128], text[512];

    snprintf(folder, sizeof(folder), "%s/dev/block/253:%u/dm", sysfs, minor);
    snprintf(text, sizeof(text), "%s\n", uuid);
    write_file(folder, "uuid", text);
    return device;
}

static void make_slave(struct blockdev upper, struct blockdev lower)
{
    char folder[128], path[256], target[64];
    struct error error;

    snprintf(folder, sizeof(folder), "%s/dev/block/%u:%u/slaves", sysfs, upper.major, upper.minor);
    assert_int_equal(file_make_folder(folder, 0755, &error), 0);
    snprintf(path, sizeof(path), "%s/b%u-%u", folder, lower.major, lower.minor);
    snprintf(target, sizeof(target), "../../%u:%u", lower.major, lower.minor);
    assert_int_equal(symlink(target, path), 0);
}

static bool is_encrypted(struct blockdev device)
{
    const struct blockdev_list list = { .devices = { device }, .count = 1 };
    struct error error;
    bool encrypted;

    if (blockdev_is_encrypted(sysfs, &list, &encrypted, &error))
        fail_msg("%s", error.text);
    return encrypted;
}

static void expect_failure(struct blockdev device, const char *text)
{
    const struct blockdev_list list = { .devices = { device }, .count = 1 };
    struct error error;
    bool encrypted = true;

    assert_int_equal(blockdev_is_encrypted(sysfs, &list, &encrypted, &error), ERROR_FAILED);
    assert_false(encrypted);
    if (!strstr(error.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, error.text);
}

static void a_partition_is_not_encrypted(void **state)
{
    struct blockdev partition = make_device(8, 1);
    char path[128];

    (void)state;
    assert_false(is_encrypted(partition));
    snprintf(path, sizeof(path), "%s/dev/block/8:1/slaves", sysfs);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_false(is_encrypted(partition)); /* a disk has the folder, and it is empty */
}

static void a_luks_mapping_is_encrypted(void **state)
{
    struct blockdev root = make_dm(0, "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-root");

    (void)state;
    make_slave(root, make_device(8, 3));
    assert_true(is_encrypted(root));
}

static void other_mappings_are_not_encrypted(void **state)
{
    static const char *const uuids[] = { "CRYPT-PLAIN-root",
                                         "CRYPT-VERITY-0123-root",
                                         "LVM-CRYPT-LUKS2-x",
                                         "mpath-CRYPT-LUKS2-abc",
                                         "crypt-luks2-0123-root",
                                         "CRYPT-LUK",
                                         "" };

    (void)state;
    for (size_t i = 0; i < array_size(uuids); i++)
        assert_false(is_encrypted(make_dm((unsigned)i, uuids[i])));
}

static void a_logical_volume_on_luks_is_encrypted(void **state)
{
    struct blockdev volume = make_dm(1, "LVM-abc"), crypt = make_dm(0, "CRYPT-LUKS2-0123-pv");

    (void)state;
    make_slave(volume, crypt);
    make_slave(crypt, make_device(259, 3));
    assert_true(is_encrypted(volume));
}

static void luks_on_a_logical_volume_is_encrypted(void **state)
{
    struct blockdev volume = make_dm(1, "LVM-abc"), crypt = make_dm(0, "CRYPT-LUKS1-0123-root");

    (void)state;
    make_slave(crypt, volume);
    make_slave(volume, make_device(8, 1));
    assert_true(is_encrypted(crypt));
    assert_false(is_encrypted(volume));
}

static void one_plain_leg_of_a_mirror_is_enough_to_be_plain(void **state)
{
    struct blockdev mirror = make_device(9, 0), crypt = make_dm(0, "CRYPT-LUKS2-0123-leg0");

    (void)state;
    make_slave(mirror, crypt);
    make_slave(crypt, make_device(8, 1));
    assert_true(is_encrypted(mirror));
    make_slave(mirror, make_device(8, 17));
    assert_false(is_encrypted(mirror));
}

static void a_plain_leg_below_two_layers_is_found(void **state)
{
    struct blockdev volume = make_dm(5, "LVM-top"), mirror = make_device(9, 1);
    struct blockdev crypt = make_dm(0, "CRYPT-LUKS2-0123-a");

    (void)state;
    make_slave(volume, crypt);
    make_slave(volume, mirror);
    make_slave(crypt, make_device(8, 1));
    make_slave(mirror, make_device(8, 2));
    assert_false(is_encrypted(volume));
}

static void all_devices_of_the_list_count(void **state)
{
    struct blockdev_list list = { .devices = { make_dm(0, "CRYPT-LUKS2-0123-a"), make_device(8, 2) }, .count = 1 };
    struct error error;
    bool encrypted;

    (void)state;
    assert_int_equal(blockdev_is_encrypted(sysfs, &list, &encrypted, &error), 0);
    assert_true(encrypted);
    list.count = 2;
    assert_int_equal(blockdev_is_encrypted(sysfs, &list, &encrypted, &error), 0);
    assert_false(encrypted);
    list.count = 0;
    assert_int_equal(blockdev_is_encrypted(sysfs, &list, &encrypted, &error), 0);
    assert_false(encrypted);
}

static void a_loop_is_refused(void **state)
{
    struct blockdev a = make_dm(0, "LVM-a"), b = make_dm(1, "LVM-b");

    (void)state;
    make_slave(a, b);
    make_slave(b, a);
    expect_failure(a, "too many");
}

static void the_depth_is_bounded(void **state)
{
    struct blockdev lower = make_dm(0, "CRYPT-LUKS2-0123-root");

    (void)state;
    for (unsigned i = 1; i < BLOCKDEV_MAX_DEPTH; i++) {
        struct blockdev upper = make_dm(i, "LVM-x");

        make_slave(upper, lower);
        lower = upper;
    }
    assert_true(is_encrypted(lower));
    struct blockdev top = make_dm(BLOCKDEV_MAX_DEPTH, "LVM-x");
    make_slave(top, lower);
    expect_failure(top, "too many");
}

/* Two ways down at each of eleven layers: few devices, more ways than anyone looks at. */
static void the_number_of_visits_is_bounded(void **state)
{
    struct blockdev left = make_dm(0, "CRYPT-LUKS2-0123-l"), right = make_dm(1, "CRYPT-LUKS2-0123-r");

    (void)state;
    for (unsigned i = 1; i <= 11; i++) {
        struct blockdev upper_left = make_dm(2 * i, "LVM-l"), upper_right = make_dm(2 * i + 1, "LVM-r");

        make_slave(upper_left, left);
        make_slave(upper_left, right);
        make_slave(upper_right, left);
        make_slave(upper_right, right);
        left = upper_left;
        right = upper_right;
        if (i == 8)
            assert_true(is_encrypted(left)); /* 511 visits */
    }
    expect_failure(left, "too many");
}

static void the_number_of_slaves_is_bounded(void **state)
{
    struct blockdev array = make_device(9, 0);

    (void)state;
    for (unsigned i = 0; i < BLOCKDEV_MAX_DEVICES; i++)
        make_slave(array, make_dm(i, "CRYPT-LUKS2-0123-leg"));
    assert_true(is_encrypted(array));
    make_slave(array, make_dm(BLOCKDEV_MAX_DEVICES, "CRYPT-LUKS2-0123-leg"));
    expect_failure(array, "more than 64 devices");
}

static void a_device_that_is_gone_is_refused(void **state)
{
    struct blockdev volume = make_dm(0, "LVM-a");

    (void)state;
    expect_failure((struct blockdev){ 8, 99 }, "8:99");
    make_slave(volume, (struct blockdev){ 8, 98 });
    expect_failure(volume, "b8-98");
}

static void damaged_attributes_are_refused(void **state)
{
    static const char *const numbers[] = { "", "8", "8:", "8:1:2", "x:1", "8:1 9", "4294967297000:1" };
    struct blockdev device = make_device(8, 1);
    char folder[128], uuid[BLOCKDEV_UUID_TEXT + 1];

    (void)state;
    snprintf(folder, sizeof(folder), "%s/dev/block/8:1", sysfs);
    for (size_t i = 0; i < array_size(numbers); i++) {
        write_file(folder, "dev", numbers[i]);
        expect_failure(device, "holds no device number");
    }
    write_number(folder, (struct blockdev){ 8, 2 });
    expect_failure(device, "another device");

    memset(uuid, 'C', sizeof(uuid) - 1);
    uuid[sizeof(uuid) - 1] = '\0';
    expect_failure(make_dm(0, uuid), "too long");
    uuid[sizeof(uuid) - 2] = '\0';
    assert_false(is_encrypted(make_dm(0, uuid)));
}

struct wanted {
    const char *uuid;
    struct blockdev last;
    unsigned last_depth;
    unsigned calls;
};

static bool is_wanted(void *context, const struct blockdev_node *node)
{
    struct wanted *wanted = context;

    wanted->calls++;
    wanted->last = node->device;
    wanted->last_depth = node->depth;
    return strcmp(node->dm_uuid, wanted->uuid) == 0;
}

/* One leg of a mirror, the lower layer of a stack, a later device of a list: all count when one way is enough. */
static void some_way_is_enough_when_asked_for(void **state)
{
    struct blockdev mirror = make_device(9, 0), crypt = make_dm(0, "CRYPT-LUKS2-0123-pv"), volume = make_dm(1, "LVM-a");
    struct blockdev_list list = { .devices = { make_device(8, 1), mirror }, .count = 2 };
    struct wanted mine = { .uuid = "CRYPT-LUKS2-0123-pv" }, other = { .uuid = "CRYPT-LUKS2-4567-pv" };
    struct error error;
    bool some = true;

    (void)state;
    make_slave(mirror, make_device(8, 2));
    make_slave(mirror, volume);
    make_slave(volume, crypt);
    make_slave(crypt, make_device(8, 3));
    assert_int_equal(blockdev_some_way(sysfs, &list, is_wanted, &mine, &some, &error), 0);
    assert_true(some);
    assert_int_equal(blockdev_some_way(sysfs, &list, is_wanted, &other, &some, &error), 0);
    assert_false(some);
    assert_int_equal(other.calls, 6);
    list.count = 0;
    assert_int_equal(blockdev_some_way(sysfs, &list, is_wanted, &mine, &some, &error), 0);
    assert_false(some);
    list = (struct blockdev_list){ .devices = { { 8, 99 } }, .count = 1 };
    assert_int_equal(blockdev_some_way(sysfs, &list, is_wanted, &mine, &some, &error), ERROR_FAILED);
    assert_false(some);
}

static void the_walk_shows_upper_devices_first_and_ends_at_the_bad_leaf(void **state)
{
    struct blockdev volume = make_dm(1, "LVM-abc"), crypt = make_dm(0, "CRYPT-LUKS2-0123-pv");
    struct blockdev_list list = { .devices = { volume }, .count = 1 };
    struct wanted mine = { .uuid = "CRYPT-LUKS2-0123-pv" }, other = { .uuid = "CRYPT-LUKS2-4567-pv" };
    struct error error;
    bool good;

    (void)state;
    make_slave(volume, crypt);
    make_slave(crypt, make_device(8, 3));
    assert_int_equal(blockdev_every_way(sysfs, &list, is_wanted, &mine, &good, &error), 0);
    assert_true(good);
    assert_int_equal(mine.calls, 2); /* nothing below an accepted device is looked at */
    assert_int_equal(mine.last_depth, 1);

    assert_int_equal(blockdev_every_way(sysfs, &list, is_wanted, &other, &good, &error), 0);
    assert_false(good);
    assert_int_equal(other.calls, 3);
    assert_int_equal(other.last.major, 8);
    assert_int_equal(other.last.minor, 3);
}

static void the_dm_uuid_is_read(void **state)
{
    char uuid[BLOCKDEV_UUID_TEXT];
    struct error error;

    (void)state;
    assert_int_equal(blockdev_dm_uuid(sysfs, make_dm(3, "CRYPT-LUKS2-0123-pv"), uuid, &error), 0);
    assert_string_equal(uuid, "CRYPT-LUKS2-0123-pv");
    assert_int_equal(blockdev_dm_uuid(sysfs, make_device(8, 1), uuid, &error), 0);
    assert_string_equal(uuid, "");
    assert_int_equal(blockdev_dm_uuid(sysfs, (struct blockdev){ 8, 2 }, uuid, &error), ERROR_FAILED);
}

#define BTRFS_UUID "86e224d5-2e88-4382-a7fc-a3a8681dcd50"

static void a_btrfs_has_all_its_devices(void **state)
{
    struct blockdev_list list;
    struct error error;
    char folder[160];
    bool encrypted;

    (void)state;
    write_number((snprintf(folder, sizeof(folder), "%s/fs/btrfs/%s/devices/dm-0", sysfs, BTRFS_UUID), folder),
                 make_dm(0, "CRYPT-LUKS2-0123-a"));
    assert_int_equal(blockdev_of_btrfs(sysfs, BTRFS_UUID, &list, &error), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(blockdev_is_encrypted(sysfs, &list, &encrypted, &error), 0);
    assert_true(encrypted);

    write_number((snprintf(folder, sizeof(folder), "%s/fs/btrfs/%s/devices/sdb1", sysfs, BTRFS_UUID), folder),
                 make_device(8, 17));
    assert_int_equal(blockdev_of_btrfs(sysfs, BTRFS_UUID, &list, &error), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(blockdev_is_encrypted(sysfs, &list, &encrypted, &error), 0);
    assert_false(encrypted);
}

static void a_btrfs_that_sysfs_does_not_know_is_refused(void **state)
{
    struct blockdev_list list = { .count = 1 };
    struct error error;

    (void)state;
    assert_int_equal(blockdev_of_btrfs(sysfs, BTRFS_UUID, &list, &error), ERROR_FAILED);
    assert_int_equal(list.count, 0);
    assert_non_null(strstr(error.text, BTRFS_UUID));
}

static void a_file_system_without_a_device_has_none(void **state)
{
    struct blockdev_list list = { .count = 1 };
    struct error error;

    (void)state;
    assert_int_equal(blockdev_of_path(BLOCKDEV_SYSFS, "/proc/self/status", &list, &error), 0);
    assert_int_equal(list.count, 0);
    assert_int_equal(blockdev_of_path(BLOCKDEV_SYSFS, "/nonexistent", &list, &error), ERROR_FAILED);
    assert_int_equal(list.count, 0);
}

static void a_file_system_on_a_device_has_that_one(void **state)
{
    struct blockdev_list list;
    struct stat status;
    struct error error;

    (void)state;
    assert_int_equal(stat(sysfs, &status), 0);
    assert_int_equal(blockdev_of_path(BLOCKDEV_SYSFS, sysfs, &list, &error), 0);
    if (major(status.st_dev) == 0) { /* tmpfs, btrfs and their like: never the number that stat() tells */
        assert_true(list.count == 0 || list.devices[0].major != 0);
        return;
    }
    assert_int_equal(list.count, 1);
    assert_int_equal(list.devices[0].major, major(status.st_dev));
    assert_int_equal(list.devices[0].minor, minor(status.st_dev));
}

int main(void)
{
#define on_tree(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        on_tree(a_partition_is_not_encrypted),
        on_tree(a_luks_mapping_is_encrypted),
        on_tree(other_mappings_are_not_encrypted),
        on_tree(a_logical_volume_on_luks_is_encrypted),
        on_tree(luks_on_a_logical_volume_is_encrypted),
        on_tree(one_plain_leg_of_a_mirror_is_enough_to_be_plain),
        on_tree(a_plain_leg_below_two_layers_is_found),
        on_tree(all_devices_of_the_list_count),
        on_tree(a_loop_is_refused),
        on_tree(the_depth_is_bounded),
        on_tree(the_number_of_visits_is_bounded),
        on_tree(the_number_of_slaves_is_bounded),
        on_tree(a_device_that_is_gone_is_refused),
        on_tree(damaged_attributes_are_refused),
        on_tree(some_way_is_enough_when_asked_for),
        on_tree(the_walk_shows_upper_devices_first_and_ends_at_the_bad_leaf),
        on_tree(the_dm_uuid_is_read),
        on_tree(a_btrfs_has_all_its_devices),
        on_tree(a_btrfs_that_sysfs_does_not_know_is_refused),
        on_tree(a_file_system_without_a_device_has_none),
        on_tree(a_file_system_on_a_device_has_that_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
