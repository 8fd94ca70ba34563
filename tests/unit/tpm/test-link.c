#include "base/cleanup.h"
#include "bench.h"
#include "tpm/internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* A driver whose answers the tests choose; what tpm2-tss's own drivers do is seen in every other test. */
static struct {
    TSS2_TCTI_CONTEXT_COMMON_V1 common;
    unsigned sent;
    int32_t timeout_ms; /* of the last receive */
    TSS2_RC rc;
    uint8_t answer[16];
    size_t size;
} driver;

static TSS2_RC driver_transmit(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
    (void)tcti, (void)size, (void)command;
    driver.sent++;
    return TSS2_RC_SUCCESS;
}

static TSS2_RC driver_receive(TSS2_TCTI_CONTEXT *tcti, size_t *size, uint8_t *answer, int32_t timeout_ms)
{
    (void)tcti;
    driver.timeout_ms = timeout_ms;
    if (answer)
        memcpy(answer, driver.answer, driver.size);
    *size = driver.size;
    return driver.rc;
}

static const uint8_t shutdown_done[] = { 0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0 };

/* A link whose driver has been exchanged. */
static TSS2_TCTI_CONTEXT *use_driver(struct bench *bench, const uint8_t *answer, size_t size)
{
    memset(&driver, 0, sizeof(driver));
    driver.common.version = 1;
    driver.common.transmit = driver_transmit;
    driver.common.receive = driver_receive;
    memcpy(driver.answer, answer, size);
    driver.size = size;
    bench->tpm->link.driver = (TSS2_TCTI_CONTEXT *)&driver;
    return bench->tpm->tcti;
}

static void expect_shutdown(struct bench *bench, int result, const char *words)
{
    struct error error;

    assert_int_equal(tpm_shutdown(bench->tpm, &error), result);
    if (result)
        if (!strstr(error.text, words))
            fail_msg("%s", error.text);
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct error error;

    assert_non_null(bench);
    *state = bench;
    if (swtpm_start(&bench->swtpm))
        return -1;
    return tpm_open(&bench->tpm, swtpm_tcti(&bench->swtpm), &error);
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    tpm_close(&bench->tpm);
    swtpm_stop(&bench->swtpm);
    free(bench);
    return 0;
}

static void test_answer(void **state)
{
    struct bench *bench = *state;
    TSS2_TCTI_CONTEXT *real = bench->tpm->link.driver;

    use_driver(bench, shutdown_done, sizeof(shutdown_done));
    expect_shutdown(bench, 0, NULL);
    assert_int_equal(driver.sent, 1);
    assert_int_equal(driver.timeout_ms, TPM_ANSWER_MS);
    bench->tpm->link.driver = real;
}

static void test_answer_of_another_size(void **state)
{
    static const struct {
        uint8_t bytes[16];
        size_t size;
    } answers[] = {
        { { 0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0, 0 }, 11 },
        { { 0x80, 0x01, 0, 0, 0, 11, 0, 0, 0, 0 }, 10 },
        { { 0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 }, 10 },
        { { 0x80, 0x01, 0, 0, 0, 0, 0, 0, 0, 0 }, 10 },
        { { 0x80, 0x01, 0, 0, 0, 5 }, 5 },
        { { 0 }, 0 },
    };
    struct bench *bench = *state;
    TSS2_TCTI_CONTEXT *real = bench->tpm->link.driver;

    for (size_t i = 0; i < array_size(answers); i++) {
        TSS2_TCTI_CONTEXT *tcti = use_driver(bench, answers[i].bytes, answers[i].size);
        uint8_t answer[16];
        size_t size = sizeof(answer);

        assert_int_equal(Tss2_Tcti_Receive(tcti, &size, answer, TSS2_TCTI_TIMEOUT_BLOCK), TPM_RC_MALFORMED);
    }
    expect_shutdown(bench, ERROR_TPM, "malformed");
    bench->tpm->link.driver = real;
}

static void test_no_answer(void **state)
{
    struct bench *bench = *state;
    TSS2_TCTI_CONTEXT *real = bench->tpm->link.driver, *tcti = use_driver(bench, shutdown_done, sizeof(shutdown_done));
    uint8_t answer[16];
    size_t size = sizeof(answer);

    driver.rc = TSS2_TCTI_RC_TRY_AGAIN;
    expect_shutdown(bench, ERROR_TPM, "does not answer");
    assert_int_equal(Tss2_Tcti_Transmit(tcti, sizeof(shutdown_done), shutdown_done), TSS2_TCTI_RC_NO_CONNECTION);
    assert_int_equal(driver.sent, 1);
    /* who asks whether there is one already gets to know that there is none */
    bench->tpm->link.silent = false;
    assert_int_equal(Tss2_Tcti_Receive(tcti, &size, answer, 0), TSS2_TCTI_RC_TRY_AGAIN);
    assert_false(bench->tpm->link.silent);
    bench->tpm->link.driver = real;
}

/* ---- the driver for real TPMs ---- */

/* A device whose TPM answers the first command, with which the driver tries what the kernel can do, and no other. */
struct device {
    pthread_t tpm;
    int master, slave;
};

static void *answer_once(void *context)
{
    const struct device *device = context;
    uint8_t command[64];

    assert_true(read(device->master, command, sizeof(command)) > 0);
    assert_int_equal(write(device->master, shutdown_done, sizeof(shutdown_done)), sizeof(shutdown_done));
    return NULL;
}

static void device_start(struct device *ret)
{
    struct termios settings;

    ret->master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_int_equal(grantpt(ret->master) | unlockpt(ret->master), 0);
    ret->slave = open(ptsname(ret->master), O_RDWR | O_NOCTTY);
    assert_int_equal(tcgetattr(ret->slave, &settings), 0);
    cfmakeraw(&settings);
    assert_int_equal(tcsetattr(ret->slave, TCSANOW, &settings), 0);
    assert_int_equal(pthread_create(&ret->tpm, NULL, answer_once, ret), 0);
}

static void test_device_that_falls_silent(void **state)
{
    static const uint8_t command[] = { 0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x45, 0, 0 };
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct device device;
    struct error error;
    char tcti[64];
    uint8_t answer[16];
    size_t size = sizeof(answer);

    (void)state;
    device_start(&device);
    snprintf(tcti, sizeof(tcti), "device:%s", ptsname(device.master));
    bench_ok(tpm_open(&tpm, tcti, &error), &error);
    assert_int_equal(pthread_join(device.tpm, NULL), 0);
    assert_int_equal(Tss2_Tcti_Transmit(tpm->tcti, sizeof(command), command), TSS2_RC_SUCCESS);
    assert_int_equal(Tss2_Tcti_Receive(tpm->tcti, &size, answer, 50), TSS2_TCTI_RC_TRY_AGAIN);
    assert_int_equal(write(device.master, shutdown_done, sizeof(shutdown_done)), sizeof(shutdown_done));
    assert_int_equal(Tss2_Tcti_Receive(tpm->tcti, &size, answer, TSS2_TCTI_TIMEOUT_BLOCK), TSS2_RC_SUCCESS);
    assert_int_equal(size, sizeof(shutdown_done));
    close(device.slave);
    close(device.master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_of_another_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
        cmocka_unit_test(test_device_that_falls_silent),
    };

    signal(SIGHUP, SIG_IGN); /* the driver makes its device the terminal of a session that has none */
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
