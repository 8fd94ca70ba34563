#include "measure/predict/grub/environment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START "# GRUB Environment Block\n"

/* Of exactly the text's size, on the heap, so that a byte too far is seen. */
static struct environment new_block(const char *text)
{
    struct environment environment = { malloc(strlen(text)), strlen(text) };

    assert_non_null(environment.bytes);
    memcpy(environment.bytes, text, environment.size);
    return environment;
}

static void assert_set(const char *before, const char *name, const char *value, const char *after)
{
    struct environment environment = new_block(before);

    assert_int_equal(environment_set(&environment, name, value), after != NULL);
    if (!after)
        after = before;
    assert_int_equal(environment.size, strlen(after));
    assert_memory_equal(environment.bytes, after, environment.size);
    free(environment.bytes);
}

static void assert_removed(const char *before, const char *name, const char *after)
{
    struct environment environment = new_block(before);

    environment_remove(&environment, name);
    assert_int_equal(environment.size, strlen(after));
    assert_memory_equal(environment.bytes, after, environment.size);
    free(environment.bytes);
}

static void set(void **state)
{
    (void)state;
    assert_set(START "##########", "a", "1", START "a=1\n######");
    assert_set(START "a=1\nb=2\n##########", "a", "123", START "a=123\nb=2\n########");
    assert_set(START "a=123\nb=2\n########", "a", "", START "a=\nb=2\n###########");
    assert_set(START "a=1\nb=2\n##########", "b", "", START "a=1\nb=\n###########");
    assert_set(START "##########", "a", "x\\\ny", START "a=x\\\\\\\ny\n#");
    assert_set(START "ab=1\n##########", "b", "2", START "ab=1\nb=2\n######");
    assert_set(START "a=b=1\n##########", "b", "2", START "a=b=1\nb=2\n######");
    assert_set(START "####", "a", "1", START "a=1\n");
    assert_set(START "###", "a", "1", NULL);
    assert_set(START "a=1\n#", "a", "123", NULL);
    assert_set(START "a=1\n", "a", "2", START "a=2\n");
    assert_set(START "a=1####", "b", "1", NULL);
    assert_set("####", "a", "1", NULL);
    assert_set("x", "a", "1", NULL);
}

static void removed(void **state)
{
    (void)state;
    assert_removed(START "a=1\nb=2\n####", "a", START "b=2\n########");
    assert_removed(START "a=1\nb=2\n####", "b", START "a=1\n########");
    assert_removed(START "a=1\nb=2\n####", "c", START "a=1\nb=2\n####");
    assert_removed(START "a=1\\", "a", START "a=1\\");
    assert_removed(START, "a", START);
}

/* All variables of the block, each as "NAME=VALUE;". */
static void assert_list(const char *text, const char *wanted)
{
    struct environment environment = new_block(text);
    char *name = malloc(environment.size), *value = malloc(environment.size), list[256] = "";
    size_t offset = 0;

    assert_true(environment_is_good(&environment));
    while (environment_next(&environment, &offset, name, value)) {
        strcat(list, name);
        strcat(list, "=");
        strcat(list, value);
        strcat(list, ";");
    }
    assert_string_equal(list, wanted);
    free(environment.bytes);
    free(name);
    free(value);
}

static void listed(void **state)
{
    (void)state;
    assert_list(START "a=1\nb=2 3\n######", "a=1;b=2 3;");
    assert_list(START "# c=1\na=x\\\\y\\\nz\n", "a=x\\y\nz;");
    assert_list(START "a=\nb=\n#", "a=;b=;");
    assert_list(START "a=1\nb=2", "a=1;");
    assert_list(START "a=1\nb\n", "a=1;");
    assert_list(START "a=1\nb=2\\", "a=1;");
    assert_list(START "#", "");
    assert_list(START "=1\n", "=1;");
}

static void signature(void **state)
{
    struct environment environment = { START, sizeof START - 1 };

    (void)state;
    assert_false(environment_is_good(&environment)); /* GRUB wants a byte more */
    environment = (struct environment){ "# GRUB environment block\n###", 28 };
    assert_false(environment_is_good(&environment));
    environment.size = 0;
    assert_false(environment_is_good(&environment));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set),
        cmocka_unit_test(removed),
        cmocka_unit_test(listed),
        cmocka_unit_test(signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
