#include "measure/predict/owner-keys.h"

#include "base/cleanup.h"
#include "grub-machine.h"
#include "log-builder.h"
#include "measure/predict/authority-events.h"
#include "measure/predict/firmware-events.h"
#include "measure/predict/mok-request.h"
#include "measure/predict/program.h"
#include "measure/predict/shim.h"
#include "measure/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Programs of Debian's: GRUB twice, signed by the key that shim brings, and shim without a signature. */
#define GRUB "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"

/* What mokutil --import leaves. */
static void ask_for(const struct scratch_machine *scratch, const uint8_t *list)
{
    scratch_set_variable(scratch, vendor_shim, "MokNew", list, SCRATCH_LIST_BYTES);
    scratch_set_variable(scratch, vendor_shim, "MokAuth", "a password's hash", 17);
}

/* The first recorded boot, whose GRUB is a real program, so that it can be told who vouches for it. */
static void start(struct scratch_machine *scratch)
{
    scratch_machine_start(scratch, recorded_logs[0]);
    scratch_set_owner_keys(scratch, NULL);
    machine_copy(scratch, "esp/EFI/BOOT/grubx64.efi", GRUB);
    scratch_forget_program(scratch, "esp/EFI/BOOT/grubx64.efi");
}

/* Everything until GRUB reads its first file, and who vouches for the programs. */
static void predict(const struct scratch_machine *scratch, bool again, struct boot_prediction *ret)
{
    cleanup(program_cache_free) struct program_cache cache = { 0 };
    struct running_boot running;
    struct error error = { 0 };
    int r = running_boot_read(&scratch->machine, &cache, &running, &error);

    running.again = again;
    r = r ?: boot_prediction_init(ret, HASH_SHA256, &error);
    if (!again)
        r = r ?: owner_keys_expect_manager(&running, ret, &error);
    r = r ?: firmware_events_predict(&running, ret, &error);
    r = r ?: authority_events_predict(&running, NULL, ret, &error);
    if (r)
        fail_msg("%s", error.text);
}

/* The n-th event of a PCR in the list, from 0; NULL: there are fewer. */
static const struct extend *find(const struct boot_prediction *prediction, unsigned pcr, size_t n)
{
    for (size_t i = 0; i < prediction->extends.count; i++)
        if (prediction->extends.items[i].pcr == pcr && n-- == 0)
            return &prediction->extends.items[i];
    return NULL;
}

static size_t count(const struct boot_prediction *prediction, unsigned pcr)
{
    size_t found = 0;

    while (find(prediction, pcr, found))
        found++;
    return found;
}

static void assert_program(const struct extend *event, const char *program)
{
    uint8_t digest[HASH_MAX_BYTES];
    struct digest ignored;
    struct error error;

    assert_non_null(event);
    assert_int_equal(program_hash(program, HASH_SHA256, digest, &ignored, &error), 0);
    assert_memory_equal(event->digest, digest, DIGEST_BYTES);
}

/* Enrolled keys change who vouches only where they do. */
static void enrolled_keys(void **state)
{
    static const struct {
        const char *program;
        bool vouches;
    } cases[] = { { SCRATCH_SHIM, false }, { GRUB, true } };

    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        cleanup(firmware_variable_list_free) struct firmware_variable_list changed = { 0 };
        cleanup(scratch_machine_end) struct scratch_machine scratch;
        cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
        struct error error;
        uint8_t list[SCRATCH_LIST_BYTES], digest[HASH_MAX_BYTES];
        cleanup(free_ptr) uint8_t *authority = NULL;
        size_t size;

        start(&scratch);
        scratch_hash_list(cases[i].program, list);
        ask_for(&scratch, list);
        assert_int_equal(mok_request_answer(scratch.variables, true, &changed, &error), 0);
        scratch.machine.changed = &changed;
        predict(&scratch, false, &prediction);
        assert_int_equal(prediction.unknown & PCRS_OF_SHIM, 0);
        if (!cases[i].vouches) {
            scratch_compare(&scratch, &prediction.extends, 7);
            continue;
        }
        assert_int_equal(firmware_variable_measured(vendor_shim, "MokListRT", (struct span){ list + 28, 16 + 32 },
                                                    &authority, &size, &error),
                         0);
        assert_int_equal(hash_compute(HASH_SHA256, &(struct span){ authority, size }, 1, digest, &error), 0);
        assert_memory_equal(find(&prediction, 7, count(&prediction, 7) - 1)->digest, digest, DIGEST_BYTES);
    }
}

/* Keys wait to be enrolled: shim starts MokManager before GRUB. The same key vouches for both, and is measured once. */
static void manager_to_come(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(boot_prediction_free) struct boot_prediction before = { 0 }, prediction = { 0 };
    uint8_t list[SCRATCH_LIST_BYTES];
    size_t programs;

    (void)state;
    start(&scratch);
    predict(&scratch, false, &before);
    programs = count(&before, 4);
    scratch_hash_list(SCRATCH_SHIM, list);
    ask_for(&scratch, list);
    machine_copy(&scratch, "esp/EFI/BOOT/mmx64.efi", "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed");
    predict(&scratch, false, &prediction);
    assert_int_equal(prediction.unknown & PCRS_OF_SHIM, 0);
    assert_int_equal(count(&prediction, 4), programs + 1);
    for (size_t i = 0; i + 1 < programs; i++)
        assert_memory_equal(find(&prediction, 4, i)->digest, find(&before, 4, i)->digest, DIGEST_BYTES);
    assert_program(find(&prediction, 4, programs - 1), "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed");
    assert_program(find(&prediction, 4, programs), GRUB);
    scratch_compare(&scratch, &prediction.extends, 7);
    scratch_compare(&scratch, &prediction.extends, 14);
    assert_int_equal(prediction.extends.file_count, before.extends.file_count + 1);
}

