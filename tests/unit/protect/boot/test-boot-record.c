#include "protect/boot/boot-record.h"

#include "base/cleanup.h"
#include "protect/json-edit.h"
#include "protect/machine.h"

struct bench {
    struct scratch scratch;
    char path[300];
    struct report report;
    struct boot_record record;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct error error;

    assert_non_null(bench);
    *state = bench;
    scratch_make(&bench->scratch);
    snprintf(bench->path, sizeof(bench->path), "%s/report.json", bench->scratch.folder);
    bench->report = (struct report){
        .values = { .bank = HASH_SHA256, .mask = 1u << 7 },
        .cap = 12,
        .cap_done = true,
        .tpm_error = "a word of the TPM",
        .volumes = {
            { .name = "cryptroot", .uuid = LUKS_FILE_UUID, .opened = true, .by = PROTECTOR_TPM2_PIN,
              .operator_number = 2, .protector = "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0073", .wrong_pins = 2,
              .milliseconds = 812 },
            { .name = "data", .uuid = "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0072", .status = ERROR_MISMATCH,
              .reason = "a reason" },
        },
        .volume_count = 2,
    };
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

static void test_reads_what_was_written(void **state)
{
    struct bench *bench = *state;
    const struct boot_volume *root = &bench->record.volumes[0], *data = &bench->record.volumes[1];
    struct error error;

    assert_good(boot_record_read(bench->path, &bench->record, &error), &error);
    assert_int_equal(bench->record.volume_count, 2);
    assert_int_equal(strlen(bench->record.boot_id), 36);
    assert_string_equal(bench->record.tpm_error, "a word of the TPM");
    assert_int_equal(bench->record.values.mask, 1u << 7);
    assert_true(bench->record.cap_done && bench->record.cap == 12);
    assert_true(root->opened && root->wrong_pins == 2 && root->milliseconds == 812 && root->status == ERROR_NONE);
    assert_string_equal(root->by, "tpm2-pin");
    assert_string_equal(root->recovery_id, "");
    assert_int_equal(root->operator_number, 2);
    assert_string_equal(root->protector, "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0073");
    assert_int_equal(data->operator_number, 0);
    assert_string_equal(data->protector, "");
    assert_false(data->opened);
    assert_string_equal(data->by, "");
    assert_string_equal(data->reason, "a reason");
    assert_int_equal(data->status, ERROR_MISMATCH);
    assert_true(boot_record_has_pin(&bench->record));
}

/* What another version left out, or calls otherwise. */
static void test_other_versions(void **state)
{
    struct bench *bench = *state;
    struct error error;

    json_edit(bench->path, "volumes/0/milliseconds", NULL);
    json_edit(bench->path, "volumes/0/operator", NULL);
    json_edit(bench->path, "volumes/0/protector", NULL);
    json_edit(bench->path, "volumes/0/by", "\"recovery\"");
    json_edit(bench->path, "volumes/0/recovery_id", "\"1a2b3c4d\"");
    json_edit(bench->path, "volumes/0/more", "[ 1 ]");
    assert_good(boot_record_read(bench->path, &bench->record, &error), &error);
    assert_int_equal(bench->record.volumes[0].milliseconds, 0);
    assert_string_equal(bench->record.volumes[0].recovery_id, "1a2b3c4d");
    assert_false(boot_record_has_pin(&bench->record));
}

static void test_faults(void **state)
{
    static const struct {
        const char *member, *json;
    } rows[] = {
        { "volumes/0/opened", NULL },
        { "volumes/0/opened", "1" },
        { "volumes/0/status", "11" },
        { "volumes/0/status", "\"3\"" },
        { "volumes/0/wrong_pins", "-1" },
        { "volumes/0/operator", "-1" },
        { "volumes/0/protector", "1" },
        { "volumes/0/by", "7" },
        { "volumes/0/name", "[]" },
        { "volumes", "{}" },
        { "volumes/1", "null" },
        { "cap", NULL },
        { "pcrs/7", "\"00\"" },
        { "version", "2" },
        { "tpm", "false" },
        { "volumes/0/recovery_id", "\"12345678901234567\"" },
    };
    struct bench *bench = *state;
    struct error error;

    for (size_t i = 0; i < array_size(rows); i++) {
        assert_good(report_write(bench->path, &bench->report, &error), &error);
        json_edit(bench->path, rows[i].member, rows[i].json);
        if (boot_record_read(bench->path, &bench->record, &error) != ERROR_METADATA)
            fail_msg("%s %s was taken", rows[i].member, rows[i].json ? rows[i].json : "missing");
    }
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_reads_what_was_written),
        test(test_other_versions),
        test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
