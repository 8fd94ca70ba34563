/* The volume is a file, which has no mapping, and its UUID is in nobody's crypttab. */
#include "protect/enroll/mapper-name.h"

#include "base/cleanup.h"
#include "protect/machine.h"

#define DEVICE "/nowhere/volume.img"
#define UUID "7b1f0c0e-58c7-4a3b-8f8b-9f1f5d0a7c11"

static void test_wanted(void **state)
{
    char longest[PINS_NAME_MAX + 1], name[PINS_NAME_MAX + 1];
    struct error error;

    (void)state;
    assert_good(mapper_name_find(DEVICE, UUID, "cryptroot", name, sizeof(name), &error), &error);
    assert_string_equal(name, "cryptroot");
    assert_good(mapper_name_find(DEVICE, UUID, "..name", name, sizeof(name), &error), &error);
    assert_string_equal(name, "..name");
    memset(longest, 'n', PINS_NAME_MAX);
    longest[PINS_NAME_MAX] = '\0';
    assert_good(mapper_name_find(DEVICE, UUID, longest, name, sizeof(name), &error), &error);
    assert_string_equal(name, longest);
}

static void test_wanted_and_impossible(void **state)
{
    static const char *const wrong[] = { "", ".", "..", "a/b", "/", "../etc" };
    char name[PINS_NAME_MAX + 1] = "as it was", longer[PINS_NAME_MAX + 2];
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(wrong); i++)
        assert_error(mapper_name_find(DEVICE, UUID, wrong[i], name, sizeof(name), &error), &error, ERROR_USAGE,
                     "cannot be a /dev/mapper name");
    memset(longer, 'n', PINS_NAME_MAX + 1);
    longer[PINS_NAME_MAX + 1] = '\0';
    assert_error(mapper_name_find(DEVICE, UUID, longer, name, sizeof(name), &error), &error, ERROR_USAGE, "1 to 127");
    assert_string_equal(name, "as it was");
}

static void test_from_the_uuid(void **state)
{
    cleanup(luks_file_remove) struct luks_file file;
    char name[PINS_NAME_MAX + 1];
    struct error error;

    (void)state;
    assert_good(mapper_name_find(DEVICE, UUID, NULL, name, sizeof(name), &error), &error);
    assert_string_equal(name, "luks-" UUID);
    luks_file_make_plain(&file, 4096);
    assert_good(mapper_name_find(file.path, UUID, NULL, name, sizeof(name), &error), &error);
    assert_string_equal(name, "luks-" UUID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_wanted_and_impossible),
        cmocka_unit_test(test_from_the_uuid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
