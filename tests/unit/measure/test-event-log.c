#include "measure/event-log.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "log-builder.h"
#include "measure/event-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint16_t two_banks[] = { HASH_SHA1, HASH_SHA256 };

static int parse(const struct built_log *built, struct event_log *ret, struct error *error)
{
    return event_log_parse(built->bytes, built->size, ret, error);
}

/* It must not parse, the words must have this in them, and nothing is left behind. */
static void assert_damaged(const struct built_log *built, const char *words)
{
    struct event_log log;
    struct error error = { 0 };

    assert_int_equal(parse(built, &log, &error), ERROR_METADATA);
    if (!strstr(error.text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error.text);
    assert_null(log.bytes);
    assert_null(log.events);
    assert_int_equal(log.count, 0);
}

static void recorded(void **state)
{
    static const size_t counts[RECORDED_LOGS] = { 60, 37, 108, 116, 109 };

    (void)state;
    for (size_t i = 0; i < RECORDED_LOGS; i++) {
        cleanup(event_log_free) struct event_log log = { 0 };
        struct error error = { 0 };

        if (event_log_read(recorded_path(recorded_logs[i], "bin"), &log, &error))
            fail_msg("%s", error.text);
        assert_true(log.crypto_agile);
        assert_int_equal(log.bank_count, 4);
        assert_int_equal(log.banks[1].algorithm, HASH_SHA256);
        assert_true(log.banks[1].complete);
        assert_int_equal(log.count, counts[i]);
        assert_int_equal(log.events[0].type, EVENT_S_CRTM_VERSION);
        assert_int_equal(log.events[0].offset, 77);
        assert_non_null(log.events[0].digest[3]);
        assert_null(log.events[0].digest[4]);
        assert_int_equal(event_log_bank(&log, HASH_SHA512), 3);
        assert_int_equal(event_log_bank(&log, (enum hash_algorithm)0x12), -1);
    }
}

/* Cut anywhere: the events up to there, when the cut is between two; else an error. Never anything else. */
static void truncated(void **state)
{
    cleanup(free_ptr) char *bytes = NULL;
    cleanup(event_log_free) struct event_log whole = { 0 };
    struct error error = { 0 };
    size_t size, next = 0;

    (void)state;
    assert_int_equal(file_read(recorded_path(recorded_logs[0], "bin"), EVENT_LOG_MAX_BYTES, &bytes, &size, &error), 0);
    assert_int_equal(event_log_parse(bytes, size, &whole, &error), 0);
    for (size_t cut = 0; cut < size; cut++) {
        /* bytes of their own, so that AddressSanitizer sees a step too far */
        cleanup(free_ptr) char *part = malloc(cut ? cut : 1);
        struct event_log log;
        int r;

        memcpy(part, bytes, cut);
        r = event_log_parse(part, cut, &log, &error);
        if (next < whole.count && cut == whole.events[next].offset) {
            assert_int_equal(r, 0);
            assert_int_equal(log.count, next++);
            event_log_free(&log);
        } else {
            assert_int_equal(r, ERROR_METADATA);
            assert_true(strstr(error.text, "byte") || strstr(error.text, "empty") || strstr(error.text, "header"));
        }
    }
    assert_int_equal(next, whole.count);
}

static void old_form(void **state)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct built_log *built = built_log_start(0, NULL);

    (void)state;
    built_log_add_text(built, 0, EVENT_S_CRTM_VERSION, "1.0", "1.0");
    built_log_add_text(built, 4, EVENT_IPL, "boot", "boot");
    built_log_parse(built, &log);
    assert_false(log.crypto_agile);
    assert_int_equal(log.bank_count, 1);
    assert_int_equal(log.banks[0].algorithm, HASH_SHA1);
    assert_int_equal(log.count, 2);
    assert_int_equal(log.events[1].pcr, 4);
    assert_int_equal(log.events[1].data.size, 5);
    assert_memory_equal(log.events[1].data.bytes, "boot", 5);
}

