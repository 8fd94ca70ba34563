#include "base/cleanup.h"
#include "base/file.h"
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

static void lists_the_mappings_of_one_volume(void **state)
{
    cleanup(mapping_names_free) struct mapping_names names = { 0 }, none = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(mapping_list(&tree.folders, UUID, &none, &error), 0);
    assert_int_equal(none.count, 0);
    system_tree_add(&tree, 0, "root", "CRYPT-LUKS2-" DIGITS "-root", "sda3");
    system_tree_add(&tree, 1, "again", "CRYPT-LUKS2-" DIGITS "-other", "sda3"); /* renamed: it is that volume's */
    system_tree_add(&tree, 2, "vg-data", "LVM-abcdef", "dm-0");
    system_tree_add(&tree, 3, "data", "CRYPT-LUKS2-1" DIGITS "-data", "sdb1");
    system_tree_add(&tree, 4, "old", "CRYPT-LUKS1-" DIGITS "-old", "sdb2");
    assert_int_equal(mapping_list(&tree.folders, UUID, &names, &error), 0);
    assert_int_equal(names.count, 2);
    assert_true((strcmp(names.names[0], "root") == 0) != (strcmp(names.names[1], "root") == 0));
    assert_true((strcmp(names.names[0], "again") == 0) != (strcmp(names.names[1], "again") == 0));
}

static void too_many_mappings_are_not_cut_short(void **state)
{
    cleanup(mapping_names_free) struct mapping_names names = { 0 };
    char name[16], uuid[MAPPING_UUID_TEXT];
    struct error error;

    (void)state;
    for (int i = 0; i <= MAPPINGS_MAX; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        volume_mapping_uuid(name, UUID, uuid);
        system_tree_add(&tree, i, name, uuid, NULL);
    }
    assert_int_equal(mapping_list(&tree.folders, UUID, &names, &error), ERROR_FAILED);
}

/* dm-<upper> lies on dm-<lower>. */
static void put_on(int upper, int lower)
{
    char folder[160], path[200], target[160];
    struct error error;

    snprintf(folder, sizeof(folder), "%s/block/dm-%d/holders", tree.sysfs, lower);
    assert_int_equal(file_make_folder(folder, 0755, &error), 0);
    snprintf(path, sizeof(path), "%s/dm-%d", folder, upper);
    snprintf(target, sizeof(target), "../../dm-%d", upper);
    assert_int_equal(symlink(target, path), 0);
}

static void lists_what_lies_on_a_mapping(void **state)
{
    cleanup(mapping_names_free) struct mapping_names names = { 0 };
    char folder[160];
    struct error error;

    (void)state;
    system_tree_add(&tree, 0, "root", "CRYPT-LUKS2-" DIGITS "-root", "sda3");
    system_tree_add(&tree, 1, "vg-root", "LVM-abc", NULL);
    system_tree_add(&tree, 2, "inner", "CRYPT-PLAIN-inner", NULL);
    system_tree_add(&tree, 3, "other", "LVM-def", NULL);
    snprintf(folder, sizeof(folder), "%s/block/dm-0", tree.sysfs);
    assert_int_equal(mapping_holders(folder, &names, &error), 0);
    assert_int_equal(names.count, 0);
    put_on(1, 0);
    put_on(2, 1);
    assert_int_equal(mapping_holders(folder, &names, &error), 0);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.names[0], "inner");
    assert_string_equal(names.names[1], "vg-root");
}

static void a_ring_of_mappings_comes_to_an_end(void **state)
{
    cleanup(mapping_names_free) struct mapping_names names = { 0 };
    char folder[160];
    struct error error;

    (void)state;
    system_tree_add(&tree, 0, "a", "LVM-a", NULL);
    system_tree_add(&tree, 1, "b", "LVM-b", NULL);
    put_on(0, 1);
    put_on(1, 0);
    snprintf(folder, sizeof(folder), "%s/block/dm-0", tree.sysfs);
    assert_int_equal(mapping_holders(folder, &names, &error), ERROR_FAILED);
}

static void lists_all_that_encrypts(void **state)
{
    cleanup(mapping_names_free) struct mapping_names names = { 0 };
    struct error error;

    (void)state;
    system_tree_add(&tree, 0, "root", "CRYPT-LUKS2-" DIGITS "-root", "sda3");
    system_tree_add(&tree, 1, "vg-root", "LVM-abc", NULL);
    system_tree_add(&tree, 2, "old", "CRYPT-LUKS1-00000000000000000000000000000000-old", "sdb1");
    system_tree_add(&tree, 3, "swap", "CRYPT-PLAIN-swap", "sdb2");
    assert_int_equal(mapping_list(&tree.folders, NULL, &names, &error), 0);
    assert_int_equal(names.count, 3);
    for (size_t i = 0; i < names.count; i++)
        assert_string_not_equal(names.names[i], "vg-root");
}

static void the_uuid_of_a_mapping(void **state)
{
    char uuid[MAPPING_UUID_TEXT];

    (void)state;
    volume_mapping_uuid("root", UUID, uuid);
    assert_string_equal(uuid, "CRYPT-LUKS2-" DIGITS "-root");
}

static void closing_what_is_not_there(void **state)
{
    struct error error;
    unsigned count = 7;

    (void)state;
    assert_int_equal(volume_mappings_close(UUID, false, &count, &error), 0);
    assert_int_equal(count, 0);
    assert_int_equal(volume_mappings_close(UUID, true, NULL, &error), 0);
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
        cmocka_unit_test_setup_teardown(lists_the_mappings_of_one_volume, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(too_many_mappings_are_not_cut_short, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(lists_all_that_encrypts, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(lists_what_lies_on_a_mapping, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(a_ring_of_mappings_comes_to_an_end, make_tree, remove_tree),
        cmocka_unit_test(the_uuid_of_a_mapping),
        cmocka_unit_test(closing_what_is_not_there),
        cmocka_unit_test(the_real_system_has_no_such_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
