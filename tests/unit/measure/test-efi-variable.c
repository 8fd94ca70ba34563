#include "measure/efi-variable.h"

#include "base/cleanup.h"
#include "log-builder.h"
#include "measure/event-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATH "\x02\x01\x0c\x00\xd0\x41\x03\x0a\x00\x00\x00\x00\x7f\xff\x04\x00"

/* A log of one variable's event. */
static void variable_log(const uint8_t *vendor, const char *name, const char *data, size_t size, struct event_log *log)
{
    struct built_log *built = built_log_start(1, (uint16_t[]){ HASH_SHA256 });

    built_log_add_variable(built, 7, EVENT_VARIABLE_DRIVER_CONFIG, vendor, name, (struct span){ data, size });
    built_log_parse(built, log);
}

static char *words_of(void (*put)(FILE *stream, const struct efi_variable *variable),
                      const struct efi_variable *variable)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    put(stream, variable);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void assert_words(const uint8_t *vendor, const char *name, const char *data, size_t size, const char *wanted)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    cleanup(free_ptr) char *text = NULL;
    struct efi_variable variable;

    variable_log(vendor, name, data, size, &log);
    assert_true(efi_variable_parse(log.events[0].data, &variable));
    assert_string_equal(variable.name, name);
    assert_memory_equal(variable.vendor, vendor, 16);
    text = words_of(efi_variable_put, &variable);
    assert_string_equal(text, wanted);
}

#define ASSERT_WORDS(vendor, name, literal, wanted) assert_words(vendor, name, literal, sizeof(literal) - 1, wanted)

static void words(void **state)
{
    (void)state;
    ASSERT_WORDS(global_vendor, "SecureBoot", "\x01", "on");
    ASSERT_WORDS(global_vendor, "SecureBoot", "\x00", "off");
    ASSERT_WORDS(global_vendor, "SecureBoot", "", "off");
    ASSERT_WORDS(global_vendor, "SecureBoot", "\x02", "not a value that it may have (1 bytes)");
    ASSERT_WORDS(global_vendor, "SecureBoot", "\x01\x00", "not a value that it may have (2 bytes)");
    ASSERT_WORDS(global_vendor, "AuditMode", "\x01", "on");
    ASSERT_WORDS(global_vendor, "PK", "", "empty");
    ASSERT_WORDS(database_vendor, "dbx", "12345", "damaged (5 bytes)");
    ASSERT_WORDS(global_vendor, "dbx", "12345", "5 bytes"); /* that vendor has none */
    ASSERT_WORDS(global_vendor, "BootOrder", "\x01\x00\x0a\x00", "0001, 000A");
    ASSERT_WORDS(global_vendor, "BootOrder", "", "");
    ASSERT_WORDS(global_vendor, "Boot000A", "\x01\0\0\0\x10\0D\0\0\0" PATH, "D, PciRoot(0x0)");
    ASSERT_WORDS(global_vendor, "Timeout", "\x01\x00", "2 bytes");
}

/* Boot entries that are cut: the size alone, after what was there. */
static void load_options_cut(void **state)
{
    static const char whole[] = "\x01\0\0\0\x10\0D\0\0\0" PATH;

    (void)state;
    for (size_t size = 0; size < sizeof(whole) - 1; size++) {
        cleanup(event_log_free) struct event_log log = { 0 };
        cleanup(free_ptr) char *text = NULL;
        struct efi_variable variable;

        variable_log(global_vendor, "Boot0001", whole, size, &log);
        assert_true(efi_variable_parse(log.events[0].data, &variable));
        text = words_of(efi_variable_put, &variable);
        assert_non_null(strstr(text, "bytes"));
    }
}

static void kinds(void **state)
{
    static const struct {
        const uint8_t *vendor;
        const char *name;
        bool key_list, secure_boot, shims;
    } cases[] = {
        { global_vendor, "PK", true, false, false },       { global_vendor, "KEK", true, false, false },
        { database_vendor, "db", true, false, false },     { database_vendor, "dbr", true, false, false },
        { global_vendor, "db", false, false, false },      { global_vendor, "SecureBoot", false, true, false },
        { shim_vendor, "SecureBoot", false, false, true }, { shim_vendor, "SbatLevel", false, false, true },
    };

    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        cleanup(event_log_free) struct event_log log = { 0 };
        struct efi_variable variable;

        variable_log(cases[i].vendor, cases[i].name, "", 0, &log);
        assert_true(efi_variable_parse(log.events[0].data, &variable));
        assert_int_equal(efi_variable_is_key_list(&variable), cases[i].key_list);
        assert_int_equal(efi_variable_is_secure_boot(&variable), cases[i].secure_boot);
        assert_int_equal(efi_variable_is_shims(&variable), cases[i].shims);
    }
}

static void authorities(void **state)
{
    const struct efi_variable sbat = { shim_vendor, "SbatLevel", { "sbat,1,2025\nshim,4\n", 20 } };
    const struct efi_variable short_one = { database_vendor, "db", { "abc", 3 } };
    cleanup(free_ptr) char *first = words_of(efi_variable_put_authority, &sbat);
    cleanup(free_ptr) char *second = words_of(efi_variable_put_authority, &short_one);

    (void)state;
    assert_string_equal(first, "sbat,1,2025\\nshim,4\\n");
    assert_string_equal(second, "3 bytes");
}

static void malformed(void **state)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct efi_variable variable;
    uint8_t bytes[200];
    struct span data;

    (void)state;
    variable_log(global_vendor, "SecureBoot", "\x01", 1, &log);
    data = log.events[0].data;
    assert_in_range(data.size, 1, sizeof(bytes));
    for (size_t size = 0; size < data.size; size++)
        assert_false(efi_variable_parse((struct span){ data.bytes, size }, &variable));
    for (size_t place = 16; place < 32; place++) { /* both sizes */
        memcpy(bytes, data.bytes, data.size);
        bytes[place] = 0xff;
        assert_false(efi_variable_parse((struct span){ bytes, data.size }, &variable));
    }
    memcpy(bytes, data.bytes, data.size);
    bytes[32 + 2 * 6] = 0; /* "Secure", a NUL, "oot" */
    assert_false(efi_variable_parse((struct span){ bytes, data.size }, &variable));
    memcpy(bytes, data.bytes, data.size);
    bytes[16] = 0; /* no name */
    assert_false(efi_variable_parse((struct span){ bytes, data.size }, &variable));
}

/* The longest name, of characters that take the most to be shown. */
static void long_names(void **state)
{
    uint8_t bytes[32 + 2 * (VARIABLE_NAME_MAX + 1)] = { 0 };
    struct efi_variable variable;

    (void)state;
    memset(bytes + 32, 0x20, sizeof(bytes) - 32); /* U+2020 */
    for (size_t i = 32; i < sizeof(bytes); i += 2)
        bytes[i] = 0x2e; /* U+202E, shown as \u202e */
    bytes[16] = VARIABLE_NAME_MAX;
    assert_true(efi_variable_parse((struct span){ bytes, sizeof(bytes) }, &variable));
    assert_int_equal(strlen(variable.name), 6 * VARIABLE_NAME_MAX);
    bytes[16] = VARIABLE_NAME_MAX + 1;
    assert_false(efi_variable_parse((struct span){ bytes, sizeof(bytes) }, &variable));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),       cmocka_unit_test(load_options_cut), cmocka_unit_test(kinds),
        cmocka_unit_test(authorities), cmocka_unit_test(malformed),        cmocka_unit_test(long_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
