#include "protect/update/machine-chain.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "policy/document.h"
#include "protect/machine.h"

#include <string.h>

#define VARIABLES "sys/firmware/efi/efivars"
#define LOADER "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
#define LOG "sys/kernel/security/tpm0"

static const char *data, *policies;

static int setup(void **state)
{
    struct scratch *root = calloc(1, sizeof(*root));
    struct error error;

    scratch_make(root);
    assert_good(file_make_folder(scratch_path(root, VARIABLES), 0700, &error), &error);
    assert_good(file_make_folder(scratch_path(root, LOG), 0700, &error), &error);
    *state = root;
    return 0;
}

static int teardown(void **state)
{
    scratch_remove(*state);
    free(*state);
    return 0;
}

/* systemd's stub or boot loader leaves a variable. */
static void set_variable(struct scratch *root, const char *name)
{
    char path[128];
    struct error error;

    snprintf(path, sizeof(path), VARIABLES "/%s-" LOADER, name);
    assert_good(file_write(scratch_path(root, path), "\x06\0\0\0x\0\0", 8, 0600, &error), &error);
}

static void copy_log(struct scratch *root, const char *name, size_t less)
{
    cleanup(free_ptr) char *bytes = NULL;
    char path[4096];
    struct error error;
    size_t size;

    snprintf(path, sizeof(path), "%s/%s.bin", data, name);
    assert_good(file_read(path, 1024 * 1024, &bytes, &size, &error), &error);
    assert_good(file_write(scratch_path(root, LOG "/binary_bios_measurements"), bytes, size - less, 0600, &error),
                &error);
}

static void assert_chain(struct scratch *root, const char *log, enum boot_chain chain, bool by_log)
{
    struct machine_chain found;
    struct error error;

    assert_good(machine_chain_read(root->folder, log, &found, &error), &error);
    assert_string_equal(boot_chain_name(found.chain), boot_chain_name(chain));
    assert_int_equal(found.by_log, by_log);
}

static void test_nothing(void **state)
{
    assert_chain(*state, NULL, CHAIN_NONE, false);
    assert_null(machine_chain_preset(CHAIN_NONE));
    assert_int_equal(machine_chain_pcrs(CHAIN_NONE), 0);
}

static void test_variables(void **state)
{
    set_variable(*state, "LoaderInfo");
    assert_chain(*state, NULL, CHAIN_SYSTEMD_BOOT, false);
    set_variable(*state, "StubInfo");
    assert_chain(*state, NULL, CHAIN_UKI, false);
}

/* The log comes before the variables, and a named one before the root's. */
static void test_log(void **state)
{
    char named[4096];

    set_variable(*state, "StubInfo");
    copy_log(*state, "debian12-shim-grub-secureboot", 0);
    assert_chain(*state, NULL, CHAIN_SHIM_GRUB, true);
    snprintf(named, sizeof(named), "%s/debian12-systemd-boot.bin", data);
    assert_chain(*state, named, CHAIN_SYSTEMD_BOOT, true);
    assert_chain(*state, "/nonexistent", CHAIN_UKI, false);
}

/* A damaged log is not passed over. */
static void test_damaged(void **state)
{
    struct scratch *root = *state;
    struct machine_chain found;
    struct error error;

    set_variable(root, "StubInfo");
    copy_log(root, "debian12-systemd-boot", 3);
    assert_int_equal(machine_chain_read(root->folder, NULL, &found, &error), ERROR_METADATA);
    assert_int_equal(found.chain, CHAIN_NONE);
}

/* The preset of each way is one of the tree's, and binds what the way wants. */
static void test_presets(void **state)
{
    (void)state;
    for (enum boot_chain chain = CHAIN_NONE + 1; chain <= CHAIN_KERNEL; chain++) {
        struct policy_document document;
        struct error error;

        assert_good(policy_document_read(policies, machine_chain_preset(chain), &document, &error), &error);
        assert_true(machine_chain_pcrs(chain));
        assert_int_equal(document.pcrs & machine_chain_pcrs(chain), machine_chain_pcrs(chain));
    }
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        test(test_nothing), test(test_variables), test(test_log), test(test_damaged), test(test_presets),
    };

    if (argc != 3)
        return EXIT_FAILURE;
    data = argv[1];
    policies = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
