#include "protect/provision/lockout-refusal.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/machine.h"

#include <sys/stat.h>

#define RECOVERY_S 1000

struct bench {
    struct scratch scratch;
    struct state state;
    struct lockout_refusal refused;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct error error;

    assert_non_null(bench);
    *state = bench;
    scratch_make(&bench->scratch);
    assert_good(state_open(scratch_path(&bench->scratch, "state"), STATE_CREATE, &bench->state, &error), &error);
    bench->refused = (struct lockout_refusal){ .clock_ms = 5000, .reset_count = 7, .recovery_s = RECOVERY_S };
    bench->refused.srk.bytes[1] = 11;
    bench->refused.auth.bytes[0] = 1;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    state_close(&bench->state);
    scratch_remove(&bench->scratch);
    free(bench);
    return 0;
}

static void test_no_record(void **state)
{
    struct bench *bench = *state;
    struct error error;

    assert_good(lockout_refusal_check(&bench->state, &bench->refused, &error), &error);
    assert_good(lockout_refusal_forget(&bench->state, &error), &error);
}

static void test_refused_until_the_recovery_has_passed(void **state)
{
    struct bench *bench = *state;
    struct lockout_refusal now = bench->refused;
    struct stat status;
    struct error error;

    assert_good(lockout_refusal_write(&bench->state, &bench->refused, &error), &error);
    assert_return_code(stat(scratch_path(&bench->scratch, "state/lockout-refused.json"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_error(lockout_refusal_check(&bench->state, &now, &error), &error, ERROR_REFUSED, "not sent twice");
    assert_non_null(strstr(error.remedy, "after 1000 s"));
    now.reset_count++; /* a reboot alone changes nothing */
    now.clock_ms += RECOVERY_S * 1000 - 1;
    assert_error(lockout_refusal_check(&bench->state, &now, &error), &error, ERROR_REFUSED, "not sent twice");
    assert_non_null(strstr(error.remedy, "after 1 s"));
    now.clock_ms = 0; /* a clock that fell back */
    assert_int_equal(lockout_refusal_check(&bench->state, &now, &error), ERROR_REFUSED);
    now.clock_ms = bench->refused.clock_ms + RECOVERY_S * 1000;
    assert_good(lockout_refusal_check(&bench->state, &now, &error), &error);
}

/* lockoutRecovery 0: the TPM takes one again after its next start. */
static void test_refused_until_the_next_reset(void **state)
{
    struct bench *bench = *state;
    struct lockout_refusal now;
    struct error error;

    bench->refused.recovery_s = 0;
    now = bench->refused;
    assert_good(lockout_refusal_write(&bench->state, &bench->refused, &error), &error);
    now.clock_ms += 1000000000;
    assert_error(lockout_refusal_check(&bench->state, &now, &error), &error, ERROR_REFUSED, "not sent twice");
    assert_non_null(strstr(error.remedy, "reboot"));
    now.reset_count++;
    assert_good(lockout_refusal_check(&bench->state, &now, &error), &error);
}

static void test_another_one_or_another_tpm(void **state)
{
    struct bench *bench = *state;
    struct lockout_refusal now = bench->refused;
    struct error error;

    assert_good(lockout_refusal_write(&bench->state, &bench->refused, &error), &error);
    now.auth.bytes[31] ^= 1;
    assert_good(lockout_refusal_check(&bench->state, &now, &error), &error);
    now = bench->refused;
    now.srk.bytes[33] ^= 1;
    assert_good(lockout_refusal_check(&bench->state, &now, &error), &error);
    assert_int_equal(lockout_refusal_check(&bench->state, &bench->refused, &error), ERROR_REFUSED);
    assert_good(lockout_refusal_forget(&bench->state, &error), &error);
    assert_good(lockout_refusal_check(&bench->state, &bench->refused, &error), &error);
}

/* What cannot be read may be the very one: nothing is sent. */
static void test_damaged_record(void **state)
{
    static const char *const damaged[] = {
        "",
        "[]",
        "{ \"version\": 2 }",
        "{\"version\": 1, \"srk\": \"00\", \"digest\": \"00\", \"clock_ms\": 0, \"reset_count\": 0, \"recovery_s\": 0}",
    };
    struct bench *bench = *state;
    struct error error;

    for (size_t i = 0; i < array_size(damaged); i++) {
        scratch_write(&bench->scratch, "state/lockout-refused.json", damaged[i]);
        assert_error(lockout_refusal_check(&bench->state, &bench->refused, &error), &error, ERROR_METADATA,
                     "lockout-refused.json");
    }
}

static void test_prepare(void **state)
{
    struct machine *machine = *state;
    cleanup(state_close) struct state own = machine_state(machine);
    cleanup(secret_free) struct secret auth = secret_of("an authorisation");
    struct lockout_refusal first, later;
    struct error error;

    assert_good(lockout_refusal_prepare(machine->tpm, &own, &auth, &first, &error), &error);
    assert_true(object_name_equal(&first.srk, &own.pins.srk.name));
    assert_int_equal(first.recovery_s, machine->policy.lockout.lockout_recovery_s);
    machine_reboot(machine);
    assert_good(lockout_refusal_prepare(machine->tpm, &own, &auth, &later, &error), &error);
    assert_int_equal(later.reset_count, first.reset_count + 1);
    assert_true(digest_equal(&first.auth, &later.auth));
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_no_record),
        test(test_refused_until_the_recovery_has_passed),
        test(test_refused_until_the_next_reset),
        test(test_another_one_or_another_tpm),
        test(test_damaged_record),
        enrolled_test(test_prepare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
