#include "luks/internal.h"

#include "base/cleanup.h"
#include "luks-edit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_explained(const struct luks_file *file, const char *words)
{
    cleanup(close_fd) int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    struct error error;

    assert_int_equal(probe_explain(fd, "name", &error), ERROR_NOT_LUKS2);
    if (!strstr(error.text, words))
        fail_msg("%s: %s", words, error.text);
    assert_true(error.remedy[0]);
}

static void by_version(void **state)
{
    struct luks_file file;

    (void)state;
    luks_file_make_plain(&file, 8);
    assert_explained(&file, "not a LUKS volume");
    luks_file_poke(&file, 0, "LUKS\xba\xbe\0\1", 8);
    assert_explained(&file, "LUKS1");
    luks_file_poke(&file, 7, "\2", 1);
    assert_explained(&file, "damaged LUKS2 header");
    luks_file_poke(&file, 6, "\1", 1);
    assert_explained(&file, "version 258");
    luks_file_remove(&file);
}

/* The first magic at the second header's place is none, nor is the second one at the first's. */
static void by_second_header(void **state)
{
    (void)state;
    for (off_t at = 0x2000; at <= 0x800000; at *= 2) {
        struct luks_file file;
        bool is_one = at >= 0x4000 && at <= 0x400000;

        luks_file_make_plain(&file, 0x1000000);
        luks_file_poke(&file, 0, "SKUL\xba\xbe\0\2", 8);
        luks_file_poke(&file, at, "LUKS\xba\xbe\0\2", 8);
        assert_explained(&file, "not a LUKS volume");
        luks_file_poke(&file, at, "SKUL", 4);
        assert_explained(&file, is_one ? "damaged LUKS2 header" : "not a LUKS volume");
        luks_file_remove(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_version),
        cmocka_unit_test(by_second_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
