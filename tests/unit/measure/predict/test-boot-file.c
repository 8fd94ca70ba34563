#include "measure/predict/boot-file.h"

#include "base/cleanup.h"
#include "measure/predict/one-pass.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct error error;

static void make_link(const char *folder, const char *target, const char *path)
{
    cleanup(free_ptr) char *name = NULL;

    assert_true(asprintf(&name, "%s%s", folder, path) > 0);
    assert_int_equal(symlink(target, name), 0);
}

static void assert_opened(const char *folder, const char *path, int result, bool found)
{
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };

    error = (struct error){ 0 };
    if (boot_file_open(folder, path, &file, &error) != result)
        fail_msg("%s: %d %s", path, error.kind, error.text);
    assert_int_equal(file.fd >= 0, found);
}

/* A path leads down, through folders, to a file; nowhere else. */
static void test_open(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
    cleanup(free_ptr) char *pipe = NULL;
    char long_path[300] = "/";

    (void)unused;
    memset(long_path + 1, 'x', 256);
    scratch_write_text(folder, "/EFI/Linux/a.efi", "image");
    make_link(folder, "a.efi", "/EFI/Linux/link.efi");
    make_link(folder, "Linux", "/EFI/link");
    make_link(folder, "/", "/root");
    assert_true(asprintf(&pipe, "%s/pipe", folder) > 0);
    assert_int_equal(mkfifo(pipe, 0600), 0);

    assert_opened(folder, "/EFI/Linux/a.efi", 0, true);
    assert_opened(folder, "EFI//Linux/a.efi", 0, true);
    assert_opened(folder, "/EFI/Linux/b.efi", 0, false);
    assert_opened(folder, "/EFI/Windows/a.efi", 0, false);
    assert_opened(folder, "/EFI/Linux/a.efi/x", ERROR_METADATA, false);
    assert_opened(folder, "/EFI/Linux/link.efi", ERROR_METADATA, false);
    assert_opened(folder, "/EFI/link/a.efi", ERROR_METADATA, false);
    assert_opened(folder, "/root/etc/passwd", ERROR_METADATA, false);
    assert_opened(folder, "/../etc/passwd", ERROR_METADATA, false);
    assert_opened(folder, "/EFI/./Linux/a.efi", ERROR_METADATA, false);
    assert_opened(folder, "/EFI/Linux", ERROR_METADATA, false);
    assert_opened(folder, "/pipe", ERROR_METADATA, false);
    assert_opened(folder, "", ERROR_METADATA, false);
    assert_opened(folder, long_path, ERROR_METADATA, false);
    assert_opened("/nowhere/at/all", "/EFI", ERROR_FAILED, false);

    assert_int_equal(boot_file_open(folder, "EFI/Linux/a.efi", &file, &error), 0);
    assert_string_equal(file.path + strlen(folder), "/EFI/Linux/a.efi");
    assert_int_equal(file.size, 5);
}

static void test_read(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
    cleanup(free_ptr) char *text = NULL;
    struct wanted wanted = wanted_bytes(4, "four", 4);
    struct digest sha256;

    (void)unused;
    scratch_write_text(folder, "/file", "four");
    assert_int_equal(boot_file_open(folder, "/file", &file, &error), 0);
    assert_int_equal(boot_file_read(&file, 3, &text, &sha256, &error), ERROR_METADATA);
    assert_null(text);
    assert_int_equal(boot_file_read(&file, 4, &text, &sha256, &error), 0);
    assert_string_equal(text, "four");
    assert_true(digest_equal(&sha256, &wanted.digest));
    scratch_write_text(folder, "/file", "longer");
    free(text);
    assert_int_equal(boot_file_read(&file, 4, &text, &sha256, &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, "was changed"));
    scratch_write_text(folder, "/file", "one");
    assert_int_equal(boot_file_read(&file, 4, &text, &sha256, &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, "was changed"));
}

