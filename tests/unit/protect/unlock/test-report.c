#include "protect/unlock/report.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "protect/json-edit.h"
#include "protect/machine.h"

#include <sys/stat.h>

struct bench {
    struct scratch scratch;
    char path[300];
    struct report report, again;
};

static void fill(struct report *report)
{
    *report = (struct report){
        .values = { .bank = HASH_SHA256, .mask = 1u << 0 | 1u << 7 | 1u << 12 | 1u << 23 },
        .cap = 12,
        .cap_done = true,
        .volumes = {
            { .name = "cryptroot", .uuid = LUKS_FILE_UUID, .opened = true, .by = PROTECTOR_TPM2_PIN,
              .status = ERROR_NONE, .wrong_pins = 2, .operator_number = 2,
              .protector = "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0073", .milliseconds = 812 },
            { .name = "data", .uuid = "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0072", .opened = false,
              .status = ERROR_MISMATCH, .reason = "a \"reason\" with quotes" },
        },
        .volume_count = 2,
    };
    for (uint8_t i = 0; i < DIGEST_BYTES; i++) {
        report->values.value[0][i] = i;
        report->values.value[7][i] = (uint8_t)(0x70 + i);
        report->values.value[23][i] = 0xff;
    }
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct error error;

    assert_non_null(bench);
    *state = bench;
    scratch_make(&bench->scratch);
    snprintf(bench->path, sizeof(bench->path), "%s/report.json", bench->scratch.folder);
    fill(&bench->report);
    assert_good(report_write(bench->path, &bench->report, &error), &error);
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    scratch_remove(&bench->scratch);
    free(bench);
    return 0;
}

