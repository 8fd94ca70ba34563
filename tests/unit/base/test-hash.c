#include "base/hash.h"

#include "base/cleanup.h"
#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    enum hash_algorithm algorithm;
    const char *name;
    size_t size;
    const char *of_abc; /* FIPS 180-2, appendices A to D */
} rows[] = {
    { HASH_SHA1, "sha1", 20, "a9993e364706816aba3e25717850c26c9cd0d89d" },
    { HASH_SHA256, "sha256", 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { HASH_SHA384, "sha384", 48,
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
    { HASH_SHA512, "sha512", 64,
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e"
      "2a9"
      "ac94fa54ca49f" },
};

static void known_values(void **state)
{
    const struct span parts[] = { { "a", 1 }, { "", 0 }, { "bc", 2 } };
    uint8_t value[HASH_MAX_BYTES], wanted[HASH_MAX_BYTES];
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(rows); i++) {
        assert_int_equal(hash_compute(rows[i].algorithm, parts, 3, value, &error), 0);
        assert_true(hex_decode(rows[i].of_abc, wanted, rows[i].size));
        assert_memory_equal(value, wanted, rows[i].size);
    }
}

static void names_and_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(rows); i++) {
        assert_int_equal(hash_size(rows[i].algorithm), rows[i].size);
        assert_string_equal(hash_name(rows[i].algorithm), rows[i].name);
        assert_int_equal(hash_from_name(rows[i].name), rows[i].algorithm);
    }
    assert_int_equal(hash_size((enum hash_algorithm)0x12), 0);
    assert_null(hash_name((enum hash_algorithm)0));
    assert_int_equal(hash_from_name("SHA256"), 0);
    assert_int_equal(hash_from_name(""), 0);
    assert_int_equal(hash_from_name("sm3_256"), 0);
}

static void unknown_algorithms_are_refused(void **state)
{
    uint8_t value[HASH_MAX_BYTES];
    struct error error;

    (void)state;
    assert_int_equal(hash_compute((enum hash_algorithm)0x12, NULL, 0, value, &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, "0x12"));
}

static void digests_and_names(void **state)
{
    struct digest digest, other;
    struct object_name name, other_name;
    struct error error;
    uint8_t wanted[DIGEST_BYTES];

    (void)state;
    assert_true(hex_decode(rows[1].of_abc, wanted, DIGEST_BYTES));
    assert_int_equal(digest_compute(&digest, &(struct span){ "abc", 3 }, 1, &error), 0);
    assert_memory_equal(digest.bytes, wanted, DIGEST_BYTES);
    assert_int_equal(object_name_compute(&name, "abc", 3, &error), 0);
    assert_int_equal(name.bytes[0], 0x00);
    assert_int_equal(name.bytes[1], 0x0b);
    assert_memory_equal(name.bytes + 2, wanted, DIGEST_BYTES);

    other = digest;
    other_name = name;
    assert_true(digest_equal(&digest, &other));
    assert_true(object_name_equal(&name, &other_name));
    other.bytes[31] ^= 1;
    other_name.bytes[0] ^= 1;
    assert_false(digest_equal(&digest, &other));
    assert_false(object_name_equal(&name, &other_name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(names_and_sizes),
        cmocka_unit_test(unknown_algorithms_are_refused),
        cmocka_unit_test(digests_and_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
