#include "measure/replay.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "log-builder.h"
#include "measure/event-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint16_t two_banks[] = { HASH_SHA1, HASH_SHA256 };

/* Compares with the lines of a .pcrs file; returns how many PCRs were compared. */
static size_t compare_with_file(const struct pcr_values *values, const char *path)
{
    cleanup(close_stream) FILE *file = fopen(path, "r");
    uint8_t wanted[DIGEST_BYTES];
    char text[HEX_TEXT(DIGEST_BYTES)];
    size_t compared = 0;
    unsigned pcr;

    assert_non_null(file);
    while (fscanf(file, "%u %64s", &pcr, text) == 2) {
        if (pcr == 10)
            continue;
        assert_in_range(pcr, 0, PCR_COUNT - 1);
        assert_true(values->mask & (1u << pcr));
        assert_true(hex_decode(text, wanted, sizeof(wanted)));
        if (memcmp(values->value[pcr], wanted, sizeof(wanted)) != 0)
            fail_msg("%s: PCR %u", path, pcr);
        compared++;
    }
    return compared;
}

/* Real boots: the values that the TPM had. */
static void recorded(void **state)
{
    static const size_t counts[RECORDED_LOGS] = { 6, 15, 18, 18, 18 };

    (void)state;
    for (size_t i = 0; i < RECORDED_LOGS; i++) {
        cleanup(event_log_free) struct event_log log = { 0 };
        struct pcr_values values;
        struct error error = { 0 };

        assert_int_equal(event_log_read(recorded_path(recorded_logs[i], "bin"), &log, &error), 0);
        assert_int_equal(event_log_replay(&log, HASH_SHA256, &values, &error), 0);
        assert_int_equal(compare_with_file(&values, recorded_path(recorded_logs[i], "pcrs")), counts[i]);
        assert_false(values.mask & (1u << 10));
        assert_int_equal(event_log_replay(&log, HASH_SHA384, &values, &error), 0);
        assert_int_equal(values.bank, HASH_SHA384);
    }
}

static void replay(const struct built_log *built, enum hash_algorithm bank, struct pcr_values *ret)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct error error = { 0 };

    built_log_parse(built, &log);
    if (event_log_replay(&log, bank, ret, &error))
        fail_msg("%s", error.text);
}

static void starts(void **state)
{
    const uint8_t zero[DIGEST_BYTES] = { 0 };
    struct pcr_values values;

    (void)state;
    replay(built_log_start(2, two_banks), HASH_SHA256, &values);
    assert_int_equal(values.mask, 0xffffff & ~(1u << 10));
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        assert_true(pcr_value_is_reset(&values, i));
        assert_true((memcmp(values.value[i], zero, DIGEST_BYTES) == 0) == (i < 17 || i == 23));
    }
}

/* The same events extended one by one. */
static void extends(void **state)
{
    struct built_log *built = built_log_start(2, two_banks);
    struct pcr_values values, wanted = { .bank = HASH_SHA256, .mask = 1u << 4 | 1u << 7 };
    struct error error;

    (void)state;
    built_log_add_text(built, 4, EVENT_IPL, "", "one");
    built_log_add_text(built, 7, EVENT_IPL, "", "two");
    built_log_add_text(built, 4, EVENT_NO_ACTION, "", "not measured");
    built_log_add_text(built, 4, EVENT_SEPARATOR, "", "three");
    pcr_extend(&wanted, 4, "one", 3, &error);
    pcr_extend(&wanted, 7, "two", 3, &error);
    pcr_extend(&wanted, 4, "three", 5, &error);
    replay(built, HASH_SHA256, &values);
    assert_int_equal(pcr_values_differ(&values, &wanted, wanted.mask), 0);
    wanted = (struct pcr_values){ .bank = HASH_SHA1, .mask = 1u << 7 };
    pcr_extend(&wanted, 7, "two", 3, &error);
    replay(built, HASH_SHA1, &values);
    assert_int_equal(pcr_values_differ(&values, &wanted, wanted.mask), 0);
}

