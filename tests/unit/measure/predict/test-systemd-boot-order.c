#include "measure/predict/systemd-boot-order.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct error error;

/* Each older than the next: the list that systemd's documentation has, and kernels. */
static void test_versions(void **unused)
{
    static const char *const ascending[] = { "",          "~",       "1~rc1",   "122.1",  "123~rc1-1",
                                             "123",       "123-a",   "123-a.1", "123-1",  "123-1.1",
                                             "123^post1", "123.a-1", "123.1-1", "123a-1", "124-1" };
    static const char *const kernels[] = { "6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-100-amd64", "6.1.10-1-amd64",
                                           "6.12.0-1-amd64" };
    static const char *const same[][2] = { { "1_2", "1_2" },
                                           { "007", "7" },
                                           { "a+b", "a b" },
                                           { "1.", "1.!" },
                                           { NULL, "" },
                                           { "\xc3\xa4"
                                             "1",
                                             "1" },
                                           { "0", "00" } };

    (void)unused;
    for (size_t i = 2; i < array_size(ascending); i++)
        for (size_t j = 3; j < i; j++) {
            if (systemd_version_compare(ascending[j], ascending[i]) >= 0 ||
                systemd_version_compare(ascending[i], ascending[j]) <= 0)
                fail_msg("\"%s\" is not older than \"%s\"", ascending[j], ascending[i]);
        }
    for (size_t i = 1; i < array_size(kernels); i++)
        assert_true(systemd_version_compare(kernels[i - 1], kernels[i]) < 0);
    for (size_t i = 0; i < array_size(same); i++)
        assert_int_equal(systemd_version_compare(same[i][0], same[i][1]), 0);
    assert_true(systemd_version_compare("~", "") < 0);
    assert_true(systemd_version_compare("a", "1") < 0);
    assert_true(systemd_version_compare(NULL, "1") < 0);
}

static void test_match(void **unused)
{
    static const struct {
        const char *pattern, *name;
        bool fits;
    } cases[] = {
        { "a.conf", "a.conf", true },
        { "a.conf", "a.con", false },
        { "a.con", "a.conf", false },
        { "", "", true },
        { "", "a", false },
        { "*", "", true },
        { "*", "a", true },
        { "a*", "a", true },
        { "*a*b", "xaxxabxb", true },
        { "*a*b", "xaxxabx", false },
        { "?", "", false },
        { "?", "\xc3\xa4", true },
        { "??", "\xc3\xa4", false },
        { "[ab]", "b", true },
        { "[ab]", "c", false },
        { "[a-c]", "b", true },
        { "[a-c]", "-", false },
        { "[-a]", "-", true },
        { "[a-]", "-", true },
        { "[]a]", "]", true },
        { "[a-c-e]", "d", false },
        { "[a-c-e]", "-", true },
        { "[a", "a", false },
        { "[\\]]", "]", true },
        { "[a-\\c]", "b", true },
        { "[!a]", "b", false },
        { "[!a]", "!", true },
        { "\\*", "*", true },
        { "\\*", "a", false },
        { "a\\", "a", false },
        { "debian-*-[0-9]*.conf", "debian-x-6.1.conf", true },
        { "*.conf", "x.conf.bak", false },
        { "**a", "bca", true },
        { "[", "[", false },
        { "a[", "a", false },
    };

    (void)unused;
    for (size_t i = 0; i < array_size(cases); i++) {
        bool fits;

        assert_int_equal(systemd_boot_match(cases[i].pattern, cases[i].name, &fits, &error), 0);
        if (fits != cases[i].fits)
            fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].name);
    }
}

/* A pattern of nothing but stars over a long name ends. */
static void test_match_hostile(void **unused)
{
    char pattern[4001], name[4001];
    bool fits;

    (void)unused;
    for (size_t i = 0; i < 4000; i += 2) {
        memcpy(pattern + i, "*a", 2);
        memcpy(name + i, "aa", 2);
    }
    pattern[4000] = name[4000] = '\0';
    pattern[3999] = 'b';
    assert_int_equal(systemd_boot_match(pattern, name, &fits, &error), 0);
    assert_false(fits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_match_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
