#include "measure/boot-chain.h"

#include "base/cleanup.h"
#include "log-builder.h"
#include "measure/event-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static enum boot_chain detect(const struct event_log *log)
{
    cleanup(component_list_free) struct component_list list = { 0 };
    struct error error;

    assert_int_equal(component_list_read(log, &list, &error), 0);
    return boot_chain_detect(log, &list);
}

static void assert_chain(const struct built_log *built, enum boot_chain wanted)
{
    cleanup(event_log_free) struct event_log log = { 0 };

    built_log_parse(built, &log);
    assert_string_equal(boot_chain_name(detect(&log)), boot_chain_name(wanted));
}

static void recorded(void **state)
{
    static const enum boot_chain wanted[RECORDED_LOGS] = { CHAIN_SHIM_GRUB, CHAIN_SYSTEMD_BOOT, CHAIN_SHIM_GRUB,
                                                           CHAIN_SHIM_GRUB, CHAIN_SHIM_GRUB };

    (void)state;
    for (size_t i = 0; i < RECORDED_LOGS; i++) {
        cleanup(event_log_free) struct event_log log = { 0 };
        struct error error;

        assert_int_equal(event_log_read(recorded_path(recorded_logs[i], "bin"), &log, &error), 0);
        assert_int_equal(detect(&log), wanted[i]);
    }
}

static struct built_log *start(void)
{
    return built_log_start(1, (uint16_t[]){ HASH_SHA256 });
}

static void unified_kernel_image(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_program(built, "\\EFI\\Linux\\debian.efi", "image");
    built_log_add_utf16(built, 11, EVENT_IPL, ".linux");
    built_log_add_tag(built, 9, 0x8f3b22ed, "LOADED_IMAGE::LoadOptions", "");
    assert_chain(built, CHAIN_UKI);
    built = start(); /* by systemd-boot */
    built_log_add_program(built, "\\EFI\\systemd\\systemd-bootx64.efi", "loader");
    built_log_add_program(built, "\\EFI\\Linux\\debian.efi", "image");
    built_log_add_utf16(built, 11, EVENT_IPL, ".linux");
    assert_chain(built, CHAIN_UKI);
}

static void systemd_boot(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_program(built, "\\EFI\\BOOT\\BOOTX64.EFI", "loader");
    built_log_add_program(built, "\\vmlinuz", "kernel");
    built_log_add_tag(built, 9, 0x8f3b22ed, "LOADED_IMAGE::LoadOptions", "");
    assert_chain(built, CHAIN_NONE); /* some boot loader, but which? */
    built_log_add_utf16(built, 12, EVENT_IPL, "quiet");
    assert_chain(built, CHAIN_SYSTEMD_BOOT);
    built = start();
    built_log_add_program(built, "\\EFI\\systemd\\systemd-bootx64.efi", "loader");
    assert_chain(built, CHAIN_SYSTEMD_BOOT);
}

static void grub(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_program(built, "\\EFI\\debian\\grubx64.efi", "GRUB");
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: echo", "echo");
    assert_chain(built, CHAIN_GRUB);
    built_log_add_text(built, 14, EVENT_IPL, "MokList", "");
    assert_chain(built, CHAIN_SHIM_GRUB);
}

/* The old form, as on a machine without UEFI. */
static void grub_without_uefi(void **state)
{
    struct built_log *built = built_log_start(0, NULL);

    (void)state;
    built_log_add_text(built, 8, EVENT_IPL, "kernel_cmdline: /vmlinuz", "/vmlinuz");
    assert_chain(built, CHAIN_GRUB);
}

static void kernel(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_program(built, "\\vmlinuz.efi", "kernel");
    built_log_add_tag(built, 9, 0x8f3b22ed, "LOADED_IMAGE::LoadOptions", "");
    assert_chain(built, CHAIN_KERNEL);
}

/* What ran in a boot entry that came back, such as the network's, is not this boot's chain. */
static void failed_attempt(void **state)
{
    struct built_log *built = start();

    (void)state;
    built_log_add_program(built, "\\other.efi", "other");
    built_log_add_text(built, 8, EVENT_IPL, "grub_cmd: exit", "exit");
    built_log_add_text(built, 4, EVENT_EFI_ACTION, "Returning from EFI Application from Boot Option", "");
    assert_chain(built, CHAIN_NONE);
    built_log_add_program(built, "\\vmlinuz.efi", "kernel");
    built_log_add_tag(built, 9, 0x8f3b22ed, "LOADED_IMAGE::LoadOptions", "");
    assert_chain(built, CHAIN_KERNEL);
}

static void none(void **state)
{
    struct built_log *built = start();

    (void)state;
    assert_chain(built, CHAIN_NONE);
    built_log_add_text(built, 0, EVENT_S_CRTM_VERSION, "U-Boot", "U-Boot");
    built_log_add_text(built, 14, EVENT_IPL, "MokList", "");
    assert_chain(built, CHAIN_NONE);
    assert_non_null(boot_chain_words(CHAIN_NONE));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded),          cmocka_unit_test(unified_kernel_image),
        cmocka_unit_test(systemd_boot),      cmocka_unit_test(grub),
        cmocka_unit_test(grub_without_uefi), cmocka_unit_test(kernel),
        cmocka_unit_test(failed_attempt),    cmocka_unit_test(none),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
