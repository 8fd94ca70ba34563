#include "measure/predict/firmware-events.h"

#include "base/cleanup.h"
#include "log-builder.h"
#include "measure/predict/authority-events.h"
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
        firmware_events_check_requests(&running, ret, &error) ||
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded),
    };

    (void)assert_unknown;
    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
