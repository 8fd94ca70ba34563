/* Opening: LUKS2 is taken; anything else is refused with a reason and what to do, and nothing is printed. */
#include "base/cleanup.h"
#include "luks-edit.h"
#include "luks/internal.h"

#include <libcryptsetup.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_refused(const char *path, int kind, const char *words, const char *remedy)
{
    struct volume *volume = NULL;
    struct error error;

    assert_int_equal(volume_open(&volume, path, &error), kind);
    assert_int_equal(error.kind, kind);
    assert_null(volume);
    assert_non_null(strstr(error.text, words));
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.remedy, remedy));
}

static void opens_luks2(void **state)
{
    struct volume *volume = NULL;
    struct luks_file file;
    struct error error;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_string_equal(volume_path(volume), file.path);
    assert_string_equal(volume_uuid(volume), LUKS_FILE_UUID);
    volume_close(&volume);
    assert_null(volume);
    volume_close(&volume);
    luks_file_remove(&file);
}

static void refuses_luks1(void **state)
{
    struct luks_file file;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ .type = CRYPT_LUKS1 });
    assert_refused(file.path, ERROR_NOT_LUKS2, "LUKS1", "cryptsetup convert --type luks2");
    luks_file_remove(&file);
}

static void refuses_other_files(void **state)
{
    struct luks_file file;

    (void)state;
    luks_file_make_plain(&file, 1024 * 1024);
    assert_refused(file.path, ERROR_NOT_LUKS2, "not a LUKS volume", "lsblk");
    luks_file_poke(&file, 0, "LUKS\xba\xbe\x00\x03", 8);
    assert_refused(file.path, ERROR_NOT_LUKS2, "unknown version 3", "luksDump");
    luks_file_remove(&file);

    luks_file_make_plain(&file, 0);
    assert_refused(file.path, ERROR_NOT_LUKS2, "not a LUKS volume", "lsblk");
    luks_file_remove(&file);
}

static void refuses_what_is_no_device(void **state)
{
    (void)state;
    assert_refused("/", ERROR_NOT_LUKS2, "neither a block device nor a file", "lsblk");
    assert_refused("/dev/null", ERROR_NOT_LUKS2, "neither a block device nor a file", "lsblk");
    assert_refused("/nonexistent", ERROR_FAILED, "No such file", "lsblk");
}

static void refuses_damaged_headers(void **state)
{
    static const uint8_t noise[64] = { 0xff, 0x01 };
    struct luks_file file;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    luks_file_poke(&file, 5000, noise, sizeof(noise));
    luks_file_poke(&file, 0x4000 + 5000, noise, sizeof(noise));
    assert_refused(file.path, ERROR_NOT_LUKS2, "damaged", "cryptsetup repair");
    luks_file_poke(&file, 0, noise, sizeof(noise));
    assert_refused(file.path, ERROR_NOT_LUKS2, "damaged", "luksHeaderRestore");
    luks_file_poke(&file, 0x4000, noise, sizeof(noise));
    assert_refused(file.path, ERROR_NOT_LUKS2, "not a LUKS volume", "lsblk");
    luks_file_remove(&file);
}

static void one_good_copy_of_the_header_is_enough(void **state)
{
    static const uint8_t noise[64] = { 0xff };
    struct volume *volume = NULL;
    struct luks_file file;
    struct error error;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    luks_file_poke(&file, 5000, noise, sizeof(noise));
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    volume_close(&volume);
    luks_file_remove(&file);
}

static void refuses_a_uuid_that_is_none(void **state)
{
    static const char *const bad[] = { "", "../../etc", "0f4a7c52-1d1e-4b86-9a77-51c5ea1b007",
                                       "0f4a7c52x1d1e-4b86-9a77-51c5ea1b0071", "gf4a7c52-1d1e-4b86-9a77-51c5ea1b0071" };
    struct volume *volume = NULL;
    struct luks_file file;
    struct error error;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    for (size_t i = 0; i < array_size(bad); i++) {
        luks_set_uuid(file.path, bad[i]);
        assert_int_equal(volume_open(&volume, file.path, &error), ERROR_METADATA);
    }
    luks_set_uuid(file.path, "1f4a7c52-1d1e-4b86-9a77-51c5ea1b0071");
    assert_int_equal(volume_open(&volume, file.path, &error), 0);
    assert_string_equal(volume_uuid(volume), "1f4a7c52-1d1e-4b86-9a77-51c5ea1b0071");
    volume_close(&volume);
    luks_file_remove(&file);
}

static void complaints_become_the_cause(void **state)
{
    struct volume *volume = NULL;
    struct luks_file file;
    struct error error;

    (void)state;
    luks_file_make(&file, &(struct luks_form){ 0 });
    assert_int_equal(volume_open(&volume, file.path, &error), 0);

    crypt_log(volume_device(volume), CRYPT_LOG_ERROR, "First\x1b[31m.\n");
    crypt_log(volume->device, CRYPT_LOG_NORMAL, "Chatter.\n");
    crypt_log(volume->device, CRYPT_LOG_ERROR, "second.\n");
    assert_int_equal(volume_fail(volume, -5, &error, "cannot %s", "jump"), ERROR_FAILED);
    assert_null(strchr(error.text, '\x1b'));
    assert_non_null(strstr(error.text, "cannot jump: First?[31m; second"));
    assert_null(strstr(error.text, "Chatter"));

    (void)volume_device(volume);
    volume_fail(volume, -5, &error, "cannot jump");
    assert_non_null(strstr(error.text, "cannot jump: Input/output error"));
    for (int i = 0; i < 1000; i++)
        crypt_log(volume->device, CRYPT_LOG_ERROR, "much to complain about");
    assert_in_range(strlen(volume->complaint), 100, sizeof(volume->complaint) - 1);
    volume_close(&volume);
    luks_file_remove(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_luks2),
        cmocka_unit_test(refuses_luks1),
        cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(refuses_what_is_no_device),
        cmocka_unit_test(refuses_damaged_headers),
        cmocka_unit_test(one_good_copy_of_the_header_is_enough),
        cmocka_unit_test(refuses_a_uuid_that_is_none),
        cmocka_unit_test(complaints_become_the_cause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
