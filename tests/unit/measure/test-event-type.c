#include "measure/event-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void names(void **state)
{
    (void)state;
    assert_string_equal(event_type_name(EVENT_SEPARATOR), "EV_SEPARATOR");
    assert_string_equal(event_type_name(0x800000e0), "EV_EFI_VARIABLE_AUTHORITY");
    assert_null(event_type_name(0x2)); /* reserved */
    assert_null(event_type_name(0xffffffff));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