/* The old form's own header is a note like others. */
static void old_form_with_header(void **state)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct built_log *built = built_log_start(0, NULL);

    (void)state;
    built_log_add_text(built, 0, EVENT_NO_ACTION, "Spec ID Event02", "");
    built_log_add_text(built, 4, EVENT_IPL, "boot", "boot");
    built_log_parse(built, &log);
    assert_false(log.crypto_agile);
    assert_int_equal(log.count, 2);
    assert_false(event_is_extended(&log.events[0]));
    assert_true(event_is_extended(&log.events[1]));
}

static void nothing(void **state)
{
    (void)state;
    assert_damaged(built_log_start(0, NULL), "empty");
}

/* A header alone is a log of a boot that has measured nothing yet. */
static void header_alone(void **state)
{
    cleanup(event_log_free) struct event_log log = { 0 };

    (void)state;
    built_log_parse(built_log_start(2, two_banks), &log);
    assert_int_equal(log.count, 0);
    assert_int_equal(log.bank_count, 2);
}

#define HEADER_DATA 32 /* where the header's data starts: 4 + 4 + 20 + 4 bytes */
#define HEADER_COUNT (HEADER_DATA + 24)
#define HEADER_FIRST (HEADER_DATA + 28)

static void headers(void **state)
{
    struct built_log *built;

    (void)state;
    for (int count = 0; count < 256; count++) { /* only 2 is right */
        built = built_log_start(2, two_banks);
        built->bytes[HEADER_COUNT] = (uint8_t)count;
        if (count != 2)
            assert_damaged(built, "header");
    }
    built = built_log_start(2, two_banks);
    memset(built->bytes + HEADER_COUNT, 0xff, 4);
    assert_damaged(built, "header");
    built = built_log_start(2, two_banks);
    built->bytes[HEADER_FIRST + 2] = 32; /* SHA-1 of 32 bytes */
    assert_damaged(built, "header");
    built = built_log_start(2, two_banks);
    built->bytes[HEADER_FIRST + 4] = HASH_SHA1; /* SHA-1 twice */
    built->bytes[HEADER_FIRST + 6] = 20;
    assert_damaged(built, "header");
    built = built_log_start(2, two_banks);
    built->bytes[HEADER_FIRST + 8] = 1; /* a vendor's data that is not there */
    assert_damaged(built, "header");
}

/* An algorithm that nobody here knows: its size is in the header, its digests are passed over. */
static void unknown_algorithm(void **state)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct built_log *built = built_log_start(2, two_banks);
    const uint8_t digest[32] = { 7 };

    (void)state;
    built->bytes[HEADER_FIRST] = 0x12; /* SM3 */
    built->bytes[HEADER_FIRST + 2] = 32;
    built_log_u32(built, 7);
    built_log_u32(built, EVENT_SEPARATOR);
    built_log_u32(built, 2);
    built_log_u16(built, 0x12);
    built_log_put(built, digest, 32);
    built_log_u16(built, HASH_SHA256);
    built_log_put(built, digest, 32);
    built_log_u32(built, 4);
    built_log_u32(built, 0);
    built_log_parse(built, &log);
    assert_int_equal(log.count, 1);
    assert_memory_equal(log.events[0].digest[1], digest, 32);
}

/* Starts an event of PCR 7 up to its digests. */
static struct built_log *started_event(uint32_t digest_count)
{
    struct built_log *built = built_log_start(2, two_banks);

    built_log_u32(built, 7);
    built_log_u32(built, EVENT_SEPARATOR);
    built_log_u32(built, digest_count);
    return built;
}

static void put_digest(struct built_log *built, uint16_t algorithm, size_t size)
{
    const uint8_t digest[EVENT_LOG_MAX_DIGEST] = { 1 };

    built_log_u16(built, algorithm);
    built_log_put(built, digest, size);
}

