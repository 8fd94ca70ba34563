#include "base/cleanup.h"
#include "luks-edit.h"
#include "luks/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define KEY ":64:logon:cryptsetup:0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071-d0"

static struct mapping_table parse(const char *parameters)
{
    struct mapping_table table;
    struct error error;

    if (mapping_table_parse(parameters, &table, &error))
        fail_msg("\"%s\": %s", parameters, error.text);
    return table;
}

static void reads_what_the_kernel_writes(void **state)
{
    struct mapping_table table = parse("aes-xts-plain64 " KEY " 0 254:17 32768");

    (void)state;
    assert_string_equal(table.cipher, "aes-xts-plain64");
    assert_int_equal(table.iv_offset_sectors, 0);
    assert_int_equal(table.device.major, 254);
    assert_int_equal(table.device.minor, 17);
    assert_int_equal(table.offset_sectors, 32768);
    assert_int_equal(table.sector_size_bytes, 512);
}

static void reads_options(void **state)
{
    struct mapping_table table = parse("aes-xts-plain64 0011aabb 8 8:3 4096 3 allow_discards no_read_workqueue "
                                       "sector_size:4096");

    (void)state;
    assert_int_equal(table.sector_size_bytes, 4096);
    assert_int_equal(table.iv_offset_sectors, 8);
    table = parse("aes-xts-plain64 00 0 8:3 0 4 allow_discards same_cpu_crypt submit_from_crypt_cpus "
                  "no_write_workqueue");
    assert_int_equal(table.sector_size_bytes, 512);
}

static void refuses_what_is_no_such_table(void **state)
{
    static const char *const bad[] = {
        "",
        "aes-xts-plain64",
        "aes-xts-plain64 00",
        "aes-xts-plain64 00 0",
        "aes-xts-plain64 00 0 8:3",
        "aes-xts-plain64 00 0 8:3 x",
        "aes-xts-plain64 00 -1 8:3 0",
        "aes-xts-plain64 00 0 8 0",
        "aes-xts-plain64 00 0 /dev/sda3 0",
        "aes-xts-plain64 00 0 8:3x 0",
        "aes-xts-plain64 00 99999999999999999999999 8:3 0",
        "aes-xts-plain64 00 18446744073709551616 8:3 0",
        "aes-xts-plain64 00 0 8:3 0 1",
        "aes-xts-plain64 00 0 8:3 0 x",
        "aes-xts-plain64 00 0 8:3 0 2 allow_discards",
        "aes-xts-plain64 00 0 8:3 0 1 allow_discards more",
        "aes-xts-plain64 00 0 8:3 0 1 integrity:28:aead",
        "aes-xts-plain64 00 0 8:3 0 1 iv_large_sectors",
        "aes-xts-plain64-with-a-name-that-is-longer-than-any-cipher-that-there-is-in-the-world 00 0 8:3 0",
    };
    struct mapping_table table;
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++)
        if (mapping_table_parse(bad[i], &table, &error) != ERROR_METADATA)
            fail_msg("taken: \"%s\"", bad[i]);
}

/* ---- against a header ---- */

/* The table that activating the file's volume would make. */
static struct mapping_table table_of(struct volume *volume)
{
    struct volume_facts facts;
    struct mapping_table table = { 0 };
    struct error error;

    assert_int_equal(volume_facts_read(volume, &facts, &error), 0);
    strcpy(table.cipher, facts.cipher);
    table.offset_sectors = facts.offset_bytes / 512;
    table.sector_size_bytes = facts.sector_size_bytes;
    return table;
}

static void compares_with_the_header(void **state)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct mapping_table good, table;
    struct error error;

    (void)state;
    assert_int_equal(volume_open(&volume, luks_case.path, &error), 0);
    good = table_of(volume);
    assert_int_equal(mapping_table_check(&good, volume, &error), 0);

    table = good;
    strcpy(table.cipher, "cipher_null-ecb");
    assert_int_equal(mapping_table_check(&table, volume, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "cipher_null"));
    table = good;
    table.offset_sectors += 8;
    assert_int_equal(mapping_table_check(&table, volume, &error), ERROR_METADATA);
    table = good;
    table.iv_offset_sectors = 8;
    assert_int_equal(mapping_table_check(&table, volume, &error), ERROR_METADATA);
    table = good;
    table.sector_size_bytes = 4096;
    assert_int_equal(mapping_table_check(&table, volume, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "4096"));
}

static void the_iv_offset_of_the_header_counts(void **state)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct mapping_table table;
    struct error error;

    (void)state;
    luks_set(luks_case.path, "segments/0/iv_tweak", "\"64\"");
    assert_int_equal(volume_open(&volume, luks_case.path, &error), 0);
    table = table_of(volume);
    assert_int_equal(mapping_table_check(&table, volume, &error), ERROR_METADATA);
    table.iv_offset_sectors = 64;
    assert_int_equal(mapping_table_check(&table, volume, &error), 0);
}

/* Without a device mapper that is the reason, with one there is no such mapping. */
static void a_mapping_that_is_not_there(void **state)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct blockdev device;
    struct error error;

    (void)state;
    assert_int_equal(volume_open(&volume, luks_case.path, &error), 0);
    assert_int_equal(volume_mapping_check(volume, "CRYPT-LUKS2-nowhere", &error), ERROR_FAILED);
    assert_int_equal(volume_mapping_device("CRYPT-LUKS2-nowhere", &device, &error), ERROR_FAILED);
}

int main(void)
{
#define with_file(name) cmocka_unit_test_setup_teardown(name, luks_case_make, luks_case_remove)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_kernel_writes),  cmocka_unit_test(reads_options),
        cmocka_unit_test(refuses_what_is_no_such_table), with_file(compares_with_the_header),
        with_file(the_iv_offset_of_the_header_counts),   with_file(a_mapping_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