/* One that another key vouches for: that is measured before GRUB's. */
static void manager_of_another_key(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(boot_prediction_free) struct boot_prediction before = { 0 }, prediction = { 0 };
    uint8_t list[SCRATCH_LIST_BYTES];
    size_t events;

    (void)state;
    start(&scratch);
    scratch_hash_list(SCRATCH_SHIM, list);
    scratch_set_owner_keys(&scratch, list);
    predict(&scratch, false, &before);
    events = count(&before, 7);
    ask_for(&scratch, list);
    machine_copy(&scratch, "esp/EFI/BOOT/mmx64.efi", SCRATCH_SHIM);
    predict(&scratch, false, &prediction);
    assert_int_equal(prediction.unknown & 1u << 7, 0);
    assert_int_equal(count(&prediction, 7), events + 1);
    assert_memory_equal(find(&prediction, 7, events)->digest, find(&before, 7, events - 1)->digest, DIGEST_BYTES);
    assert_memory_not_equal(find(&prediction, 7, events - 1)->digest, find(&before, 7, events - 1)->digest,
                            DIGEST_BYTES);
}

static void manager_that_is_not_known(void **state)
{
    cleanup(scratch_machine_end) struct scratch_machine scratch;
    cleanup(boot_prediction_free) struct boot_prediction gone = { 0 }, foreign = { 0 };
    uint8_t list[SCRATCH_LIST_BYTES];

    (void)state;
    start(&scratch);
    scratch_hash_list(GRUB, list);
    ask_for(&scratch, list);
    predict(&scratch, false, &gone);
    assert_int_equal(gone.unknown & PCRS_OF_SHIM, PCRS_OF_SHIM);
    assert_non_null(strstr(gone.reasons[4], "MokManager"));
    machine_copy(&scratch, "esp/EFI/BOOT/mmx64.efi", SCRATCH_SHIM);
    predict(&scratch, false, &foreign);
    assert_int_equal(foreign.unknown & PCRS_OF_SHIM, 1u << 7);
    assert_non_null(strstr(foreign.reasons[7], "no key of this machine verifies"));
}

/* A boot as it is after a request that nobody answered. */
struct managed {
    struct scratch_machine scratch;
    struct event_log made; /* MokManager's event is from there */
    size_t event;          /* its place */
};

static void managed_start(struct managed *managed)
{
    struct built_log *built = built_log_start(1, (uint16_t[]){ HASH_SHA256 });
    cleanup(program_cache_free) struct program_cache cache = { 0 };
    struct event_log *log = &managed->scratch.log;
    struct running_boot running;
    struct error error = { 0 };
    struct event manager;

    start(&managed->scratch);
    assert_int_equal(running_boot_read(&managed->scratch.machine, &cache, &running, &error), 0);
    managed->event = running.programs[0].event + 1;
    built_log_add_program(built, "\\EFI\\BOOT\\mmx64.efi", "MokManager");
    built_log_parse(built, &managed->made);
    manager = managed->made.events[0];
    for (size_t i = 0; i < log->bank_count; i++)
        manager.digest[i] = managed->made.events[0].digest[0];
    log->events = reallocarray(log->events, log->count + 1, sizeof(*log->events));
    assert_non_null(log->events);
    memmove(&log->events[managed->event + 1], &log->events[managed->event],
            (log->count - managed->event) * sizeof(*log->events));
    log->events[managed->event] = manager;
    log->count++;
    component_list_free(&managed->scratch.components);
    assert_int_equal(component_list_read(log, &managed->scratch.components, &error), 0);
}

static void managed_end(struct managed *managed)
{
    scratch_machine_end(&managed->scratch);
    event_log_free(&managed->made);
}

/* The next boot goes without it; this one, asked for again, went with it. */
static void manager_that_ran(void **state)
{
    cleanup(managed_end) struct managed managed;
    cleanup(scratch_machine_end) struct scratch_machine plain;
    cleanup(boot_prediction_free) struct boot_prediction wanted = { 0 }, next = { 0 }, again = { 0 };
    const size_t size = DIGEST_BYTES;

    (void)state;
    start(&plain);
    predict(&plain, false, &wanted);
    managed_start(&managed);
    predict(&managed.scratch, false, &next);
    assert_int_equal(next.unknown & PCRS_OF_SHIM, 0);
    for (unsigned pcr = 4; pcr <= 14; pcr += pcr == 4 ? 3 : 7) { /* 4, 7, 14 */
        assert_int_equal(count(&next, pcr), count(&wanted, pcr));
        for (size_t i = 0; i < count(&wanted, pcr); i++)
            assert_memory_equal(find(&next, pcr, i)->digest, find(&wanted, pcr, i)->digest, size);
    }
    predict(&managed.scratch, true, &again);
    assert_int_equal(count(&again, 4), count(&wanted, 4) + 1);
    assert_int_equal(count(&again, 7), count(&wanted, 7));
    assert_memory_equal(find(&again, 4, count(&again, 4) - 2)->digest, managed.made.events[0].digest[0], size);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enrolled_keys),          cmocka_unit_test(manager_to_come),
        cmocka_unit_test(manager_of_another_key), cmocka_unit_test(manager_that_is_not_known),
        cmocka_unit_test(manager_that_ran),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