static void test_values_round_trip(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    struct error error;

    assert_good(report_read_values(bench->path, &bench->again, &error), &error);
    assert_int_equal(bench->again.values.bank, HASH_SHA256);
    assert_int_equal(bench->again.values.mask, bench->report.values.mask);
    assert_int_equal(pcr_values_differ(&bench->again.values, &bench->report.values, bench->report.values.mask), 0);
    assert_int_equal(bench->again.cap, 12);
    assert_true(bench->again.cap_done);
    assert_int_equal(bench->again.volume_count, 0); /* as the header says */
    assert_return_code(stat(bench->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void test_another_bank(void **state)
{
    struct bench *bench = *state;
    struct error error;

    bench->report.values.bank = HASH_SHA384;
    bench->report.values.value[7][47] = 0x99;
    bench->report.cap_done = false;
    assert_good(report_write(bench->path, &bench->report, &error), &error);
    assert_good(report_read_values(bench->path, &bench->again, &error), &error);
    assert_int_equal(bench->again.values.bank, HASH_SHA384);
    assert_int_equal(bench->again.values.value[7][47], 0x99);
    assert_false(bench->again.cap_done);
}

static const char *text_of(struct json_object *object, const char *key)
{
    return json_object_get_string(json_object_object_get(object, key));
}

static void test_volumes_are_told(void **state)
{
    struct bench *bench = *state;
    cleanup(json_free) struct json_object *document = json_object_from_file(bench->path);
    struct json_object *volumes, *first, *second, *missing = document;

    assert_non_null(document);
    volumes = json_object_object_get(document, "volumes");
    assert_int_equal(json_object_array_length(volumes), 2);
    first = json_object_array_get_idx(volumes, 0);
    second = json_object_array_get_idx(volumes, 1);
    assert_string_equal(text_of(first, "name"), "cryptroot");
    assert_string_equal(text_of(first, "uuid"), LUKS_FILE_UUID);
    assert_string_equal(text_of(first, "by"), "tpm2-pin");
    assert_true(json_object_get_boolean(json_object_object_get(first, "opened")));
    assert_int_equal(json_object_get_int(json_object_object_get(first, "status")), 0);
    assert_int_equal(json_object_get_int(json_object_object_get(first, "wrong_pins")), 2);
    assert_int_equal(json_object_get_int(json_object_object_get(first, "milliseconds")), 812);
    assert_null(json_object_object_get(first, "reason"));
    assert_null(json_object_object_get(first, "recovery_id"));
    assert_string_equal(text_of(first, "protector"), "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0073");
    assert_int_equal(json_object_get_int(json_object_object_get(first, "operator")), 2);
    assert_null(json_object_object_get(second, "protector"));
    assert_null(json_object_object_get(second, "operator"));
    assert_false(json_object_get_boolean(json_object_object_get(second, "opened")));
    assert_null(json_object_object_get(second, "by"));
    assert_int_equal(json_object_get_int(json_object_object_get(second, "status")), 3);
    assert_string_equal(text_of(second, "reason"), "a \"reason\" with quotes");
    assert_true(json_object_object_get_ex(document, "tpm", &missing));
    assert_null(missing);
}

static void test_without_a_tpm(void **state)
{
    struct bench *bench = *state;
    cleanup(json_free) struct json_object *document = NULL;
    struct error error;

    bench->report = (struct report){ .cap = 12, .tpm_error = "it does not appear" };
    assert_good(report_write(bench->path, &bench->report, &error), &error);
    assert_good(report_read_values(bench->path, &bench->again, &error), &error);
    assert_int_equal(bench->again.values.mask, 0);
    assert_false(bench->again.cap_done);
    document = json_object_from_file(bench->path);
    assert_string_equal(text_of(document, "tpm"), "it does not appear");
}

static void test_another_boot(void **state)
{
    struct bench *bench = *state;
    struct error error;

    json_edit(bench->path, "boot_id", "\"5c8ad2b4-6b2e-4a1c-8c1c-0a5f4cf52b11\"");
    assert_error(report_read_values(bench->path, &bench->again, &error), &error, ERROR_FAILED, "another boot");
    json_edit(bench->path, "boot_id", "\"\"");
    assert_error(report_read_values(bench->path, &bench->again, &error), &error, ERROR_FAILED, "another boot");
}

static void test_not_private(void **state)
{
    static const mode_t modes[] = { 0644, 0620, 0660 };
    struct bench *bench = *state;
    struct error error;

    for (size_t i = 0; i < array_size(modes); i++) {
        assert_return_code(chmod(bench->path, modes[i]), 0);
        assert_error(report_read_values(bench->path, &bench->again, &error), &error, ERROR_FAILED, "by others");
    }
    assert_return_code(chmod(bench->path, 0400), 0);
    assert_good(report_read_values(bench->path, &bench->again, &error), &error);
}

/* Without a bank the values have no meaning, so there are none. */
static void test_missing_bank(void **state)
{
    struct bench *bench = *state;
    struct error error;

    json_edit(bench->path, "bank", NULL);
    assert_good(report_read_values(bench->path, &bench->again, &error), &error);
    assert_int_equal(bench->again.values.mask, 0);
}

static void test_faults(void **state)
{
    static const struct {
        const char *member, *json;
    } faults[] = {
        { "version", NULL },    { "version", "2" },       { "boot_id", NULL },  { "boot_id", "1" },
        { "bank", "\"md5\"" },  { "bank", "\"sha384\"" }, { "pcrs", NULL },     { "pcrs", "[]" },
        { "pcrs/0", "\"00\"" }, { "pcrs/7", "7" },        { "cap", NULL },      { "cap/pcr", NULL },
        { "cap/pcr", "24" },    { "cap/pcr", "-1" },      { "cap/done", NULL }, { "cap/done", "1" },
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < array_size(faults); i++) {
        struct error error;
        int r;

        assert_good(report_write(bench->path, &bench->report, &error), &error);
        json_edit(bench->path, faults[i].member, faults[i].json);
        r = report_read_values(bench->path, &bench->again, &error);
        if (r != ERROR_METADATA)
            fail_msg("%s = %s: %d %s", faults[i].member, faults[i].json ?: "missing", r, r ? error.text : "accepted");
    }
}

/* What of one volume is told; one that it does not have is no error. */
static void test_opening(void **state)
{
    struct bench *bench = *state;
    struct report_opening opening;
    struct error error;

    assert_good(report_read_opening(bench->path, LUKS_FILE_UUID, &opening, &error), &error);
    assert_true(opening.known && opening.opened);
    assert_string_equal(opening.by, "tpm2-pin");
    assert_string_equal(opening.reason, "");
    assert_int_equal(opening.wrong_pins, 2);
    assert_int_equal(opening.operator_number, 2);
    assert_good(report_read_opening(bench->path, bench->report.volumes[1].uuid, &opening, &error), &error);
    assert_true(opening.known && !opening.opened);
    assert_string_equal(opening.by, "");
    assert_int_equal(opening.operator_number, 0);
    assert_string_equal(opening.reason, "a \"reason\" with quotes");
    assert_good(report_read_opening(bench->path, "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0099", &opening, &error), &error);
    assert_false(opening.known);
}

static void test_opening_faults(void **state)
{
    static const struct {
        const char *member, *json;
    } faults[] = {
        { "boot_id", "1" },
        { "volumes", NULL },
        { "volumes", "{}" },
        { "volumes", "[1]" },
        { "volumes", "[{}]" },
        { "version", "2" },
        { "volumes", "[{\"uuid\": \"" LUKS_FILE_UUID "\"}]" },
        { "volumes", "[{\"uuid\": \"" LUKS_FILE_UUID "\", \"opened\": true, \"by\": \"0123456789abcdef\"}]" },
        { "volumes", "[{\"uuid\": \"" LUKS_FILE_UUID "\", \"opened\": true, \"by\": 1}]" },
        { "volumes/0/operator", "0" },
        { "volumes/0/operator", "100" },
        { "volumes/0/operator", "\"2\"" },
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < array_size(faults); i++) {
        struct report_opening opening;
        struct error error;
        int r;

        assert_good(report_write(bench->path, &bench->report, &error), &error);
        json_edit(bench->path, faults[i].member, faults[i].json);
        r = report_read_opening(bench->path, LUKS_FILE_UUID, &opening, &error);
        if (r != ERROR_METADATA || opening.known)
            fail_msg("%s = %s: %d %s", faults[i].member, faults[i].json ?: "missing", r, r ? error.text : "accepted");
    }
}

/* By the TPM: each volume that there was, and one at the least. */
static void test_index(void **state)
{
    struct bench *bench = *state;
    struct object_name index = { { 0, 0x0b, 1, 2, 3 } }, read;
    struct error error;
    bool opened = true;

    assert_error(report_read_index(bench->path, &read, &opened, &error), &error, ERROR_METADATA, "index");
    assert_false(opened);
    bench->report.index = index;
    assert_good(report_write(bench->path, &bench->report, &error), &error);
    assert_good(report_read_index(bench->path, &read, &opened, &error), &error);
    assert_true(object_name_equal(&read, &index));
    assert_false(opened); /* one is closed */
    bench->report.volumes[1].opened = bench->report.volumes[1].by_recovery = true;
    assert_good(report_write(bench->path, &bench->report, &error), &error);
    assert_good(report_read_index(bench->path, &read, &opened, &error), &error);
    assert_false(opened);
    bench->report.volumes[1].by_recovery = false;
    assert_good(report_write(bench->path, &bench->report, &error), &error);
    assert_good(report_read_index(bench->path, &read, &opened, &error), &error);
    assert_true(opened);
    bench->report.volume_count = 0;
    assert_good(report_write(bench->path, &bench->report, &error), &error);
    assert_good(report_read_index(bench->path, &read, &opened, &error), &error);
    assert_false(opened);
    json_edit(bench->path, "boot_id", "\"00000000-0000-0000-0000-000000000000\"");
    assert_error(report_read_index(bench->path, &read, &opened, &error), &error, ERROR_FAILED, "");
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_values_round_trip), test(test_another_bank), test(test_volumes_are_told),
        test(test_without_a_tpm),     test(test_another_boot), test(test_not_private),
        test(test_missing_bank),      test(test_faults),       test(test_opening),
        test(test_opening_faults),    test(test_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
