#include "measure/signature-list.h"

#include "base/cleanup.h"
#include "log-builder.h"
#include "measure/efi-variable.h"
#include "measure/event-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t x509_type[16] = { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a,
                                       0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 };
static const uint8_t sha256_type[16] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40,
                                         0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };

static char *words_of(void (*put)(FILE *stream, struct span bytes), const void *bytes, size_t size)
{
    /* bytes of their own, so that AddressSanitizer sees a step too far */
    cleanup(free_ptr) char *copy = malloc(size ? size : 1);
    char *text = NULL;
    size_t text_size;
    FILE *stream = open_memstream(&text, &text_size);

    if (size)
        memcpy(copy, bytes, size);
    put(stream, (struct span){ copy, size });
    assert_int_equal(fclose(stream), 0);
    return text;
}

/* The data of a variable in a recorded log with Secure Boot on. */
static struct span recorded_variable(const struct event_log *log, uint32_t type, const char *name)
{
    struct efi_variable variable;

    for (size_t i = 0; i < log->count; i++)
        if (log->events[i].type == type && efi_variable_parse(log->events[i].data, &variable) &&
            strcmp(variable.name, name) == 0)
            return variable.data;
    fail_msg("no %s", name);
    return (struct span){ 0 };
}

static void recorded(void **state)
{
    static const struct {
        const char *name, *wanted;
    } cases[] = {
        { "PK", "1 certificate (\"Debian UEFI Secure Boot (PK/KEK key)\")" },
        { "KEK", "2 certificates (\"Debian UEFI Secure Boot (PK/KEK key)\", \"Microsoft Corporation KEK CA 2011\")" },
        { "db", "2 certificates (\"Microsoft Windows Production PCA 2011\", \"Microsoft Corporation UEFI CA 2011\")" },
        { "dbx", "1 hash" },
    };
    cleanup(event_log_free) struct event_log log = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(event_log_read(recorded_path(recorded_logs[0], "bin"), &log, &error), 0);
    for (size_t i = 0; i < array_size(cases); i++) {
        struct span data = recorded_variable(&log, EVENT_VARIABLE_DRIVER_CONFIG, cases[i].name);
        cleanup(free_ptr) char *text = words_of(signature_lists_put, data.bytes, data.size);

        assert_string_equal(text, cases[i].wanted);
    }
}

static void one_signature(void **state)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    cleanup(free_ptr) char *certificate = NULL, *cut = NULL, *hash = NULL, *shorter = NULL;
    const uint8_t bytes[48] = { 0 };
    struct error error;
    struct span data;

    (void)state;
    assert_int_equal(event_log_read(recorded_path(recorded_logs[0], "bin"), &log, &error), 0);
    data = recorded_variable(&log, EVENT_VARIABLE_AUTHORITY, "MokListRT");
    certificate = words_of(signature_put, data.bytes, data.size);
    assert_string_equal(certificate, "\"Debian Secure Boot CA\"");
    cut = words_of(signature_put, data.bytes, data.size - 1);
    assert_non_null(strstr(cut, "bytes"));
    hash = words_of(signature_put, bytes, 48);
    assert_string_equal(hash, "a program's hash");
    shorter = words_of(signature_put, bytes, 15);
    assert_string_equal(shorter, "15 bytes");
}

/* A list with these numbers, written over the empty log. */
static struct built_log *list(const uint8_t *type, uint32_t list_size, uint32_t header_size, uint32_t signature_size,
                              size_t content)
{
    static const uint8_t zero[1024];
    struct built_log *built = built_log_start(0, NULL);

    built_log_put(built, type, 16);
    built_log_u32(built, list_size);
    built_log_u32(built, header_size);
    built_log_u32(built, signature_size);
    built_log_put(built, zero, content);
    return built;
}

static void assert_lists(const struct built_log *built, const char *wanted)
{
    cleanup(free_ptr) char *text = words_of(signature_lists_put, built->bytes, built->size);

    if (!strstr(text, wanted))
        fail_msg("\"%s\" is not in \"%s\"", wanted, text);
}

static void lists(void **state)
{
    (void)state;
    assert_lists(built_log_start(0, NULL), "empty");
    assert_lists(list(sha256_type, 28 + 96, 0, 48, 96), "2 hashes");
    assert_lists(list(sha256_type, 28 + 4 + 48, 4, 48, 52), "1 hash");
    assert_lists(list(sha256_type, 28, 0, 48, 0), "empty");
    assert_lists(list(x509_type, 28 + 20, 0, 20, 20), "1 certificate (4 bytes)");
    assert_lists(list(x509_type, 28 + 20 * 17, 0, 20, 20 * 17), "17 certificates (4 bytes, ");
    assert_lists(list(x509_type, 28 + 20 * 17, 0, 20, 20 * 17), "4 bytes, …)");
}

static void malformed(void **state)
{
    (void)state;
    assert_lists(list(sha256_type, 27, 0, 48, 48), "damaged");
    assert_lists(list(sha256_type, 0, 0, 48, 48), "damaged");
    assert_lists(list(sha256_type, UINT32_MAX, 0, 48, 48), "damaged");
    assert_lists(list(sha256_type, 28 + 49, 0, 48, 48), "damaged");
    assert_lists(list(sha256_type, 28 + 47, 0, 48, 47), "damaged");  /* no whole number of entries */
    assert_lists(list(sha256_type, 28 + 48, 49, 48, 48), "damaged"); /* a header past the end */
    assert_lists(list(sha256_type, 28 + 48, UINT32_MAX, 48, 48), "damaged");
    assert_lists(list(sha256_type, 28 + 48, 0, 0, 48), "damaged");  /* it would never end */
    assert_lists(list(sha256_type, 28 + 48, 0, 16, 48), "damaged"); /* an owner and nothing else */
    assert_lists(list(sha256_type, 28 + 48, 0, UINT32_MAX, 48), "damaged");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded),
        cmocka_unit_test(one_signature),
        cmocka_unit_test(lists),
        cmocka_unit_test(malformed),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