static void old_form(void **state)
{
    struct built_log *built = built_log_start(0, NULL);
    struct pcr_values values, wanted = { .bank = HASH_SHA1, .mask = 1u << 8 };
    struct error error;

    (void)state;
    built_log_add_text(built, 8, EVENT_IPL, "x", "one");
    pcr_extend(&wanted, 8, "one", 3, &error);
    replay(built, HASH_SHA1, &values);
    assert_int_equal(pcr_values_differ(&values, &wanted, wanted.mask), 0);
}

/* StartupLocality, as firmware writes it. */
static void add_locality(struct built_log *built, uint8_t locality)
{
    uint8_t data[17] = "StartupLocality";

    data[16] = locality;
    built_log_add(built, 0, EVENT_NO_ACTION, (struct span){ data, sizeof(data) }, (struct span){ "", 0 });
}

static void locality(void **state)
{
    static const uint8_t localities[] = { 0, 3, 4 };
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(localities); i++) {
        struct built_log *built = built_log_start(2, two_banks);
        struct pcr_values values, wanted = { .bank = HASH_SHA256, .mask = 1 };

        add_locality(built, localities[i]);
        built_log_add_text(built, 0, EVENT_S_CRTM_VERSION, "1", "1");
        wanted.value[0][DIGEST_BYTES - 1] = localities[i];
        pcr_extend(&wanted, 0, "1", 1, &error);
        replay(built, HASH_SHA256, &values);
        assert_int_equal(pcr_values_differ(&values, &wanted, 1), 0);
        assert_true(pcr_value_is_reset(&values, 1));
    }
}

static void wrong_locality(void **state)
{
    static const struct {
        int first, second;
    } cases[] = { { 1, -1 }, { 255, -1 }, { 3, 4 }, { 0, 3 } };

    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        cleanup(event_log_free) struct event_log log = { 0 };
        struct built_log *built = built_log_start(2, two_banks);
        struct pcr_values values;
        struct error error = { 0 };

        add_locality(built, (uint8_t)cases[i].first);
        if (cases[i].second >= 0)
            add_locality(built, (uint8_t)cases[i].second);
        built_log_parse(built, &log);
        assert_int_equal(event_log_replay(&log, HASH_SHA256, &values, &error), ERROR_METADATA);
        assert_non_null(strstr(error.text, "locality"));
    }
}

/* What resets 17 to 22 is in no log. */
static void dynamic_pcrs(void **state)
{
    struct built_log *built = built_log_start(2, two_banks);
    struct pcr_values values;

    (void)state;
    built_log_add_text(built, 17, EVENT_IPL, "", "launch");
    replay(built, HASH_SHA256, &values);
    assert_false(values.mask & (1u << 17));
    assert_true(values.mask & (1u << 18));
}

static void no_such_bank(void **state)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct pcr_values values;
    struct error error = { 0 };

    (void)state;
    built_log_parse(built_log_start(2, two_banks), &log);
    assert_int_equal(event_log_replay(&log, HASH_SHA384, &values, &error), ERROR_USAGE);
    assert_non_null(strstr(error.text, "sha384"));
    assert_int_equal(event_log_replay(&log, (enum hash_algorithm)0x12, &values, &error), ERROR_USAGE);
}

static void incomplete_bank(void **state)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct built_log *built = built_log_start(2, two_banks);
    struct pcr_values values;
    struct error error = { 0 };

    (void)state;
    built->bank_count = 1; /* from here on SHA-1 alone */
    built_log_add_text(built, 4, EVENT_IPL, "", "one");
    built_log_parse(built, &log);
    assert_int_equal(event_log_replay(&log, HASH_SHA1, &values, &error), 0);
    assert_int_equal(event_log_replay(&log, HASH_SHA256, &values, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "sha256"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded),     cmocka_unit_test(starts),       cmocka_unit_test(extends),
        cmocka_unit_test(old_form),     cmocka_unit_test(locality),     cmocka_unit_test(wrong_locality),
        cmocka_unit_test(dynamic_pcrs), cmocka_unit_test(no_such_bank), cmocka_unit_test(incomplete_bank),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
