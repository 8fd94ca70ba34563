/* After a secret has passed through tpm2-tss, none of it is left in this process's memory. */
#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"
#include "tpm/lockout.h"

#include <stdio.h>
#include <string.h>

#define PART 16 /* the end of a secret counts as the secret: its start may be overwritten by chance */

/* What is looked for, but not as it is: the search must not find its own needle. */
struct needle {
    uint8_t inverted[PART];
};

static struct needle needle_of(const struct secret *secret)
{
    struct needle needle;

    for (size_t i = 0; i < PART; i++)
        needle.inverted[i] = (uint8_t)~secret->bytes[secret->size - PART + i];
    return needle;
}

static bool is_at(const volatile uint8_t *at, const struct needle *needle)
{
    for (size_t i = 0; i < PART; i++)
        if ((at[i] ^ needle->inverted[i]) != 0xff)
            return false;
    return true;
}

__attribute__((no_sanitize("address"))) static unsigned count_in(const uint8_t *from, const uint8_t *to,
                                                                 const struct needle *needle)
{
    unsigned found = 0;

    for (const uint8_t *at = from; at + PART <= to; at++)
        if (is_at(at, needle))
            found++;
    return found;
}

/* In everything that this process may write. */
static unsigned count_in_memory(const struct needle *needle)
{
    cleanup(close_stream) FILE *maps = fopen("/proc/self/maps", "re");
    unsigned found = 0;
    char line[512], flags[5];
    uintptr_t from, to;

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps))
        if (sscanf(line, "%lx-%lx %4s", &from, &to, flags) == 3 && strncmp(flags, "rw", 2) == 0 && !strstr(line, "[v"))
            found += count_in((const uint8_t *)from, (const uint8_t *)to, needle);
    return found;
}

static struct secret random_secret(size_t size)
{
    struct secret secret;
    struct error error;

    bench_ok(secret_random(&secret, size, &error), &error);
    secret.bytes[size - 1] |= 1; /* as an authorisation wants it */
    return secret;
}

static void test_search_finds(void **state)
{
    cleanup(secret_free) struct secret secret = random_secret(PART);
    struct needle needle = needle_of(&secret);
    char *copy = malloc(PART);

    (void)state;
    assert_int_equal(count_in_memory(&needle), 1);
    memcpy(copy, secret.bytes, PART);
    assert_int_equal(count_in_memory(&needle), 2);
    secret_free(&secret);
    explicit_bzero(copy, PART);
    free(copy);
    assert_int_equal(count_in_memory(&needle), 0);
}

static void test_sealing_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_secret(DIGEST_BYTES);
    cleanup(secret_free) struct secret data = random_secret(SEALED_DATA_MAX);
    struct needle auth_needle = needle_of(&auth), data_needle = needle_of(&data);

    (void)bench_seal(bench, &auth, &data);
    secret_free(&auth);
    secret_free(&data);
    assert_int_equal(count_in_memory(&auth_needle), 0);
    assert_int_equal(count_in_memory(&data_needle), 0);
}

static void test_unsealing_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_secret(DIGEST_BYTES);
    cleanup(secret_free) struct secret data = random_secret(SEALED_DATA_MAX);
    cleanup(secret_free) struct secret got = { 0 };
    cleanup(tpm_handle_free) struct tpm_handle loaded = { 0 }, session = { 0 };
    struct needle auth_needle = needle_of(&auth), data_needle = needle_of(&data);
    struct bench_object object = bench_protect(bench, &auth, &data);
    struct error error;

    bench_ok(tpm_load(bench->tpm, &object.blob, &loaded, &error), &error);
    bench_ok(bench_session(bench, object.branches, &object.name, true, &session, &error), &error);
    bench_ok(tpm_unseal(&loaded, &session, &auth, &got, &error), &error);
    secret_free(&auth);
    secret_free(&data);
    assert_int_equal(count_in_memory(&data_needle), 1);
    secret_free(&got);
    assert_int_equal(count_in_memory(&auth_needle), 0);
    assert_int_equal(count_in_memory(&data_needle), 0);
}

static void test_wrong_pin_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_secret(DIGEST_BYTES);
    cleanup(secret_free) struct secret wrong = random_secret(DIGEST_BYTES);
    cleanup(secret_free) struct secret data = random_secret(SEALED_DATA_MAX);
    cleanup(secret_free) struct secret got = { 0 };
    cleanup(tpm_handle_free) struct tpm_handle loaded = { 0 }, session = { 0 };
    struct needle needle = needle_of(&wrong);
    struct bench_object object = bench_protect(bench, &auth, &data);
    struct error error;

    bench_ok(tpm_load(bench->tpm, &object.blob, &loaded, &error), &error);
    bench_ok(bench_session(bench, object.branches, &object.name, true, &session, &error), &error);
    assert_int_equal(tpm_unseal(&loaded, &session, &wrong, &got, &error), ERROR_WRONG_PIN);
    secret_free(&wrong);
    assert_int_equal(count_in_memory(&needle), 0);
}

