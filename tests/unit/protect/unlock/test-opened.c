/*
 * What can be seen without a device mapper: that the report is read, and that nothing is closed where nothing is open.
 * That volumes are closed is shown in virtual machines (tests/vm).
 */
#include "protect/unlock/opened.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ROOT_UUID "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071"
#define HOME_UUID "2f4a7c52-1d1e-4b86-9a77-51c5ea1b0073"
#define DATA_UUID "1f4a7c52-1d1e-4b86-9a77-51c5ea1b0072"

static char path[64];

static int setup(void **state)
{
    int fd;

    (void)state;
    strcpy(path, "/tmp/test-opened-XXXXXX");
    fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void the_report_tells_what_was_opened(void **state)
{
    cleanup(free_ptr) struct report *written = calloc(1, sizeof(*written)), *read = calloc(1, sizeof(*read));
    struct error error;

    (void)state;
    assert_true(written && read);
    *written = (struct report){
        .volumes = { { .name = "cryptroot", .uuid = ROOT_UUID, .opened = true, .by = PROTECTOR_TPM2_PIN },
                     { .name = "cryptdata", .uuid = DATA_UUID, .reason = "wrong PINs" },
                     { .name = "crypthome",
                       .uuid = HOME_UUID,
                       .opened = true,
                       .by_recovery = true,
                       .recovery_id = "1f3a90c4",
                       .status = ERROR_MISMATCH,
                       .reason = "PCR 9" } },
        .volume_count = 3,
    };
    assert_int_equal(report_write(path, written, &error), 0);
    assert_int_equal(report_read_opened(path, read, &error), 0);
    assert_int_equal(read->volume_count, 3);
    assert_string_equal(read->volumes[0].uuid, ROOT_UUID);
    assert_true(read->volumes[0].opened);
    assert_string_equal(read->volumes[1].uuid, DATA_UUID);
    assert_false(read->volumes[1].opened);
    assert_false(read->volumes[0].by_recovery || read->volumes[1].by_recovery);
    assert_true(read->volumes[2].opened && read->volumes[2].by_recovery);
}

static void a_report_that_is_none(void **state)
{
    static const char *const bad[] = { "", "{}",
                                       "{ \"version\": 1, \"boot_id\": \"of another boot\", \"volumes\": [] }" };
    cleanup(free_ptr) struct report *report = calloc(1, sizeof(*report));
    struct error error;

    (void)state;
    assert_non_null(report);
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_int_equal(file_write(path, bad[i], strlen(bad[i]), 0600, &error), 0);
        assert_int_not_equal(report_read_opened(path, report, &error), 0);
    }
    assert_int_not_equal(report_read_opened("/nonexistent", report, &error), 0);
}

static void nothing_is_open(void **state)
{
    struct close_request request = { .which = CLOSE_ALL, .pins_path = "/nonexistent" };
    struct error error;
    unsigned count = 7;

    (void)state;
    assert_int_equal(close_opened(&request, &count, &error), 0);
    assert_int_equal(count, 0);
    request.pins_path = path; /* damaged */
    assert_int_equal(close_opened(&request, &count, &error), 0);
}

int main(void)
{
#define with_file(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        with_file(the_report_tells_what_was_opened),
        with_file(a_report_that_is_none),
        with_file(nothing_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