static void test_names(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    struct boot_names names;

    (void)unused;
    assert_int_equal(boot_folder_names(folder, "/loader", ".conf", &names, &error), 0);
    assert_int_equal(names.count, 0);
    boot_names_free(&names);
    scratch_write_text(folder, "/loader/b.conf", "");
    scratch_write_text(folder, "/loader/Z.CONF", "");
    scratch_write_text(folder, "/loader/a.conf", "");
    scratch_write_text(folder, "/loader/.conf", "");
    scratch_write_text(folder, "/loader/conf", "");
    scratch_write_text(folder, "/loader/folder.conf/x.conf", "");
    assert_int_equal(boot_folder_names(folder, "/loader", ".conf", &names, &error), 0);
    assert_int_equal(names.count, 3);
    assert_string_equal(names.items[0], "Z.CONF");
    assert_string_equal(names.items[1], "a.conf");
    assert_string_equal(names.items[2], "b.conf");
    boot_names_free(&names);
    assert_int_equal(boot_folder_names(folder, "/loader/b.conf", ".conf", &names, &error), ERROR_METADATA);
    make_link(folder, "a.conf", "/loader/l.conf");
    assert_int_equal(boot_folder_names(folder, "/loader", ".conf", &names, &error), ERROR_METADATA);
    assert_int_equal(boot_folder_names(folder, "/../", ".conf", &names, &error), ERROR_METADATA);
    for (int i = 0; i <= BOOT_FOLDER_MAX_FILES; i++) {
        char path[32];

        snprintf(path, sizeof path, "/many/%d.x", i);
        scratch_write_text(folder, path, "");
    }
    assert_int_equal(boot_folder_names(folder, "/many", ".x", &names, &error), ERROR_METADATA);
    assert_int_equal(boot_folder_names(folder, "/many", "1.x", &names, &error), 0);
    boot_names_free(&names);
}

/* Across the pieces in which a file is read: two hashes that overlap, a copy, a comparison. */
static void test_one_pass(void **unused)
{
    static uint8_t bytes[200000], copy[70000];
    cleanup(scratch_free) char *folder = scratch_new();
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
    cleanup(hash_state_free) struct hash_state *odd = NULL;
    cleanup(hash_state_free) struct hash_state *all = NULL;
    struct digest sha256, digest, wanted;
    const struct span parts[] = { { bytes + 3, 65536 }, { bytes + 131071, 1 }, { bytes + 190000, 10000 } };

    (void)unused;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    scratch_write(folder, "/file", bytes, sizeof bytes);
    assert_int_equal(boot_file_open(folder, "/file", &file, &error), 0);
    assert_int_equal(hash_start(HASH_SHA256, &odd, &error), 0);
    assert_int_equal(hash_start(HASH_SHA256, &all, &error), 0);
    {
        const struct stretch stretches[] = {
            { 3, 65536, .state = odd },
            { 131071, 1, .state = odd },
            { 190000, 10000, .state = odd },
            { 0, sizeof bytes, .state = all },
            { 60000, sizeof copy, .copy = copy },
            { 65530, 20, .expected = bytes + 65530 },
            { 5, 0, .state = odd },
        };

        assert_int_equal(
            one_pass_read(file.fd, file.path, file.size, stretches, array_size(stretches), &sha256, &error), 0);
    }
    assert_int_equal(hash_finish(odd, digest.bytes, &error), 0);
    assert_int_equal(digest_compute(&wanted, parts, 3, &error), 0);
    assert_true(digest_equal(&digest, &wanted));
    assert_int_equal(hash_finish(all, digest.bytes, &error), 0);
    assert_true(digest_equal(&digest, &sha256));
    assert_memory_equal(copy, bytes + 60000, sizeof copy);
    bytes[65549] ^= 1;
    assert_int_equal(one_pass_read(file.fd, file.path, file.size,
                                   &(struct stretch){ 65530, 20, .expected = bytes + 65530 }, 1, &sha256, &error),
                     ERROR_FAILED);
    assert_int_equal(one_pass_read(file.fd, file.path, file.size - 1, NULL, 0, &sha256, &error), ERROR_FAILED);
    assert_int_equal(one_pass_read(file.fd, file.path, file.size + 1, NULL, 0, &sha256, &error), ERROR_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_one_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
