#include "base/cleanup.h"
#include "system-tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define UUID "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071"
#define DIGITS "0f4a7c521d1e4b869a7751c5ea1b0071"

static struct system_tree tree;

static int make_tree(void **state)
{
    (void)state;
    system_tree_make(&tree);
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    system_tree_remove(&tree);
    return 0;
}

static void assert_state(const char *name, const char *uuid, enum mapping_state wanted)
{
    enum mapping_state found;
    struct error error;

    assert_int_equal(mapping_state(&tree.folders, name, uuid, &found, &error), 0);
    assert_int_equal(found, wanted);
}

static void nothing_is_mapped(void **state)
{
    (void)state;
    assert_state("root", UUID, MAPPING_ABSENT);
}

static void ours_and_foreign(void **state)
{
    (void)state;
    system_tree_add(&tree, 0, "root", "CRYPT-LUKS2-" DIGITS "-root", "sda3");
    system_tree_add(&tree, 1, "vg-data", "LVM-abcdef", "sdb1");
    system_tree_add(&tree, 12, "data", "CRYPT-LUKS2-1" DIGITS "-data", "sdb1");
    system_tree_add(&tree, 13, "swap", "CRYPT-PLAIN-swap", "sdb2");
    system_tree_add(&tree, 14, "renamed", "CRYPT-LUKS2-" DIGITS "-before", "sdb2");
    system_tree_add(&tree, 15, "old", "CRYPT-LUKS1-" DIGITS "-old", "sdb2");
    system_tree_add(&tree, 16, "none", "", NULL);
    assert_state("root", UUID, MAPPING_OURS);
    assert_state("root", "1f4a7c52-1d1e-4b86-9a77-51c5ea1b0071", MAPPING_FOREIGN);
    assert_state("roo", UUID, MAPPING_ABSENT);
    assert_state("root2", UUID, MAPPING_ABSENT);
    assert_state("vg-data", UUID, MAPPING_FOREIGN);
    assert_state("data", UUID, MAPPING_FOREIGN);
    assert_state("swap", UUID, MAPPING_FOREIGN);
    assert_state("renamed", UUID, MAPPING_FOREIGN);
    assert_state("old", UUID, MAPPING_FOREIGN);
    assert_state("none", UUID, MAPPING_FOREIGN);
}

/* The kernel's UUID ends after 128 bytes. */
static void long_names(void **state)
{
    char name[MAPPING_NAME_MAX + 1], uuid[300];

    (void)state;
    memset(name, 'n', MAPPING_NAME_MAX);
    name[MAPPING_NAME_MAX] = '\0';
    snprintf(uuid, sizeof(uuid), "CRYPT-LUKS2-" DIGITS "-%s", name);
    uuid[128] = '\0';
    system_tree_add(&tree, 3, name, uuid, NULL);
    assert_state(name, UUID, MAPPING_OURS);
}

static void finds_the_folder(void **state)
{
    cleanup(free_ptr) char *folder = NULL;
    cleanup(free_ptr) char *none = NULL;
    cleanup(free_ptr) char *name = NULL;
    cleanup(free_ptr) char *missing = NULL;
    struct error error;

    (void)state;
    system_tree_add(&tree, 7, "root", "x", NULL);
    assert_int_equal(mapping_find(&tree.folders, "root", &folder, &error), 0);
    assert_non_null(strstr(folder, "/sys/block/dm-7"));
    assert_int_equal(mapping_find(&tree.folders, "other", &none, &error), 0);
    assert_null(none);
    name = mapping_attribute(folder, "name");
    assert_string_equal(name, "root");
    missing = mapping_attribute(folder, "suspended");
    assert_string_equal(missing, "");
}

static void the_real_system_has_no_such_name(void **state)
{
    enum mapping_state found;
    struct error error;

    (void)state;
    assert_int_equal(volume_mapping_state("bootseal-test-that-is-nowhere", UUID, &found, &error), 0);
    assert_int_equal(found, MAPPING_ABSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_mapped, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(ours_and_foreign, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(long_names, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(finds_the_folder, make_tree, remove_tree),
        cmocka_unit_test(the_real_system_has_no_such_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