/* tpm2-tss goes on with nothing after such an answer; what it holds goes with the connection. */
static void test_broken_answers_leave_nothing(void **state)
{
    static const uint32_t commands[] = { TPM2_CC_Create, TPM2_CC_Unseal };
    struct bench *bench = *state;

    for (size_t i = 0; i < array_size(commands); i++) {
        cleanup(secret_free) struct secret auth = random_secret(DIGEST_BYTES);
        cleanup(secret_free) struct secret data = random_secret(SEALED_DATA_MAX);
        cleanup(secret_free) struct secret got = { 0 };
        struct needle auth_needle = needle_of(&auth), data_needle = needle_of(&data);
        struct bench_object object = bench_protect(bench, &auth, &data);
        struct error error;
        struct sealed_blob blob;
        struct digest policy = bench_object_policy(bench, true);

        bus_tap(bench->tpm);
        bus_tap_spoil(commands[i], 1);
        if (commands[i] == TPM2_CC_Create)
            assert_int_equal(tpm_seal(bench->tpm, &policy, &auth, &data, &blob, &error), ERROR_TPM);
        else
            assert_int_equal(bench_unlock(bench, &object, &auth, &got, &error), ERROR_TPM);
        secret_free(&auth);
        secret_free(&data);
        secret_free(&got);
        bench_disconnect(bench);
        assert_int_equal(count_in_memory(&auth_needle), 0);
        assert_int_equal(count_in_memory(&data_needle), 0);
        bench_connect(bench);
    }
}

static void test_lockout_authorisations_leave_nothing(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret old_auth = random_secret(DIGEST_BYTES);
    cleanup(secret_free) struct secret new_auth = random_secret(DIGEST_BYTES);
    struct needle old_needle = needle_of(&old_auth), new_needle = needle_of(&new_auth);
    struct error error;

    bench_ok(tpm_lockout_set_auth(bench->tpm, NULL, &old_auth, &error), &error);
    assert_int_equal(count_in_memory(&old_needle), 1);
    bench_ok(tpm_lockout_set_auth(bench->tpm, &old_auth, &new_auth, &error), &error);
    secret_free(&old_auth);
    assert_int_equal(count_in_memory(&old_needle), 0);
    assert_int_equal(count_in_memory(&new_needle), 1);
    bench_ok(tpm_lockout_reset(bench->tpm, &new_auth, &error), &error);
    secret_free(&new_auth);
    assert_int_equal(count_in_memory(&new_needle), 0);
}

/* With and without an SRK to salt to. */
static void test_owner_authorisation_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = random_secret(DIGEST_BYTES);
    struct needle needle = needle_of(&auth);
    TPM2B_AUTH copy = { .size = DIGEST_BYTES };
    struct error error;
    struct entity srk;
    ESYS_TR none;

    assert_int_equal(Esys_EvictControl(bench->tpm->esys, ESYS_TR_RH_OWNER, bench->tpm->srk, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, TPM_SRK_HANDLE, &none),
                     0);
    tpm_reference_close(bench->tpm, &bench->tpm->srk);
    memcpy(copy.buffer, auth.bytes, auth.size);
    assert_int_equal(Esys_HierarchyChangeAuth(bench->tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                              ESYS_TR_NONE, &copy),
                     0);
    explicit_bzero(&copy, sizeof(copy));
    tpm_wipe(bench->tpm, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD);
    assert_int_equal(count_in_memory(&needle), 1);
    tpm_owner_auth_use(bench->tpm, &auth);
    bench_ok(tpm_srk_make(bench->tpm, &srk, &error), &error);
    assert_int_equal(count_in_memory(&needle), 1);
    bench_ok(tpm_index_undefine(bench->tpm, &bench->index, &error), &error);
    bench_ok(tpm_index_define(bench->tpm, &bench->index, &error), &error);
    tpm_owner_auth_use(bench->tpm, NULL);
    secret_free(&auth);
    assert_int_equal(count_in_memory(&needle), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search_finds),
        bench_test(test_sealing_leaves_nothing),
        bench_test(test_unsealing_leaves_nothing),
        bench_test(test_wrong_pin_leaves_nothing),
        bench_test(test_broken_answers_leave_nothing),
        bench_test(test_lockout_authorisations_leave_nothing),
        bench_test(test_owner_authorisation_leaves_nothing),
    };

    return cmocka_run_group_tests_name("wipe", tests, NULL, NULL);
}
