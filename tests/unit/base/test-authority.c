#include "base/authority.h"

#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct authority_public sample(void)
{
    struct authority_public public;

    for (size_t i = 0; i < AUTHORITY_COORDINATE_BYTES; i++) {
        public.x[i] = (uint8_t)(0x10 + i);
        public.y[i] = (uint8_t)(0xe0 - i);
    }
    return public;
}

/* Spelled out by hand from TPM 2.0 Part 2: the area that a TPM hashes into the Name. */
static void area_is_the_tpms(void **state)
{
    static const char text[] = "0023"
                               "000b"
                               "00040000"
                               "0000"
                               "0010"
                               "0018000b"
                               "0003"
                               "0010"
                               "0020"
                               "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
                               "0020"
                               "e0dfdedddcdbdad9d8d7d6d5d4d3d2d1d0cfcecdcccbcac9c8c7c6c5c4c3c2c1";
    uint8_t area[AUTHORITY_AREA_BYTES], wanted[AUTHORITY_AREA_BYTES];
    const struct authority_public public = sample();
    struct object_name name, again;
    struct error error;

    (void)state;
    assert_true(hex_decode(text, wanted, sizeof(wanted)));
    authority_public_area(&public, area);
    assert_memory_equal(area, wanted, sizeof(area));
    assert_int_equal(authority_name(&public, &name, &error), 0);
    assert_int_equal(object_name_compute(&again, wanted, sizeof(wanted), &error), 0);
    assert_true(object_name_equal(&name, &again));
}

static void area_reads_back(void **state)
{
    const struct authority_public public = sample();
    struct authority_public again;
    uint8_t area[AUTHORITY_AREA_BYTES];

    (void)state;
    authority_public_area(&public, area);
    assert_true(authority_public_parse(area, sizeof(area), &again));
    assert_memory_equal(&public, &again, sizeof(public));
}

/* Whatever is not a coordinate is fixed: flipping any bit of it makes another kind of key. */
static void other_areas_are_refused(void **state)
{
    const struct authority_public public = sample();
    struct authority_public again;
    uint8_t area[AUTHORITY_AREA_BYTES + 1] = { 0 };

    (void)state;
    authority_public_area(&public, area);
    assert_false(authority_public_parse(area, AUTHORITY_AREA_BYTES - 1, &again));
    assert_false(authority_public_parse(area, AUTHORITY_AREA_BYTES + 1, &again));
    assert_false(authority_public_parse(area, 0, &again));
    for (size_t i = 0; i < AUTHORITY_AREA_BYTES; i++) {
        bool coordinate = (i >= 22 && i < 54) || i >= 56;

        area[i] ^= 1;
        assert_int_equal(authority_public_parse(area, AUTHORITY_AREA_BYTES, &again), coordinate);
        area[i] ^= 1;
    }
}

static void policy_refs(void **state)
{
    struct span approve = authority_policy_ref(AUTHORITY_APPROVE), admin = authority_policy_ref(AUTHORITY_ADMIN);

    (void)state;
    assert_int_equal(approve.size, 16);
    assert_memory_equal(approve.bytes, "bootseal approve", 16);
    assert_int_equal(admin.size, 14);
    assert_memory_equal(admin.bytes, "bootseal admin", 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(area_is_the_tpms),
        cmocka_unit_test(area_reads_back),
        cmocka_unit_test(other_areas_are_refused),
        cmocka_unit_test(policy_refs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
