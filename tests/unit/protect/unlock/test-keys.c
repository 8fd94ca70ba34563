/*
 * Known answers made with other programs: Argon2id with argon2-cffi's hash_secret_raw(time_cost 2, memory_cost 1024,
 * parallelism 2, hash_len 64), HKDF with `openssl kdf -keylen 32 -kdfopt digest:SHA256 … HKDF | base64`, AES-256-GCM
 * with python-cryptography's AESGCM, its key with Python's hmac.
 */
#include "protect/unlock/keys.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "protect/machine.h"

#include <argon2.h>
#include <unistd.h>

#define UUID "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
#define PASSPHRASE "FLKYuGM2OQlr1zcGDs67zRAHqxHr8hCgRXKAty/mD5g="
#define PASSPHRASE_NO_PIN "7D4Ty3soKLQOW+lGpT+pF26SIAItmWw0lq2LuOvzH48="

/* The volume key 00 01 … 3f under the nonce 64 65 … 6f; B is 20 21 … 3f, and then empty. */
#define WRAPPED                                                                                                        \
    "6465666768696a6b6c6d6e6f7f12bd1c4603083ee7ccee57fa89d00f33a998d5a68e8d700e5d7604b803613e9fd5f0b1a7698f2ade81699d" \
    "85a85e41857fe68ff37f02fe0fae09265d378536adde0aafd0e698d0645c4f812abf1947"
#define WRAPPED_NO_PIN                                                                                                 \
    "6465666768696a6b6c6d6e6fc12cdf80da88ab4b6793344db431ea06d0faabf07fd05de034dae9e7a3b089d3b9e88f4270c05a3f6d5c60a2" \
    "7a0026e33ca7f1b3732ee0a84a6521542820af78d7ba83e715d07417a41597eecbc37bcf"

/* The linker puts this in the place of libargon2's: a quarter of this machine's RAM is not to be taken by a test. */
int __real_argon2id_hash_raw(uint32_t t, uint32_t m, uint32_t lanes, const void *password, size_t password_size,
                             const void *salt, size_t salt_size, void *hash, size_t hash_size);
int __wrap_argon2id_hash_raw(uint32_t t, uint32_t m, uint32_t lanes, const void *password, size_t password_size,
                             const void *salt, size_t salt_size, void *hash, size_t hash_size);
static bool pretend, exhausted;

int __wrap_argon2id_hash_raw(uint32_t t, uint32_t m, uint32_t lanes, const void *password, size_t password_size,
                             const void *salt, size_t salt_size, void *hash, size_t hash_size)
{
    if (exhausted)
        return ARGON2_MEMORY_ALLOCATION_ERROR;
    if (pretend)
        return ARGON2_OK;
    return __real_argon2id_hash_raw(t, m, lanes, password, password_size, salt, salt_size, hash, hash_size);
}

static struct kdf_parameters small_cost(void)
{
    struct kdf_parameters kdf = { .memory_kib = 1024, .iterations = 2, .lanes = 2 };

    for (uint8_t i = 0; i < KDF_SALT_BYTES; i++)
        kdf.salt[i] = i;
    return kdf;
}

/* A || B in hexadecimal. */
static void stretch(const char *pin, const struct kdf_parameters *kdf, char ret[HEX_TEXT(64)])
{
    cleanup(secret_free) struct secret secret = secret_of(pin);
    cleanup(secret_free) struct secret auth = { 0 };
    cleanup(secret_free) struct secret mix = { 0 };
    struct error error;

    assert_good(keys_stretch(&secret, kdf, &auth, &mix, &error), &error);
    assert_int_equal(auth.size, KEYS_AUTH_BYTES);
    assert_int_equal(mix.size, KEYS_MIX_BYTES);
    hex_encode(auth.bytes, auth.size, ret);
    hex_encode(mix.bytes, mix.size, ret + 64);
}

static void test_stretch_known_answer(void **state)
{
    struct kdf_parameters kdf = small_cost();
    char text[HEX_TEXT(64)];

    (void)state;
    stretch("481526", &kdf, text);
    assert_string_equal(text, "3d5404fe9351f22adb31672d31690c5d48baed29afe207ae9588e61ccace857c"
                              "7a4eef0d9a0275773f5ad44db70adb73f975e7ab754accd43e9b1d795ddc15ac");
}

