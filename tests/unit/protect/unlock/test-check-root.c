#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock/check-root.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/*
 * A sysfs of the test's own. The disk 8:0 is the genuine one, 8:16 the attacker's; dm devices have the major 254. What
 * a mapping really is, is asked of `genuine`, since this machine has none.
 */
#define ROOT_UUID "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071"
#define ROOT_DM "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0071-cryptroot"
#define DATA_UUID "1f4a7c52-1d1e-4b86-9a77-51c5ea1b0072"
#define DATA_DM "CRYPT-LUKS2-1f4a7c521d1e4b869a7751c5ea1b0072-cryptdata"

static char sysfs[64];
static bool genuine;
static unsigned verified;

static const struct blockdev disk = { 8, 0 }, foreign_disk = { 8, 16 };

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void write_line(const char *folder, const char *name, const char *text)
{
    char path[256], line[160];
    struct error error;

    assert_int_equal(file_make_folder(folder, 0755, &error), 0);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    snprintf(line, sizeof(line), "%s\n", text);
    assert_int_equal(file_write(path, line, strlen(line), 0644, &error), 0);
}

static void make_device(struct blockdev device)
{
    char folder[128], number[32];

    snprintf(folder, sizeof(folder), "%s/dev/block/%u:%u", sysfs, device.major, device.minor);
    snprintf(number, sizeof(number), "%u:%u", device.major, device.minor);
    write_line(folder, "dev", number);
}

static void put_on(struct blockdev upper, struct blockdev lower)
{
    char folder[128], path[256], target[64];
    struct error error;

    snprintf(folder, sizeof(folder), "%s/dev/block/%u:%u/slaves", sysfs, upper.major, upper.minor);
    assert_int_equal(file_make_folder(folder, 0755, &error), 0);
    snprintf(path, sizeof(path), "%s/b%u-%u", folder, lower.major, lower.minor);
    snprintf(target, sizeof(target), "../../%u:%u", lower.major, lower.minor);
    assert_int_equal(symlink(target, path), 0);
}

/* A dm device on another device. */
static struct blockdev make_dm(unsigned minor, const char *uuid, struct blockdev lower)
{
    const struct blockdev device = { 254, minor };
    char folder[128];

    make_device(device);
    snprintf(folder, sizeof(folder), "%s/dev/block/254:%u/dm", sysfs, minor);
    write_line(folder, "uuid", uuid);
    put_on(device, lower);
    return device;
}

