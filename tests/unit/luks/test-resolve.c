#include "base/cleanup.h"
#include "system-tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define UUID "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071"

static struct system_tree tree;

static int make_tree(void **state)
{
    (void)state;
    system_tree_make(&tree);
    system_tree_add(&tree, 0, "root", "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0071-root", "sda3");
    system_tree_add(&tree, 1, "old", "CRYPT-LUKS1-0f4a7c521d1e4b869a7751c5ea1b0071-old", "cciss!c0d0p2");
    system_tree_add(&tree, 2, "vg-lv", "LVM-abc", "sda4");
    system_tree_add(&tree, 3, "lost", "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0071-lost", NULL);
    system_tree_add(&tree, 4, "two", "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0071-two", "sda5");
    system_tree_add(&tree, 4, "two", "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0071-two", "sda6");
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    system_tree_remove(&tree);
    return 0;
}

/* Both are given without the tree's /dev in front, if they are absolute. */
static void assert_resolved(const char *device, const char *wanted)
{
    cleanup(free_ptr) char *path = NULL;
    char in[256], out[256];
    struct error error;

    snprintf(in, sizeof(in), "%s%s", device[0] == '/' ? tree.dev : "", device);
    snprintf(out, sizeof(out), "%s%s", wanted[0] == '/' ? tree.dev : "", wanted);
    assert_int_equal(resolve_device(&tree.folders, in, &path, &error), 0);
    assert_string_equal(path, out);
}

static void mapper_names(void **state)
{
    (void)state;
    assert_resolved("/mapper/root", "/sda3");
    assert_resolved("root", "/sda3");
    assert_resolved("/mapper/old", "/cciss/c0d0p2");
    assert_resolved("/mapper/vg-lv", "/mapper/vg-lv");
    assert_resolved("/mapper/absent", "/mapper/absent");
    assert_resolved("absent", "absent");
    assert_resolved("roo", "roo");
}

static void paths(void **state)
{
    char link[256];

    (void)state;
    system_tree_add_node(&tree, "dm-0");
    system_tree_add_node(&tree, "dm-2");
    system_tree_add_node(&tree, "dm-9");
    system_tree_add_node(&tree, "disk/by-id/any");
    snprintf(link, sizeof(link), "%s/disk/by-id/dm-name-root", tree.dev);
    assert_int_equal(symlink("../../dm-0", link), 0);
    assert_resolved("/dm-0", "/sda3");
    assert_resolved("/disk/by-id/dm-name-root", "/sda3");
    assert_resolved("/disk/by-id/any", "/disk/by-id/any");
    assert_resolved("/dm-2", "/dm-2");
    assert_resolved("/dm-9", "/dm-9");
    assert_resolved("/sda3", "/sda3");
    assert_resolved("./file", "./file");
}

static void mappings_over_no_or_two_devices(void **state)
{
    char *path = NULL;
    struct error error;

    (void)state;
    assert_int_equal(resolve_device(&tree.folders, "lost", &path, &error), ERROR_NOT_LUKS2);
    assert_int_equal(resolve_device(&tree.folders, "two", &path, &error), ERROR_NOT_LUKS2);
    assert_null(path);
}

static void uuids(void **state)
{
    char link[256];

    (void)state;
    system_tree_add_node(&tree, "sda3");
    snprintf(link, sizeof(link), "%s/" UUID, tree.by_uuid);
    assert_int_equal(symlink("../../sda3", link), 0);
    assert_resolved("UUID=" UUID, "/sda3");
    assert_resolved("UUID=0F4A7C52-1D1E-4B86-9A77-51C5EA1B0071", "/sda3");
}

static void uuids_that_are_none(void **state)
{
    static const char *const bad[] = { "UUID=", "UUID=root", "UUID=../../sda3", ("UUID=" UUID "/"), ("UUID= " UUID) };
    char *path = NULL;
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_equal(resolve_device(&tree.folders, bad[i], &path, &error), ERROR_USAGE);
    assert_int_equal(resolve_device(&tree.folders, "UUID=" UUID, &path, &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, UUID));
    assert_non_null(strstr(error.remedy, "lsblk"));
    assert_null(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mapper_names, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(paths, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(mappings_over_no_or_two_devices, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(uuids, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(uuids_that_are_none, make_tree, remove_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