static void test_stretch_depends_on_everything(void **state)
{
    char texts[6][HEX_TEXT(64)];
    struct kdf_parameters salt = small_cost(), memory = small_cost(), iterations = small_cost(), lanes = small_cost();

    (void)state;
    salt.salt[31] ^= 1;
    memory.memory_kib = 2048;
    iterations.iterations = 3;
    lanes.lanes = 1;
    stretch("481526", &(struct kdf_parameters){ 1024, 2, 2, "" }, texts[0]);
    stretch("481527", &(struct kdf_parameters){ 1024, 2, 2, "" }, texts[1]);
    stretch("481526", &salt, texts[2]);
    stretch("481526", &memory, texts[3]);
    stretch("481526", &iterations, texts[4]);
    stretch("481526", &lanes, texts[5]);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++) {
            assert_memory_not_equal(texts[i], texts[j], 64);           /* A */
            assert_memory_not_equal(texts[i] + 64, texts[j] + 64, 64); /* B */
        }
}

static void test_stretch_refuses_impossible_costs(void **state)
{
    static const struct kdf_parameters wrong[] = { { 4, 1, 1, "" }, { 1024, 0, 1, "" }, { 1024, 1, 0, "" } };
    cleanup(secret_free) struct secret pin = secret_of("481526");
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(wrong); i++) {
        struct secret auth = { 0 }, mix = { 0 };

        assert_error(keys_stretch(&pin, &wrong[i], &auth, &mix, &error), &error, ERROR_FAILED, "stretch");
        assert_null(auth.bytes);
        assert_null(mix.bytes);
    }
}

static struct secret counting(uint8_t first, size_t size)
{
    struct secret secret;
    struct error error;

    assert_good(secret_new(&secret, size, &error), &error);
    for (size_t i = 0; i < size; i++)
        secret.bytes[i] = (uint8_t)(first + i);
    secret.size = size;
    return secret;
}

static void expect_passphrase(const struct secret *sealed, const struct secret *mix, const char *id, bool same,
                              const char *known)
{
    cleanup(secret_free) struct secret passphrase = { 0 };
    struct error error;

    assert_good(keys_passphrase(sealed, mix, id, &passphrase, &error), &error);
    assert_int_equal(passphrase.size, 44);
    assert_int_equal(memcmp(passphrase.bytes, known, 44) == 0, same);
}

static void test_passphrase_known_answers(void **state)
{
    cleanup(secret_free) struct secret sealed = counting(0x40, KEYS_SEALED_BYTES);
    cleanup(secret_free) struct secret mix = counting(0x80, KEYS_MIX_BYTES);
    struct secret empty = { 0 };

    (void)state;
    expect_passphrase(&sealed, &mix, UUID, true, PASSPHRASE);
    expect_passphrase(&sealed, &mix, "1B4E28BA-2FA1-11D2-883F-0016D3CCA427", true, PASSPHRASE);
    expect_passphrase(&sealed, NULL, UUID, true, PASSPHRASE_NO_PIN);
    expect_passphrase(&sealed, &empty, UUID, true, PASSPHRASE_NO_PIN);
}

static void test_threat_09_passphrase_depends_on_everything(void **state)
{
    cleanup(secret_free) struct secret sealed = counting(0x40, KEYS_SEALED_BYTES);
    cleanup(secret_free) struct secret mix = counting(0x80, KEYS_MIX_BYTES);
    cleanup(secret_free) struct secret other = counting(0x41, KEYS_SEALED_BYTES);

    (void)state;
    expect_passphrase(&other, &mix, UUID, false, PASSPHRASE);
    expect_passphrase(&sealed, &other, UUID, false, PASSPHRASE);
    expect_passphrase(&sealed, NULL, UUID, false, PASSPHRASE);
    expect_passphrase(&sealed, &mix, "1b4e28ba-2fa1-11d2-883f-0016d3cca428", false, PASSPHRASE);
}

static void test_passphrase_refuses(void **state)
{
    static const char *const bad_ids[] = { "", "1b4e28ba-2fa1-11d2-883f-0016d3cca42",
                                           "1b4e28ba-2fa1-11d2-883f-0016d3cca42g", "not a UUID" };
    cleanup(secret_free) struct secret sealed = counting(0x40, KEYS_SEALED_BYTES);
    cleanup(secret_free) struct secret long_one = counting(0x40, KEYS_SEALED_BYTES + 1);
    struct secret ret = { 0 };
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(bad_ids); i++)
        assert_error(keys_passphrase(&sealed, NULL, bad_ids[i], &ret, &error), &error, ERROR_METADATA, "not a UUID");
    assert_error(keys_passphrase(&long_one, NULL, UUID, &ret, &error), &error, ERROR_METADATA, "33 bytes, not 32");
    sealed.size--;
    assert_error(keys_passphrase(&sealed, NULL, UUID, &ret, &error), &error, ERROR_METADATA, "31 bytes, not 32");
    sealed.size = 0;
    assert_error(keys_passphrase(&sealed, NULL, UUID, &ret, &error), &error, ERROR_METADATA, "0 bytes, not 32");
    assert_null(ret.bytes);
}

