#include "measure/predict/firmware-events.h"

#include "base/cleanup.h"
#include "log-builder.h"
#include "measure/predict/authority-events.h"
#include "measure/predict/owner-keys.h"
#include "measure/predict/shim.h"
#include "scratch-machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Everything but what the boot loader measures. */
static void predict(const struct scratch_machine *scratch, struct boot_prediction *ret)
{
    cleanup(program_cache_free) struct program_cache cache = { 0 };
    struct running_boot running;
    struct error error = { 0 };

    if (running_boot_read(&scratch->machine, &cache, &running, &error) ||
        boot_prediction_init(ret, HASH_SHA256, &error) || firmware_events_predict(&running, ret, &error) ||
        owner_keys_check_requests(&scratch->machine, ret, &error) ||
        authority_events_predict(&running, NULL, ret, &error) ||
        firmware_events_predict_rest(&running, 1u << 8 | 1u << 9 | 1u << 12, ret, &error))
        fail_msg("%s", error.text);
}

static void assert_unknown(const struct boot_prediction *prediction, uint32_t pcrs, const char *reason)
{
    assert_int_equal(prediction->unknown, pcrs);
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++)
        if (pcrs & 1u << pcr && !strstr(prediction->reasons[pcr], reason))
            fail_msg("PCR %u: %s", pcr, prediction->reasons[pcr]);
}

/* Real boots, with nothing changed. */
static void recorded(void **state)
{
    static const unsigned pcrs[] = { 0, 1, 2, 3, 5, 6, 7, 14 };

    (void)state;
    for (size_t i = 0; i < RECORDED_LOGS; i++) {
        cleanup(scratch_machine_end) struct scratch_machine scratch;
        cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };

        scratch_machine_start(&scratch, recorded_logs[i]);
        predict(&scratch, &prediction);
        for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++)
            if (prediction.unknown & 1u << pcr)
                fail_msg("%s: PCR %u: %s", recorded_logs[i], pcr, prediction.reasons[pcr]);
        for (size_t k = 0; k < array_size(pcrs); k++)
            scratch_compare(&scratch, &prediction.extends, pcrs[k]);
    }
}

#define ANOTHER_GRUB "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"

/* The variables that shim leaves for the system, with no keys of the owner's. */
static void set_owner_keys(const struct scratch_machine *scratch)
{
    for (int revoked = 0; revoked < 2; revoked++) {
        cleanup(free_ptr) uint8_t *lists = NULL;
        struct error error = { 0 };
        size_t size;

        if (shim_vendor_lists(SCRATCH_SHIM, revoked, &lists, &size, &error))
            fail_msg("%s", error.text);
        scratch_set_variable(scratch, vendor_shim, revoked ? "MokListXRT" : "MokListRT", lists, size);
    }
}

/* Signed by Debian as the one before: the same keys vouch for it. */
static void new_grub(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };

    (void)state;
    scratch_machine_start(&scratch, recorded_logs[2]);
    set_owner_keys(&scratch);
    machine_copy(&scratch, "esp/EFI/BOOT/grubx64.efi", ANOTHER_GRUB);
    scratch_forget_program(&scratch, "esp/EFI/BOOT/grubx64.efi");
    predict(&scratch, &prediction);
    assert_unknown(&prediction, 0, "");
    scratch_compare(&scratch, &prediction.extends, 7);
    scratch_compare(&scratch, &prediction.extends, 14);
    assert_int_equal(prediction.extends.file_count, 2);
}

static void grub_that_nobody_vouches_for(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };

    (void)state;
    scratch_machine_start(&scratch, recorded_logs[2]);
    set_owner_keys(&scratch);
    machine_copy(&scratch, "esp/EFI/BOOT/grubx64.efi", SCRATCH_SHIM);
    scratch_forget_program(&scratch, "esp/EFI/BOOT/grubx64.efi");
    predict(&scratch, &prediction);
    assert_unknown(&prediction, 1u << 7, "no key of this machine verifies");
}

