/* Recorded logs with bytes overwritten, some thousand times: whatever comes out, nothing breaks. The numbers come from
 * a fixed start, so that a failure comes again. Worth most when built with -Db_sanitize=address,undefined. */
#include "base/cleanup.h"
#include "base/file.h"
#include "log-builder.h"
#include "measure/boot-chain.h"
#include "measure/compare.h"
#include "measure/event-check.h"
#include "measure/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 400 /* for each log */

static uint32_t next_random(void)
{
    static uint32_t number = 2463534242u; /* xorshift32 */

    number ^= number << 13;
    number ^= number >> 17;
    number ^= number << 5;
    return number;
}

/* What a verb does with a log, and the comparison with the one that was recorded. */
static void use(const struct event_log *log, const struct compared_log *recorded)
{
    cleanup(component_list_free) struct component_list components = { 0 };
    cleanup(comparison_free) struct comparison comparison = { 0 };
    struct pcr_values values;
    struct error error;

    assert_int_equal(component_list_read(log, &components, &error), 0);
    (void)boot_chain_detect(log, &components);
    (void)event_log_replay(log, HASH_SHA256, &values, &error);
    for (size_t i = 0; i < log->count; i++)
        (void)event_check(log, &log->events[i]);
    (void)event_log_compare(recorded, &(struct compared_log){ log, &components }, &comparison, &error);
}

/* Numbers that lengths and counts do not like. */
static void spoil(char *bytes, size_t size)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x04, 0x7f, 0x80, 0xff };
    size_t count = 1 + next_random() % 4;

    while (count-- > 0) {
        size_t place = next_random() % size, run = 1 + next_random() % 8;
        uint8_t value = next_random() % 2 ? values[next_random() % sizeof(values)] : (uint8_t)next_random();

        memset(bytes + place, value, run < size - place ? run : size - place);
    }
}

static void spoiled(void **state)
{
    size_t parsed = 0;

    (void)state;
    for (size_t i = 0; i < RECORDED_LOGS; i++) {
        cleanup(free_ptr) char *bytes = NULL;
        cleanup(event_log_free) struct event_log original = { 0 };
        cleanup(component_list_free) struct component_list components = { 0 };
        struct error error;
        size_t size;

        assert_int_equal(file_read(recorded_path(recorded_logs[i], "bin"), EVENT_LOG_MAX_BYTES, &bytes, &size, &error),
                         0);
        assert_int_equal(event_log_parse(bytes, size, &original, &error), 0);
        assert_int_equal(component_list_read(&original, &components, &error), 0);
        for (int round = 0; round < ROUNDS; round++) {
            cleanup(free_ptr) char *copy = malloc(size);
            cleanup(event_log_free) struct event_log log = { 0 };

            memcpy(copy, bytes, size);
            spoil(copy, size);
            if (event_log_parse(copy, size, &log, &error))
                continue;
            parsed++;
            use(&log, &(struct compared_log){ &original, &components });
        }
    }
    assert_true(parsed > ROUNDS); /* most hit data and digests, not the frame */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(spoiled) };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
