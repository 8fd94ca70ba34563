#include "sample.h"

#include "policy/value-table.h"

static struct error error;

static void equal_values_share_a_place(void **state)
{
    cleanup(value_table_free) struct value_table table = { .bank = HASH_SHA256 };
    struct pcr_values values = sample_values(HASH_SHA256, SAMPLE_PCRS);
    size_t place;

    (void)state;
    assert_good(value_table_place(&table, values.value[4], &place, &error), &error);
    assert_int_equal(place, 0);
    assert_good(value_table_place(&table, values.value[7], &place, &error), &error);
    assert_int_equal(place, 1);
    assert_good(value_table_place(&table, values.value[4], &place, &error), &error);
    assert_int_equal(place, 0);
    values.value[4][31] ^= 1; /* the last byte counts */
    assert_good(value_table_place(&table, values.value[4], &place, &error), &error);
    assert_int_equal(place, 2);
    assert_int_equal(table.count, 3);
}

static void a_table_comes_back(void **state)
{
    cleanup(value_table_free) struct value_table table = { .bank = HASH_SHA384 }, again = { .bank = HASH_SHA384 };
    cleanup(json_free) struct json_object *object = json_object_new_object();
    struct pcr_values values = sample_values(HASH_SHA384, SAMPLE_PCRS);
    struct json_view view = { object, "here", ERROR_METADATA };
    struct json_object *list;
    size_t place;

    (void)state;
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++)
        if (SAMPLE_PCRS & (1u << pcr))
            assert_good(value_table_place(&table, values.value[pcr], &place, &error), &error);
    assert_good(value_table_to_json(&table, &list, &error), &error);
    assert_good(json_add(object, "values", list, &error), &error);
    assert_good(value_table_from_json(&again, &view, &error), &error);
    assert_int_equal(again.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(again.values[i], table.values[i], 48);
}

static void values_of_another_size_are_refused(void **state)
{
    cleanup(value_table_free) struct value_table table = { .bank = HASH_SHA384 };
    cleanup(json_free) struct json_object *object =
        json_tokener_parse("{\"values\":[\"5dba2e10dba5299f3e128449006cf1a350343fcd096fd5417b8e36da0b2bbd1b\"]}");
    struct json_view view = { object, "here", ERROR_METADATA };

    (void)state;
    assert_error(value_table_from_json(&table, &view, &error), &error, ERROR_METADATA, "48 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_values_share_a_place),
        cmocka_unit_test(a_table_comes_back),
        cmocka_unit_test(values_of_another_size_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
