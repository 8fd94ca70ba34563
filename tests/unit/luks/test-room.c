/* Gaps between keyslot areas; that libcryptsetup agrees is shown by test-keyslot.c and test-token.c on real headers. */
#include "luks/internal.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define AREA 258048 /* of a key of 64 bytes */
#define START 32768

struct row {
    uint64_t offset, size;
};

static int try_several(const struct row *rows, size_t count, uint64_t keyslots_bytes, size_t key_size, unsigned wanted,
                       struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    const struct json_view view = { document, "test", ERROR_METADATA };
    struct json_object *keyslots = json_object_new_object(), *config = json_object_new_object();
    char text[32];

    for (size_t i = 0; i < count; i++) {
        struct json_object *area = json_object_new_object(), *keyslot = json_object_new_object();

        snprintf(text, sizeof(text), "%llu", (unsigned long long)rows[i].offset);
        json_object_object_add(area, "offset", json_object_new_string(text));
        snprintf(text, sizeof(text), "%llu", (unsigned long long)rows[i].size);
        json_object_object_add(area, "size", json_object_new_string(text));
        json_object_object_add(keyslot, "area", area);
        snprintf(text, sizeof(text), "%zu", i);
        json_object_object_add(keyslots, text, keyslot);
    }
    json_object_object_add(config, "json_size", json_object_new_string("12288"));
    snprintf(text, sizeof(text), "%llu", (unsigned long long)keyslots_bytes);
    json_object_object_add(config, "keyslots_size", json_object_new_string(text));
    json_object_object_add(document, "keyslots", keyslots);
    json_object_object_add(document, "config", config);
    return room_for_keyslots(&view, key_size, wanted, error);
}

static int try_rows(const struct row *rows, size_t count, uint64_t keyslots_bytes, size_t key_size, struct error *error)
{
    return try_several(rows, count, keyslots_bytes, key_size, 1, error);
}

static void room_at_the_end(void **state)
{
    const struct row rows[] = { { START, AREA } };
    struct error error;

    (void)state;
    assert_int_equal(try_rows(rows, 0, AREA, 64, &error), 0);
    assert_int_equal(try_rows(rows, 0, AREA - 1, 64, &error), ERROR_REFUSED);
    assert_int_equal(try_rows(rows, 1, 2 * AREA, 64, &error), 0);
    assert_int_equal(try_rows(rows, 1, 2 * AREA - 1, 64, &error), ERROR_REFUSED);
    assert_int_equal(try_rows(rows, 1, 2 * AREA - 1, 32, &error), 0);
}

static void room_in_a_gap(void **state)
{
    const struct row in_front[] = { { START + AREA, AREA } };
    const struct row between[] = { { START + 2 * AREA, AREA }, { START, AREA } };
    const struct row narrow[] = { { START, AREA + 1 }, { START + 2 * AREA, AREA } };
    struct error error;

    (void)state;
    assert_int_equal(try_rows(in_front, 1, 2 * AREA, 64, &error), 0);
    assert_int_equal(try_rows(between, 2, 3 * AREA, 64, &error), 0);
    assert_int_equal(try_rows(narrow, 2, 3 * AREA, 64, &error), ERROR_REFUSED);
}

static void room_for_several(void **state)
{
    const struct row middle[] = { { START + AREA, AREA } };
    struct error error;

    (void)state;
    assert_int_equal(try_several(NULL, 0, 3 * AREA, 64, 3, &error), 0);
    assert_int_equal(try_several(NULL, 0, 3 * AREA, 64, 4, &error), ERROR_REFUSED);
    assert_int_equal(try_several(middle, 1, 3 * AREA, 64, 2, &error), 0); /* one on each side */
    assert_int_equal(try_several(middle, 1, 3 * AREA, 64, 3, &error), ERROR_REFUSED);
    assert_int_equal(try_several(middle, 1, 3 * AREA - 1, 64, 2, &error), ERROR_REFUSED);
}

/* Areas that overlap, lie outside or overflow never make room that is not there. */
static void hostile_areas(void **state)
{
    const struct row overlapping[] = { { START, 3 * AREA }, { START + AREA, 1 } };
    const struct row outside[] = { { 0, START + AREA }, { UINT64_MAX - 1, 1 } };
    const struct row overflowing[] = { { UINT64_MAX, 1 } };
    struct error error;

    (void)state;
    assert_int_equal(try_rows(overlapping, 2, 3 * AREA, 64, &error), ERROR_REFUSED);
    assert_int_equal(try_rows(outside, 1, AREA, 64, &error), ERROR_REFUSED);
    assert_int_equal(try_rows(overflowing, 1, AREA, 64, &error), ERROR_METADATA);
    assert_int_equal(try_rows(NULL, 0, UINT64_MAX, 64, &error), ERROR_METADATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_at_the_end),
        cmocka_unit_test(room_in_a_gap),
        cmocka_unit_test(room_for_several),
        cmocka_unit_test(hostile_areas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
