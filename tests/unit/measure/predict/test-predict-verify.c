#include "measure/predict/predict.h"

#include "base/cleanup.h"
#include "grub-machine.h"
#include "log-builder.h"
#include "measure/predict/program.h"
#include "measure/predict/shim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Programs of Debian's: one that is signed by the key that shim brings, and shim without a signature. */
#define SIGNED "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"
#define NEVER_KNOWN (1u << 10 | 0x7e0000u)

static void verify(const struct grub_machine *machine, struct verification *ret)
{
    struct error error = { 0 };

    if (predict_verify(&machine->scratch.machine, ret, &error))
        fail_msg("%s", error.text);
}

/* Fails unless exactly the PCRs of the mask have that result, and all others are good. */
static void assert_results(const struct verification *verification, uint32_t pcrs, enum verify_result result,
                           const char *reason)
{
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        enum verify_result wanted = pcrs & 1u << pcr ? result : VERIFY_GOOD;
        const char *said = verification->reason[pcr];

        if (NEVER_KNOWN & 1u << pcr)
            wanted = VERIFY_UNKNOWN;
        if (verification->result[pcr] != wanted)
            fail_msg("PCR %u: %s: %s", pcr, verify_result_name(verification->result[pcr]), said ? said : "");
        assert_int_equal(wanted != VERIFY_GOOD, said != NULL);
        if (pcrs & 1u << pcr && !strstr(said, reason))
            fail_msg("PCR %u: %s", pcr, said);
    }
}

static void recorded(void **state)
{
    static const char *const names[] = { "a", "next", "usbhigh" };

    (void)state;
    for (size_t i = 0; i < array_size(names); i++) {
        cleanup(grub_machine_end) struct grub_machine machine;
        cleanup(verification_free) struct verification verification = { 0 };

        grub_machine_start(&machine, names[i]);
        verify(&machine, &verification);
        assert_results(&verification, 0, VERIFY_GOOD, "");
        assert_false(verification.has_event);
    }
}

/* What is set for the next boot says nothing of this one. */
static void next_boot_differs(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(verification_free) struct verification verification = { 0 };
    const uint16_t number = 0x99;

    (void)state;
    grub_machine_start(&machine, "a");
    scratch_set_variable(&machine.scratch, vendor_global, "BootNext", &number, sizeof(number));
    scratch_set_variable(&machine.scratch, vendor_shim, "MokNew", "x", 1);
    verify(&machine, &verification);
    assert_results(&verification, 0, VERIFY_GOOD, "");
}

static void changed_initrd(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(verification_free) struct verification verification = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    machine_write(&machine.scratch, "boot/initrd.img-6.1.0-56-cloud-amd64", "another", 7);
    grub_machine_forget_file(&machine, "boot/initrd.img-6.1.0-56-cloud-amd64");
    verify(&machine, &verification);
    assert_results(&verification, 1u << 9, VERIFY_CHANGED, "the initrd /initrd.img-6.1.0-56-cloud-amd64");
}

static void changed_configuration(void **state)
{
    static const char esp[] = "search.fs_uuid aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee root\nset prefix=($root)'/grub'\n"
                              "configfile $prefix/grub.cfg\n# another\n";
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(verification_free) struct verification verification = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    grub_machine_reboot_into(&machine, "0"); /* the boot after that gives the same commands */
    verify(&machine, &verification);
    assert_results(&verification, 1u << 9, VERIFY_CHANGED, "grubenv");
    verification_free(&verification);
    machine_write(&machine.scratch, "boot/grub/custom.cfg", "echo hello\n", 11);
    machine_write(&machine.scratch, "esp/EFI/debian/grub.cfg", esp, strlen(esp));
    verify(&machine, &verification);
    assert_results(&verification, 1u << 8 | 1u << 9, VERIFY_CHANGED, "EFI/debian/grub.cfg");
    assert_false(verification.has_event);
}

static void changed_variable(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(verification_free) struct verification verification = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    scratch_set_variable(&machine.scratch, vendor_global, "KEK", "x", 1);
    verify(&machine, &verification);
    assert_int_equal(verification.result[7], VERIFY_CHANGED);
    assert_non_null(strstr(verification.reason[7], "KEK"));
}

/* Another GRUB, for which another key vouches: of who vouches for what, this boot says nothing any more. */
static void changed_program(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(verification_free) struct verification verification = { 0 };
    uint8_t list[SCRATCH_LIST_BYTES];

    (void)state;
    grub_machine_start(&machine, "a");
    scratch_hash_list(SCRATCH_SHIM, list);
    scratch_set_owner_keys(&machine.scratch, list);
    machine_copy(&machine.scratch, "boot/vmlinuz-6.1.0-56-cloud-amd64", SIGNED);
    grub_machine_forget_file(&machine, "boot/vmlinuz-6.1.0-56-cloud-amd64");
    machine_copy(&machine.scratch, "esp/EFI/BOOT/grubx64.efi", SCRATCH_SHIM);
    scratch_forget_program(&machine.scratch, "esp/EFI/BOOT/grubx64.efi");
    verify(&machine, &verification);
    assert_int_equal(verification.result[4], VERIFY_CHANGED);
    assert_int_equal(verification.result[7], VERIFY_CHANGED);
    assert_non_null(strstr(verification.reason[7], "grubx64.efi"));
    assert_false(verification.has_event);
}

/* GRUB's disk was another one than any of the orders has. */
static void not_reproduced(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(verification_free) struct verification verification = { 0 };

    (void)state;
    grub_machine_start(&machine, "usbhigh");
    machine.scratch.machine.order_count = 1;
    verify(&machine, &verification);
    assert_results(&verification, 1u << 8, VERIFY_DIFFERS, "could not be reproduced");
    assert_true(verification.has_event);
    assert_int_equal(machine.scratch.log.events[verification.event].pcr, 8);
    assert_non_null(strstr(verification.event_text, "(hd1,gpt1)/EFI/debian"));
}

static void cannot_be_followed(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(verification_free) struct verification verification = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    machine_write(&machine.scratch, "boot/grub/grub.cfg", "frobnicate\n", 11);
    verify(&machine, &verification);
    assert_results(&verification, 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9, VERIFY_UNKNOWN, "grub.cfg");
}

/* The TPM had something else than the log says. */
static void log_does_not_give_the_value(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(verification_free) struct verification verification = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    machine.recorded.value[2][0] ^= 1;
    verify(&machine, &verification);
    assert_results(&verification, 1u << 2, VERIFY_DIFFERS, "another value");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded),
        cmocka_unit_test(next_boot_differs),
        cmocka_unit_test(changed_initrd),
        cmocka_unit_test(changed_configuration),
        cmocka_unit_test(changed_variable),
        cmocka_unit_test(changed_program),
        cmocka_unit_test(not_reproduced),
        cmocka_unit_test(cannot_be_followed),
        cmocka_unit_test(log_does_not_give_the_value),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