/* A program that is started today; and one that is to come. */
static void revoked_program(void **state)
{
    static const char loader[] = "esp/EFI/BOOT/grubx64.efi";

    (void)state;
    for (int is_new = 0; is_new < 2; is_new++)
        for (int is_listed = 0; is_listed < 2; is_listed++) {
            cleanup(scratch_machine_end) struct scratch_machine scratch;
            cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
            uint8_t list[SCRATCH_LIST_BYTES];

            scratch_machine_start(&scratch, recorded_logs[2]);
            set_owner_keys(&scratch);
            machine_copy(&scratch, loader, ANOTHER_GRUB);
            if (is_new)
                scratch_forget_program(&scratch, loader);
            scratch_hash_list(is_listed ? ANOTHER_GRUB : SCRATCH_SHIM, list);
            scratch_set_variable(&scratch, vendor_database, "dbx", list, sizeof(list));
            predict(&scratch, &prediction);
            assert_unknown(&prediction, is_listed ? 1u << 7 : 0, "dbx revokes");
        }
}

/* What shim does not start: by the certificate that signed it. */
static void revoked_by_shim(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
    cleanup(free_ptr) uint8_t *lists = NULL;
    struct error error = { 0 };
    size_t size;

    (void)state;
    scratch_machine_start(&scratch, recorded_logs[2]);
    set_owner_keys(&scratch);
    assert_int_equal(shim_vendor_lists(SCRATCH_SHIM, false, &lists, &size, &error), 0);
    scratch_set_variable(&scratch, vendor_shim, "MokListXRT", lists, size);
    machine_copy(&scratch, "esp/EFI/BOOT/grubx64.efi", ANOTHER_GRUB);
    predict(&scratch, &prediction);
    assert_unknown(&prediction, 0, "");
    boot_prediction_free(&prediction);
    prediction = (struct boot_prediction){ 0 };
    scratch_forget_program(&scratch, "esp/EFI/BOOT/grubx64.efi");
    predict(&scratch, &prediction);
    assert_unknown(&prediction, 1u << 7, "MokListX revokes");
}

/* One that brings the same keys; but nobody has signed it. */
static void new_shim(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 }, others = { 0 };
    uint8_t lists[] = { 1, 2, 3 };

    (void)state;
    scratch_machine_start(&scratch, recorded_logs[2]);
    set_owner_keys(&scratch);
    machine_copy(&scratch, "esp/EFI/BOOT/BOOTX64.EFI", SCRATCH_SHIM);
    scratch_forget_program(&scratch, "esp/EFI/BOOT/BOOTX64.EFI");
    scratch_forget_program(&scratch, "esp/EFI/BOOT/grubx64.efi");
    machine_copy(&scratch, "esp/EFI/BOOT/grubx64.efi", ANOTHER_GRUB);
    predict(&scratch, &prediction);
    scratch_compare(&scratch, &prediction.extends, 14);
    assert_false(prediction.unknown & 1u << 14);
    scratch_set_variable(&scratch, vendor_shim, "MokListRT", lists, sizeof(lists));
    predict(&scratch, &others);
    assert_true(others.unknown & 1u << 14);
    assert_non_null(strstr(others.reasons[14], "other keys"));
}

static void programs_that_are_gone(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
    char path[256];

    (void)state;
    scratch_machine_start(&scratch, recorded_logs[2]);
    snprintf(path, sizeof(path), "%s/EFI/BOOT/grubx64.efi", scratch.esp);
    assert_int_equal(remove(path), 0);
    predict(&scratch, &prediction);
    assert_unknown(&prediction, 1u << 4 | 1u << 7, "grubx64.efi");
}

/* Who vouches is looked up anew. */
static void another_db(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };

    (void)state;
    scratch_machine_start(&scratch, recorded_logs[2]);
    scratch_set_variable(&scratch, vendor_database, "db", "damaged", 7);
    predict(&scratch, &prediction);
    assert_true(prediction.unknown & 1u << 7); /* the stand-ins are no programs */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded),
        cmocka_unit_test(new_grub),
        cmocka_unit_test(grub_that_nobody_vouches_for),
        cmocka_unit_test(revoked_program),
        cmocka_unit_test(revoked_by_shim),
        cmocka_unit_test(new_shim),
        cmocka_unit_test(programs_that_are_gone),
        cmocka_unit_test(another_db),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