static struct secret wrapped(const char *hex)
{
    struct secret secret;
    struct error error;

    assert_good(secret_new(&secret, strlen(hex) / 2, &error), &error);
    assert_true(hex_decode(hex, secret.bytes, secret.capacity));
    secret.size = secret.capacity;
    return secret;
}

static void test_volume_key_known_answers(void **state)
{
    cleanup(secret_free) struct secret key = counting(0, 64);
    cleanup(secret_free) struct secret mix = counting(32, KEYS_MIX_BYTES);
    cleanup(secret_free) struct secret with_pin = wrapped(WRAPPED);
    cleanup(secret_free) struct secret without = wrapped(WRAPPED_NO_PIN);
    cleanup(secret_free) struct secret a = { 0 }, b = { 0 };
    struct error error;

    (void)state;
    assert_good(keys_unwrap_volume_key(&with_pin, &mix, UUID, &a, &error), &error);
    assert_true(secret_equal(&a, &key));
    assert_good(keys_unwrap_volume_key(&without, NULL, UUID, &b, &error), &error);
    assert_true(secret_equal(&b, &key));
}

/* Each size, and back; a nonce is never used again. */
static void test_volume_key_there_and_back(void **state)
{
    cleanup(secret_free) struct secret mix = counting(32, KEYS_MIX_BYTES);

    (void)state;
    for (size_t size = 1; size <= KEYS_MAX_VOLUME_KEY_BYTES; size++) {
        cleanup(secret_free) struct secret key = counting(7, size);
        cleanup(secret_free) struct secret one = { 0 }, other = { 0 }, again = { 0 };
        struct error error;

        assert_good(keys_wrap_volume_key(&key, &mix, UUID, &one, &error), &error);
        assert_good(keys_wrap_volume_key(&key, &mix, UUID, &other, &error), &error);
        assert_int_equal(one.size, 12 + size + 16);
        assert_false(secret_equal(&one, &other));
        assert_good(keys_unwrap_volume_key(&one, &mix, UUID, &again, &error), &error);
        assert_true(secret_equal(&again, &key));
    }
}

static void test_threat_09_volume_key_is_authenticated(void **state)
{
    cleanup(secret_free) struct secret mix = counting(32, KEYS_MIX_BYTES);
    cleanup(secret_free) struct secret other_mix = counting(33, KEYS_MIX_BYTES);
    cleanup(secret_free) struct secret sealed = wrapped(WRAPPED);
    struct secret ret = { 0 };
    struct error error;

    (void)state;
    assert_error(keys_unwrap_volume_key(&sealed, &other_mix, UUID, &ret, &error), &error, ERROR_METADATA, "decrypt");
    assert_error(keys_unwrap_volume_key(&sealed, NULL, UUID, &ret, &error), &error, ERROR_METADATA, "decrypt");
    assert_error(keys_unwrap_volume_key(&sealed, &mix, "1b4e28ba-2fa1-11d2-883f-0016d3cca428", &ret, &error), &error,
                 ERROR_METADATA, "decrypt");
    for (size_t i = 0; i < sealed.size; i++) {
        sealed.bytes[i] ^= 1;
        assert_error(keys_unwrap_volume_key(&sealed, &mix, UUID, &ret, &error), &error, ERROR_METADATA, "decrypt");
        sealed.bytes[i] ^= 1;
    }
    assert_null(ret.bytes);
}

static void test_volume_key_refuses(void **state)
{
    cleanup(secret_free) struct secret mix = counting(32, KEYS_MIX_BYTES);
    cleanup(secret_free) struct secret secret = counting(0, 200);
    struct secret ret = { 0 };
    struct error error;

    (void)state;
    secret.size = KEYS_MAX_VOLUME_KEY_BYTES + 1;
    assert_error(keys_wrap_volume_key(&secret, &mix, UUID, &ret, &error), &error, ERROR_REFUSED, "65 bytes");
    secret.size = 0;
    assert_error(keys_wrap_volume_key(&secret, &mix, UUID, &ret, &error), &error, ERROR_REFUSED, "0 bytes");
    secret.size = 28;
    assert_error(keys_unwrap_volume_key(&secret, &mix, UUID, &ret, &error), &error, ERROR_METADATA, "28 bytes");
    secret.size = 28 + KEYS_MAX_VOLUME_KEY_BYTES + 1;
    assert_error(keys_unwrap_volume_key(&secret, &mix, UUID, &ret, &error), &error, ERROR_METADATA, "93 bytes");
    secret.size = 60;
    assert_error(keys_unwrap_volume_key(&secret, &mix, "no UUID", &ret, &error), &error, ERROR_METADATA, "not a UUID");
    assert_error(keys_wrap_volume_key(&secret, &mix, "no UUID", &ret, &error), &error, ERROR_METADATA, "not a UUID");
    assert_null(ret.bytes);
}

