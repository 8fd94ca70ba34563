#include "measure/gpt.h"

#include "base/cleanup.h"
#include "log-builder.h"
#include "measure/event-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The table as it is measured: header of 92 bytes, count, entries. */
static struct built_log *table(uint32_t entry_size, uint64_t count, size_t entries)
{
    struct built_log *built = built_log_start(0, NULL);
    uint8_t zero[256] = { 0 };

    built_log_put(built, "EFI PART", 8);
    built_log_put(built, zero, 48);
    built_log_put(built, (uint8_t[16]){ 1, 2, 3, 4 }, 16); /* the disk's GUID */
    built_log_put(built, zero, 12);
    built_log_u32(built, entry_size);
    built_log_put(built, zero, 4);
    built_log_u64(built, count);
    for (size_t i = 0; i < entries; i++) {
        size_t start = built->size;

        built_log_put(built, zero, 32);
        built_log_u64(built, 2048 * (i + 1));
        built_log_u64(built, 2048 * (i + 2) - 1);
        built_log_u64(built, 0);
        built_log_put(built, "b\0o\0o\0t\0", 8);
        built_log_put(built, zero, entry_size - (built->size - start));
    }
    return built;
}

static bool put(const void *bytes, size_t size, char **disk, char **partitions)
{
    size_t disk_size, partitions_size;
    FILE *disk_stream = open_memstream(disk, &disk_size);
    FILE *partitions_stream = open_memstream(partitions, &partitions_size);
    bool good = gpt_put(disk_stream, partitions_stream, (struct span){ bytes, size });

    assert_int_equal(fclose(disk_stream), 0);
    assert_int_equal(fclose(partitions_stream), 0);
    return good;
}

static void assert_table(const struct built_log *built, const char *wanted)
{
    cleanup(free_ptr) char *disk = NULL, *partitions = NULL;

    assert_true(put(built->bytes, built->size, &disk, &partitions));
    assert_string_equal(disk, "04030201-0000-0000-0000-000000000000");
    assert_string_equal(partitions, wanted);
}

static void tables(void **state)
{
    (void)state;
    assert_table(table(128, 0, 0), "no partitions");
    assert_table(table(128, 2, 2), "\"boot\" (2048 to 4095), \"boot\" (4096 to 6143)");
    assert_table(table(256, 1, 1), "\"boot\" (2048 to 4095)");
}

static void assert_no_table(const void *bytes, size_t size)
{
    cleanup(free_ptr) char *disk = NULL, *partitions = NULL;

    assert_false(put(bytes, size, &disk, &partitions));
}

static void malformed(void **state)
{
    struct built_log *built;

    (void)state;
    built = table(128, 1, 1);
    for (size_t size = 0; size < built->size; size++)
        assert_no_table(built->bytes, size);
    built->bytes[0] = 'X';
    assert_no_table(built->bytes, built->size);
    built = table(128, 1, 1);
    built->bytes[84] = 127; /* an entry's size */
    assert_no_table(built->bytes, built->size);
    built = table(128, GPT_MAX_PARTITIONS + 1, 1);
    assert_no_table(built->bytes, built->size);
    built = table(128, UINT64_MAX, 1);
    assert_no_table(built->bytes, built->size);
    built = table(128, 2, 1);
    assert_no_table(built->bytes, built->size);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tables), cmocka_unit_test(malformed) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
