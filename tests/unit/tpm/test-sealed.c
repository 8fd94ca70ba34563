#include "base/cleanup.h"
#include "bench.h"
#include "bus-tap.h"
#include "tpm/internal.h"

#include <string.h>

static void test_unseals_without_auth(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret data = bench_secret(0x41, 1);
    cleanup(secret_free) struct secret got = { 0 };
    struct bench_object object = bench_protect(bench, NULL, &data);
    struct error error;

    bench_ok(bench_unlock(bench, &object, NULL, &got, &error), &error);
    assert_true(secret_equal(&got, &data));
}

static void test_unseals_with_auth(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = bench_secret(0xa5, DIGEST_BYTES);
    cleanup(secret_free) struct secret data = bench_secret(0x42, SEALED_DATA_MAX);
    cleanup(secret_free) struct secret got = { 0 };
    struct bench_object object = bench_protect(bench, &auth, &data);
    struct error error;

    bench_ok(bench_unlock(bench, &object, &auth, &got, &error), &error);
    assert_true(secret_equal(&got, &data));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unseals_without_auth, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_unseals_with_auth, bench_setup, bench_teardown),
    };

    return cmocka_run_group_tests_name("sealed", tests, NULL, NULL);
}
