#include "base/recovery-key-text.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char canonical[] = "471207-278498-422125-177177-561902-537405-468006-693451";

static struct secret secret_of(const char *text)
{
    struct secret secret;
    struct error error;

    assert_int_equal(secret_copy(&secret, text, strlen(text), &error), 0);
    return secret;
}

static void expect_text(const struct secret *secret, const char *text)
{
    assert_int_equal(secret->size, strlen(text));
    assert_memory_equal(secret->bytes, text, strlen(text));
}

static void formats_little_endian_numbers(void **state)
{
    /* 42837 25318 38375 16107 51082 48855 42546 63041, times 11 */
    static const uint8_t key[RECOVERY_KEY_BYTES] = { 0x55, 0xa7, 0xe6, 0x62, 0xe7, 0x95, 0xeb, 0x3e,
                                                     0x8a, 0xc7, 0xd7, 0xbe, 0x32, 0xa6, 0x41, 0xf6 };
    static const uint8_t least[RECOVERY_KEY_BYTES] = { 0 };
    uint8_t most[RECOVERY_KEY_BYTES];
    cleanup(secret_free) struct secret text = { 0 }, zeros = { 0 }, ones = { 0 };
    struct error error;

    (void)state;
    memset(most, 0xff, sizeof(most));
    assert_int_equal(recovery_key_format(key, &text, &error), 0);
    expect_text(&text, canonical);
    assert_int_equal(recovery_key_format(least, &zeros, &error), 0);
    expect_text(&zeros, "000000-000000-000000-000000-000000-000000-000000-000000");
    assert_int_equal(recovery_key_format(most, &ones, &error), 0);
    expect_text(&ones, "720885-720885-720885-720885-720885-720885-720885-720885");
}

static void a_new_key_is_good_and_new(void **state)
{
    cleanup(secret_free) struct secret one = { 0 }, two = { 0 }, again = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(recovery_key_new(&one, &error), 0);
    assert_int_equal(recovery_key_new(&two, &error), 0);
    assert_false(secret_equal(&one, &two));
    assert_int_equal(recovery_key_parse(&one, &again, &error), 0);
    assert_true(secret_equal(&one, &again));
}

static void every_way_of_writing_it_is_taken(void **state)
{
    static const char *const inputs[] = {
        canonical,
        "471207278498422125177177561902537405468006693451",
        "471207 278498 422125 177177 561902 537405 468006 693451",
        " 471207 - 278498\t422125-177177--561902 537405-468006 693451 \r\n",
        "4712 0727 8498 4221 2517 7177 5619 0253 7405 4680 0669 3451",
    };

    (void)state;
    for (size_t i = 0; i < array_size(inputs); i++) {
        cleanup(secret_free) struct secret input = secret_of(inputs[i]), text = { 0 };
        struct error error;

        assert_true(recovery_key_has_form(&input));
        if (recovery_key_parse(&input, &text, &error))
            fail_msg("\"%s\": %s", inputs[i], error.text);
        expect_text(&text, canonical);
    }
}

static void the_bad_group_is_named(void **state)
{
    static const struct {
        const char *input, *text;
    } rows[] = {
        { "471208-278498-422125-177177-561902-537405-468006-693451", "group 1 has a typo" }, /* one digit */
        { "471207-278498-421225-177177-561902-537405-468006-693451", "group 3 has a typo" }, /* two swapped */
        { "471207278498422125177177561902537405468006693450", "group 8 has a typo" },
        { "471207-278498-422125-720896-561902-537405-468006-693451", "group 4 has a typo" }, /* 65536 * 11 */
        { "471207-27849-422125-177177-561902-537405-468006-693451", "group 2 has 5 digits, not 6" },
        { "471207-278498-422125-177177-5619022-537405-468006-693451", "group 5 has 7 digits, not 6" },
        { "471207-278498", "a recovery key has 48 digits, not 12" },
        { "47120727849842212517717756190253740546800669345", "a recovery key has 48 digits, not 47" },
        { "", "a recovery key has 48 digits, not 0" },
        { "47l207-278498-422125-177177-561902-537405-468006-693451", "digits, blanks and dashes only" },
    };

    (void)state;
    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup(secret_free) struct secret input = secret_of(rows[i].input), text = { 0 };
        struct error error;

        assert_int_equal(recovery_key_parse(&input, &text, &error), ERROR_WRONG_PIN);
        if (!strstr(error.text, rows[i].text))
            fail_msg("\"%s\": %s", rows[i].input, error.text);
        assert_null(text.bytes);
    }
}

/* What is not meant as a recovery key goes to the TPM as a PIN; what is, never does. */
static void tells_a_key_from_a_pin(void **state)
{
    static const char *const pins[] = {
        "",
        "481526",
        "4815-2634",
        "12345678901234567890",
        "47120727849842212517717756190253740546800669345",
        "4712072784984221251771775619025374054680066934511",
        "471207-278498-422125-177177-561902-537405-468006",
        "471207-278498-422125-177177-561902-537405-468006-69345x",
    };
    static const char *const keys[] = {
        "111111111111111111111111111111111111111111111111",
        "1-2-3-4-5-6-7-8",
        "471207-278498-422125-177177-561902-537405-468006-69345",
    };

    (void)state;
    for (size_t i = 0; i < array_size(pins); i++) {
        cleanup(secret_free) struct secret input = secret_of(pins[i]);

        assert_false(recovery_key_has_form(&input));
    }
    for (size_t i = 0; i < array_size(keys); i++) {
        cleanup(secret_free) struct secret input = secret_of(keys[i]);

        assert_true(recovery_key_has_form(&input));
    }
}

/* Whatever is typed: a value or an error, never a read past the end (sanitizers look on). */
static void any_bytes_are_an_error(void **state)
{
    uint8_t bytes[300];

    (void)state;
    for (size_t size = 0; size < sizeof(bytes); size++) {
        cleanup(secret_free) struct secret input = { 0 }, text = { 0 };
        struct error error;

        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)("0-9 "[(i * size + i / 7) % 4]);
        if (size % 5 == 0 && size > 0)
            bytes[size / 2] = 0;
        assert_int_equal(secret_copy(&input, bytes, size, &error), 0);
        assert_int_equal(recovery_key_parse(&input, &text, &error) ?: ERROR_WRONG_PIN, ERROR_WRONG_PIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_little_endian_numbers),    cmocka_unit_test(a_new_key_is_good_and_new),
        cmocka_unit_test(every_way_of_writing_it_is_taken), cmocka_unit_test(the_bad_group_is_named),
        cmocka_unit_test(tells_a_key_from_a_pin),           cmocka_unit_test(any_bytes_are_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