static void digests(void **state)
{
    struct built_log *built = started_event(0);

    (void)state;
    built_log_u32(built, 0);
    assert_damaged(built, "no digests, or more");
    assert_damaged(started_event(3), "no digests, or more");
    assert_damaged(started_event(UINT32_MAX), "no digests, or more");
    built = started_event(2);
    put_digest(built, HASH_SHA1, 20);
    put_digest(built, HASH_SHA1, 20);
    assert_damaged(built, "two digests");
    built = started_event(1);
    put_digest(built, HASH_SHA384, 48);
    assert_damaged(built, "header does not name");
    built = started_event(1);
    put_digest(built, HASH_SHA256, 20); /* the last twelve are then the event's size and what follows */
    built_log_u32(built, 0);
    assert_damaged(built, "ends within an event's digests");
}

/* Fewer digests than banks: that bank cannot be replayed, the other can. */
static void digest_missing(void **state)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct built_log *built = started_event(1);

    (void)state;
    put_digest(built, HASH_SHA256, 32);
    built_log_u32(built, 0);
    built_log_parse(built, &log);
    assert_false(log.banks[0].complete);
    assert_true(log.banks[1].complete);
    assert_null(log.events[0].digest[0]);
}

static void data_sizes(void **state)
{
    static const uint32_t sizes[] = { 1, 0x7fffffff, 0x80000000, 0xffffffff };

    (void)state;
    for (size_t i = 0; i < array_size(sizes); i++) {
        struct built_log *built = started_event(1);

        put_digest(built, HASH_SHA256, 32);
        built_log_u32(built, sizes[i]);
        assert_damaged(built, "past the end");
        built = built_log_start(0, NULL);
        built_log_add_text(built, 4, EVENT_IPL, "a", "a");
        built->size -= 6;
        built_log_u32(built, sizes[i]);
        assert_damaged(built, "past the end");
    }
}

static void no_such_pcr(void **state)
{
    struct built_log *built = built_log_start(2, two_banks);
    cleanup(event_log_free) struct event_log log = { 0 };

    (void)state;
    built_log_add_text(built, 24, EVENT_IPL, "a", "a");
    assert_damaged(built, "no PCR 24");
    built = built_log_start(0, NULL);
    built_log_add_text(built, UINT32_MAX, EVENT_IPL, "a", "a");
    assert_damaged(built, "no PCR 4294967295");
    built = built_log_start(2, two_banks);
    built_log_add_text(built, UINT32_MAX, EVENT_NO_ACTION, "a", "a"); /* not measured: none is needed */
    built_log_parse(built, &log);
    assert_int_equal(log.count, 1);
}

static void too_much(void **state)
{
    const size_t event_size = 32;
    size_t size = (EVENT_LOG_MAX_EVENTS + 1) * event_size;
    cleanup(free_ptr) char *bytes = calloc(EVENT_LOG_MAX_BYTES + 1, 1);
    struct event_log log;
    struct error error = { 0 };

    (void)state;
    assert_non_null(bytes);
    assert_int_equal(event_log_parse(bytes, size - event_size, &log, &error), 0); /* zeros are events of the old form */
    assert_int_equal(log.count, EVENT_LOG_MAX_EVENTS);
    event_log_free(&log);
    assert_int_equal(event_log_parse(bytes, size, &log, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "more than 8192 events"));
    assert_int_equal(event_log_parse(bytes, EVENT_LOG_MAX_BYTES + 1, &log, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "more than 4194304 bytes"));
}

static void files(void **state)
{
    struct event_log log;
    struct error error = { 0 };

    (void)state;
    assert_int_equal(event_log_read("/nonexistent/log", &log, &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, "/nonexistent/log"));
    assert_int_equal(event_log_read("/dev/null", &log, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "\"/dev/null\": the event log is empty"));
    assert_int_equal(event_log_read("/dev/zero", &log, &error), ERROR_FAILED);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded),   cmocka_unit_test(truncated),
        cmocka_unit_test(old_form),   cmocka_unit_test(old_form_with_header),
        cmocka_unit_test(nothing),    cmocka_unit_test(header_alone),
        cmocka_unit_test(headers),    cmocka_unit_test(unknown_algorithm),
        cmocka_unit_test(digests),    cmocka_unit_test(digest_missing),
        cmocka_unit_test(data_sizes), cmocka_unit_test(no_such_pcr),
        cmocka_unit_test(too_much),   cmocka_unit_test(files),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