static int setup(void **state)
{
    (void)state;
    strcpy(sysfs, "/tmp/test-check-root-XXXXXX");
    if (!mkdtemp(sysfs))
        return -1;
    make_device(disk);
    make_device(foreign_disk);
    genuine = true;
    verified = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return nftw(sysfs, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static int verify(void *context, const struct pinned_volume *pin, const char *dm_uuid, struct error *error)
{
    assert_ptr_equal(context, &genuine);
    assert_string_equal(dm_uuid, strcmp(pin->name, "cryptroot") == 0 ? ROOT_DM : DATA_DM);
    verified++;
    return genuine ? 0 : error_set(error, ERROR_METADATA, "the header of \"%s\" was edited", pin->name);
}

static const struct pins pins = {
    .volumes = { { .name = "cryptroot", .uuid = ROOT_UUID }, { .name = "cryptdata", .uuid = DATA_UUID } },
    .volume_count = 2,
};

static int check(const struct blockdev_list *list, struct error *error)
{
    const struct check_root_devices devices = { .sysfs = sysfs, .pins = &pins, .verify = verify, .context = &genuine };

    return check_root_covered(&devices, list, "the root file system", error);
}

static int check_one(struct blockdev device, struct error *error)
{
    return check(&(struct blockdev_list){ .devices = { device }, .count = 1 }, error);
}

static void expect_refusal(struct blockdev device, const char *text)
{
    struct error error;

    assert_int_equal(check_one(device, &error), ERROR_REFUSED);
    if (!strstr(error.text, text) || !strstr(error.text, "the root file system is not on"))
        fail_msg("\"%s\" is not in \"%s\"", text, error.text);
    assert_string_not_equal(error.remedy, "");
}

static void on_a_pinned_volume(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(check_one(make_dm(0, ROOT_DM, disk), &error), 0);
    assert_int_equal(verified, 1);
}

static void through_lvm_on_a_pinned_volume(void **state)
{
    struct blockdev mapping = make_dm(0, ROOT_DM, disk);
    struct error error;

    (void)state;
    assert_int_equal(check_one(make_dm(1, "LVM-abc", mapping), &error), 0);
}

static void lvm_below_a_pinned_volume(void **state)
{
    struct blockdev lv = make_dm(0, "LVM-abc", disk);
    struct error error;

    (void)state;
    assert_int_equal(check_one(make_dm(1, ROOT_DM, lv), &error), 0);
}

static void several_devices_on_pinned_volumes(void **state)
{
    struct blockdev_list list = { .devices = { make_dm(0, ROOT_DM, disk), make_dm(1, DATA_DM, disk) }, .count = 2 };
    struct error error;

    (void)state;
    assert_int_equal(check(&list, &error), 0);
    assert_int_equal(verified, 2);
    list.devices[1] = foreign_disk;
    assert_int_equal(check(&list, &error), ERROR_REFUSED);
    assert_non_null(strstr(error.text, "8:16"));
}

static void a_disk_without_encryption(void **state)
{
    (void)state;
    (void)make_dm(0, ROOT_DM, disk);
    expect_refusal(foreign_disk, "8:16");
    assert_int_equal(verified, 0);
}

static void the_device_is_named(void **state)
{
    char folder[128];

    (void)state;
    snprintf(folder, sizeof(folder), "%s/dev/block/8:16", sysfs);
    write_line(folder, "uevent", "MAJOR=8\nMINOR=16\nDEVNAME=sdb\nDEVTYPE=disk");
    expect_refusal(foreign_disk, "\"sdb\"");
    write_line(folder, "uevent", "DEVNAME=sdc");
    expect_refusal(foreign_disk, "\"sdc\"");
    write_line(folder, "uevent", "MAJOR=8");
    expect_refusal(foreign_disk, "\"8:16\"");
}

static void a_volume_group_of_the_same_name(void **state)
{
    (void)state;
    (void)make_dm(0, ROOT_DM, disk);
    expect_refusal(make_dm(1, "LVM-abc", foreign_disk), "8:16");
}

/* A logical volume with one leg on each disk. */
static void one_way_beside_the_pinned_volume(void **state)
{
    struct blockdev lv = make_dm(1, "LVM-abc", make_dm(0, ROOT_DM, disk));

    (void)state;
    put_on(lv, foreign_disk);
    expect_refusal(lv, "8:16");
}

static void an_own_luks_volume(void **state)
{
    (void)state;
    expect_refusal(make_dm(0, "CRYPT-LUKS2-2f4a7c521d1e4b869a7751c5ea1b0073-cryptroot", foreign_disk), "8:16");
    assert_int_equal(verified, 0);
}

static void the_pinned_uuid_under_another_name(void **state)
{
    (void)state;
    expect_refusal(make_dm(0, "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0071-other", disk), "8:0");
    expect_refusal(make_dm(1, "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0071-cryptdata", disk), "8:0");
    assert_int_equal(verified, 0);
}

static void other_kinds_of_encryption(void **state)
{
    (void)state;
    expect_refusal(make_dm(0, "CRYPT-PLAIN-cryptroot", disk), "8:0");
    expect_refusal(make_dm(1, "CRYPT-LUKS1-0f4a7c521d1e4b869a7751c5ea1b0071-cryptroot", disk), "8:0");
}

static void an_edited_header(void **state)
{
    (void)state;
    genuine = false;
    expect_refusal(make_dm(0, ROOT_DM, disk), "was edited");
    assert_int_equal(verified, 1);
}

/* The genuine volume below does not make the false one above good. */
static void a_false_mapping_on_the_pinned_volume(void **state)
{
    struct blockdev below = make_dm(0, ROOT_DM, disk);

    (void)state;
    genuine = false;
    expect_refusal(make_dm(1, DATA_DM, below), "\"cryptdata\" was edited");
    assert_int_equal(verified, 1);
}

/* What enroll asks of the running system: the UUID counts, not the name, and no header is read. */
static void by_the_uuid_alone(void **state)
{
    const struct check_root_devices devices = { .sysfs = sysfs, .pins = &pins };
    struct blockdev_list list = { .count = 1 };
    struct error error;

    (void)state;
    list.devices[0] = make_dm(0, "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0071-root-of-the-installer", disk);
    assert_int_equal(check_root_covered(&devices, &list, "the root file system", &error), 0);
    list.devices[0] = make_dm(1, "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0073-cryptroot", disk);
    assert_int_equal(check_root_covered(&devices, &list, "the root file system", &error), ERROR_REFUSED);
    list.devices[0] = make_dm(2, "CRYPT-LUKS1-0f4a7c521d1e4b869a7751c5ea1b0071-cryptroot", disk);
    assert_int_equal(check_root_covered(&devices, &list, "the root file system", &error), ERROR_REFUSED);
    assert_int_equal(verified, 0);
}

/* /proc lies on no disk: as a root it would be refused. */
static void any_root(void **state)
{
    struct pins machine = pins;
    struct error error;

    (void)state;
    assert_int_equal(check_root_of_running(&machine, "/proc", &error), ERROR_REFUSED);
    machine.any_root = true;
    assert_int_equal(check_root_of_running(&machine, "/proc", &error), 0);
    machine.any_root = false;
    machine.volume_count = 0;
    assert_int_equal(check_root_of_running(&machine, "/proc", &error), 0);
}

static void no_device_at_all(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(check(&(struct blockdev_list){ .count = 0 }, &error), ERROR_REFUSED);
    assert_non_null(strstr(error.text, "no disk"));
    assert_int_equal(check_one((struct blockdev){ 9, 9 }, &error), ERROR_REFUSED);
}

static void without_pins_nothing_is_checked(void **state)
{
    const struct check_root_request request = { .pins_path = "/nonexistent/pins.json" };
    struct error error;

    (void)state;
    assert_int_equal(check_root(&request, "/proc", &error), 0);
    assert_int_equal(check_resume(&request, "/dev/null", &error), 0);
}

int main(void)
{
#define on_sysfs(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        on_sysfs(on_a_pinned_volume),
        on_sysfs(through_lvm_on_a_pinned_volume),
        on_sysfs(lvm_below_a_pinned_volume),
        on_sysfs(several_devices_on_pinned_volumes),
        on_sysfs(a_disk_without_encryption),
        on_sysfs(the_device_is_named),
        on_sysfs(a_volume_group_of_the_same_name),
        on_sysfs(one_way_beside_the_pinned_volume),
        on_sysfs(an_own_luks_volume),
        on_sysfs(the_pinned_uuid_under_another_name),
        on_sysfs(other_kinds_of_encryption),
        on_sysfs(an_edited_header),
        on_sysfs(a_false_mapping_on_the_pinned_volume),
        on_sysfs(by_the_uuid_alone),
        on_sysfs(any_root),
        on_sysfs(no_device_at_all),
        cmocka_unit_test(without_pins_nothing_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