static uint32_t quarter_of_ram_kib(void)
{
    return (uint32_t)((uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4096);
}

static void test_calibrate(void **state)
{
    struct kdf_rules rules = { .memory_kib = 8192, .time_ms = 40, .floor_memory_kib = 8192, .floor_iterations = 1 };
    struct kdf_parameters a, b;
    struct error error;

    (void)state;
    assert_good(keys_calibrate(&rules, &a, &error), &error);
    assert_good(keys_calibrate(&rules, &b, &error), &error);
    assert_int_equal(a.memory_kib, 8192);
    assert_in_range(a.iterations, 1, KDF_MAX_ITERATIONS);
    assert_in_range(a.lanes, 1, KDF_MAX_LANES);
    assert_true(a.lanes <= (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
    assert_memory_not_equal(a.salt, b.salt, KDF_SALT_BYTES);
}

static void test_threat_09_calibrate_obeys_the_floor(void **state)
{
    struct kdf_rules rules = { .memory_kib = 1024, .time_ms = 1, .floor_memory_kib = 8192, .floor_iterations = 7 };
    struct kdf_parameters kdf;
    struct error error;

    (void)state;
    assert_good(keys_calibrate(&rules, &kdf, &error), &error);
    assert_int_equal(kdf.memory_kib, 8192);
    assert_in_range(kdf.iterations, 7, KDF_MAX_ITERATIONS);
}

/* More time than one iteration takes on any machine here gives more iterations. */
static void test_calibrate_measures(void **state)
{
    struct kdf_rules rules = { .memory_kib = 8192, .time_ms = 60000, .floor_memory_kib = 8192, .floor_iterations = 1 };
    struct kdf_parameters kdf;
    struct error error;

    (void)state;
    assert_good(keys_calibrate(&rules, &kdf, &error), &error);
    assert_in_range(kdf.iterations, 10, KDF_MAX_ITERATIONS);
}

static void test_calibrate_takes_a_quarter_of_ram_at_most(void **state)
{
    struct kdf_rules rules = { .memory_kib = UINT32_MAX, .time_ms = 1, .floor_memory_kib = 8, .floor_iterations = 1 };
    struct kdf_parameters kdf;
    struct error error;

    (void)state;
    pretend = true;
    assert_good(keys_calibrate(&rules, &kdf, &error), &error);
    assert_int_equal(kdf.memory_kib, quarter_of_ram_kib());
    /* a floor above that is obeyed all the same: the unlocker would refuse less */
    rules.floor_memory_kib = quarter_of_ram_kib() + 1;
    assert_good(keys_calibrate(&rules, &kdf, &error), &error);
    assert_int_equal(kdf.memory_kib, quarter_of_ram_kib() + 1);
    pretend = false;
}

static void test_memory_that_cannot_be_had(void **state)
{
    struct kdf_rules rules = { .memory_kib = 8192, .time_ms = 1, .floor_memory_kib = 8192, .floor_iterations = 1 };
    struct kdf_parameters kdf;
    struct error error;

    (void)state;
    exhausted = true;
    assert_error(keys_calibrate(&rules, &kdf, &error), &error, ERROR_FAILED, "needs 8192 KiB of memory");
    exhausted = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stretch_known_answer),
        cmocka_unit_test(test_stretch_depends_on_everything),
        cmocka_unit_test(test_stretch_refuses_impossible_costs),
        cmocka_unit_test(test_passphrase_known_answers),
        cmocka_unit_test(test_threat_09_passphrase_depends_on_everything),
        cmocka_unit_test(test_passphrase_refuses),
        cmocka_unit_test(test_volume_key_known_answers),
        cmocka_unit_test(test_volume_key_there_and_back),
        cmocka_unit_test(test_threat_09_volume_key_is_authenticated),
        cmocka_unit_test(test_volume_key_refuses),
        cmocka_unit_test(test_calibrate),
        cmocka_unit_test(test_threat_09_calibrate_obeys_the_floor),
        cmocka_unit_test(test_calibrate_measures),
        cmocka_unit_test(test_calibrate_takes_a_quarter_of_ram_at_most),
        cmocka_unit_test(test_memory_that_cannot_be_had),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
