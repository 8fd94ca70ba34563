#include "measure/boot-chain.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "log-builder.h"
#include "scratch-machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The running entry is one for this file. */
static void boot_from(const struct scratch_machine *scratch, const char *file)
{
    scratch_set_option(scratch, 7, file);
    scratch_set_number(scratch, "BootCurrent", 7);
}

static enum boot_chain detect(const struct scratch_machine *scratch, bool look)
{
    enum boot_chain chain;
    struct error error = { 0 };

    if (boot_chain_from_variables(scratch->variables, look ? scratch->esp : NULL, &chain, &error))
        fail_msg("%s", error.text);
    return chain;
}

static void programs(void **state)
{
    static const struct {
        const char *file;
        enum boot_chain chain;
    } cases[] = {
        { "\\EFI\\debian\\shimx64.efi", CHAIN_SHIM_GRUB },
        { "\\EFI\\debian\\grubx64.efi", CHAIN_GRUB },
        { "\\EFI\\systemd\\systemd-bootx64.efi", CHAIN_SYSTEMD_BOOT },
        { "\\EFI\\Linux\\debian.efi", CHAIN_UKI },
        { "\\efi\\linux\\debian.efi", CHAIN_UKI },
        { "\\vmlinuz-6.1.0-50-amd64", CHAIN_KERNEL },
        { "\\EFI\\BOOT\\BOOTX64.EFI", CHAIN_NONE },
        { "\\EFI\\Microsoft\\Boot\\bootmgfw.efi", CHAIN_NONE },
    };
    cleanup(scratch_machine_end) struct scratch_machine scratch;

    (void)state;
    scratch_machine_start(&scratch, recorded_logs[0]);
    assert_int_equal(detect(&scratch, false), CHAIN_NONE); /* no BootCurrent */
    for (size_t i = 0; i < array_size(cases); i++) {
        boot_from(&scratch, cases[i].file);
        assert_int_equal(detect(&scratch, false), cases[i].chain);
    }
}

static void what_lies_beside(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;

    (void)state;
    scratch_machine_start(&scratch, recorded_logs[1]);
    boot_from(&scratch, "\\EFI\\debian\\shimx64.efi");
    assert_int_equal(detect(&scratch, true), CHAIN_NONE);
    machine_write(&scratch, "esp/EFI/debian/grubx64.efi", "x", 1);
    assert_int_equal(detect(&scratch, true), CHAIN_SHIM_GRUB);
    boot_from(&scratch, "\\EFI\\debian\\other.efi");
    assert_int_equal(detect(&scratch, true), CHAIN_NONE);
    machine_write(&scratch, "esp/EFI/debian/mmx64.efi", "x", 1);
    assert_int_equal(detect(&scratch, true), CHAIN_SHIM_GRUB);
}

static void systemd(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;

    (void)state;
    scratch_machine_start(&scratch, recorded_logs[0]);
    boot_from(&scratch, "\\EFI\\BOOT\\BOOTX64.EFI");
    machine_write(&scratch, "efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "\6\0\0\0s", 6);
    assert_int_equal(detect(&scratch, true), CHAIN_SYSTEMD_BOOT);
    scratch_set_variable(&scratch, vendor_loader, "StubInfo", "s", 2);
    assert_int_equal(detect(&scratch, true), CHAIN_UKI);
}

static void no_variables(void **state)
{
    enum boot_chain chain = CHAIN_UKI;
    struct error error;

    (void)state;
    assert_int_equal(boot_chain_from_variables(NULL, NULL, &chain, &error), 0);
    assert_int_equal(chain, CHAIN_NONE);
    assert_int_equal(boot_chain_from_variables("/nonexistent", NULL, &chain, &error), 0);
    assert_int_equal(chain, CHAIN_NONE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs),
        cmocka_unit_test(what_lies_beside),
        cmocka_unit_test(systemd),
        cmocka_unit_test(no_variables),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
