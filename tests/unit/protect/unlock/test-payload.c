#include "protect/unlock/payload.h"

#include "base/cleanup.h"
#include "protect/machine.h"
#include "protect/unlock/keys.h"

#define UUID "1b4e28ba-2fa1-11d2-883f-0016d3cca427"

struct bench {
    struct luks_file file;
    struct volume *volume;
    struct secret passphrase, key;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct error error;

    assert_non_null(bench);
    *state = bench;
    luks_file_make(&bench->file, &(struct luks_form){ 0 });
    assert_good(volume_open(&bench->volume, bench->file.path, &error), &error);
    bench->passphrase = secret_of(LUKS_FILE_PASSPHRASE);
    assert_good(volume_keyslot_open(bench->volume, 0, &bench->passphrase, &bench->key, NULL, &error), &error);
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    secret_free(&bench->passphrase);
    secret_free(&bench->key);
    volume_close(&bench->volume);
    luks_file_remove(&bench->file);
    free(bench);
    return 0;
}

static struct protector a_protector(enum protector_payload payload, int keyslot)
{
    return (struct protector){ .token = 2, .keyslot = keyslot, .payload = payload, .id = UUID };
}

/* Each payload's opener gives the volume key. */
static void test_check(void **state)
{
    struct bench *bench = *state;
    const struct protector keyslot = a_protector(PAYLOAD_KEYSLOT, 0), key = a_protector(PAYLOAD_VOLUME_KEY, -1);
    cleanup(secret_free) struct secret one = { 0 }, other = { 0 };
    struct error error;

    assert_good(payload_check(bench->volume, &keyslot, &bench->passphrase, NULL, &error), &error);
    assert_good(payload_check(bench->volume, &keyslot, &bench->passphrase, &one, &error), &error);
    assert_good(payload_check(bench->volume, &key, &bench->key, NULL, &error), &error);
    assert_good(payload_check(bench->volume, &key, &bench->key, &other, &error), &error);
    assert_true(secret_equal(&one, &bench->key) && secret_equal(&other, &bench->key));
}

/* What the TPM has released and does not open: the header is to blame, never the PIN. */
static void test_wrong_openers(void **state)
{
    struct bench *bench = *state;
    const struct protector keyslot = a_protector(PAYLOAD_KEYSLOT, 0), key = a_protector(PAYLOAD_VOLUME_KEY, -1),
                           none = a_protector(PAYLOAD_KEYSLOT, -1);
    const struct volume_options options = { 0 };
    struct error error;

    assert_error(payload_check(bench->volume, &keyslot, &bench->key, NULL, &error), &error, ERROR_METADATA,
                 "does not open keyslot 0");
    assert_error(payload_check(bench->volume, &key, &bench->passphrase, NULL, &error), &error, ERROR_METADATA,
                 "not the volume's");
    assert_error(payload_check(bench->volume, &none, &bench->passphrase, NULL, &error), &error, ERROR_METADATA,
                 "names no keyslot");
    assert_error(payload_activate(bench->volume, &key, "bootseal-test", &bench->passphrase, &options, &error), &error,
                 ERROR_METADATA, "not the volume's");
    assert_error(payload_activate(bench->volume, &none, "bootseal-test", &bench->passphrase, &options, &error), &error,
                 ERROR_METADATA, "names no keyslot");
}

static void test_unwrap(void **state)
{
    struct bench *bench = *state;
    const struct protector keyslot = a_protector(PAYLOAD_KEYSLOT, 0), key = a_protector(PAYLOAD_VOLUME_KEY, -1);
    cleanup(secret_free) struct secret mix = { 0 }, random = { 0 }, sealed = { 0 };
    cleanup(secret_free) struct secret one = { 0 }, other = { 0 }, known = { 0 };
    struct secret nothing = { 0 };
    struct error error;

    assert_good(secret_random(&mix, KEYS_MIX_BYTES, &error), &error);
    assert_good(secret_random(&random, KEYS_SEALED_BYTES, &error), &error);
    assert_good(keys_wrap_volume_key(&bench->key, &mix, UUID, &sealed, &error), &error);
    assert_good(payload_unwrap(&key, &sealed, &mix, &one, &error), &error);
    assert_true(secret_equal(&one, &bench->key));
    assert_good(payload_unwrap(&keyslot, &random, &mix, &other, &error), &error);
    assert_good(keys_passphrase(&random, &mix, UUID, &known, &error), &error);
    assert_true(secret_equal(&other, &known));
    /* each one's sealed data is none of the other's */
    assert_error(payload_unwrap(&keyslot, &sealed, &mix, &nothing, &error), &error, ERROR_METADATA, "not 32");
    assert_error(payload_unwrap(&key, &random, &mix, &nothing, &error), &error, ERROR_METADATA, "decrypt");
    assert_null(nothing.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_check, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_openers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unwrap, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
