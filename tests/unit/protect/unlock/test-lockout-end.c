#include "protect/unlock/lockout-end.h"

#include "protect/machine.h"

#include <stdlib.h>

#define NOON 1700000000 /* 2023-11-14 22:13:20 UTC */

static struct tpm_state state_of(uint32_t counter, uint32_t max_tries, uint32_t recovery_s)
{
    return (struct tpm_state){
        .in_lockout = counter >= max_tries,
        .lockout_counter = counter,
        .max_tries = max_tries,
        .recovery_s = recovery_s,
    };
}

static void assert_longest(uint32_t counter, uint32_t max_tries, uint32_t recovery_s, uint32_t expected)
{
    struct tpm_state state = state_of(counter, max_tries, recovery_s);

    assert_int_equal(lockout_longest_s(&state), expected);
}

static void test_longest(void **state)
{
    (void)state;
    assert_longest(31, 32, 600, 0);
    assert_longest(32, 32, 600, 600);
    assert_longest(34, 32, 600, 1800); /* the limit was lowered since */
    assert_longest(32, 32, 0, 0);
    assert_longest(UINT32_MAX, 0, UINT32_MAX, UINT32_MAX);
}

static void assert_duration(uint32_t seconds, const char *expected)
{
    char text[LOCKOUT_DURATION_TEXT];

    lockout_duration_format(seconds, text);
    assert_string_equal(text, expected);
}

static void test_durations(void **state)
{
    (void)state;
    assert_duration(0, "0 s");
    assert_duration(59, "59 s");
    assert_duration(60, "1 min");
    assert_duration(598, "9 min 58 s");
    assert_duration(3600, "1 h");
    assert_duration(86399, "23 h 59 min");
    assert_duration(86400 + 7200, "1 d 2 h");
    assert_duration(UINT32_MAX, "49710 d 6 h");
}

static void test_refuse(void **state)
{
    struct tpm_state locked = state_of(32, 32, 600);
    struct error error;

    (void)state;
    setenv("TZ", "UTC", 1);
    assert_error(lockout_refuse(&locked, NOON, &error), &error, ERROR_LOCKOUT,
                 "the TPM refuses PINs after 32 wrong ones, until 22:23:20 UTC at the latest (10 min)");
    assert_non_null(strstr(error.remedy, "600 s"));
    assert_error(lockout_refuse(&locked, 1000, &error), &error, ERROR_LOCKOUT, "for 10 min at the most");
    locked.recovery_s = 86400;
    assert_error(lockout_refuse(&locked, NOON, &error), &error, ERROR_LOCKOUT, "until 2023-11-15 22:13 UTC");
    locked.recovery_s = 0;
    assert_error(lockout_refuse(&locked, NOON, &error), &error, ERROR_LOCKOUT, "after 32 wrong ones");
    assert_null(strstr(error.text, "until"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
