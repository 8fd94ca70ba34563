#include "protect/update/known-files.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/machine.h"

#include <sys/stat.h>

/* A state folder of its own; the record needs no TPM. */
struct place {
    struct scratch scratch;
    struct state state;
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    struct error error;

    scratch_make(&place->scratch);
    assert_good(file_make_folder(scratch_path(&place->scratch, "state"), 0700, &error), &error);
    assert_good(state_open(scratch_path(&place->scratch, "state"), STATE_CHANGE, &place->state, &error), &error);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    state_close(&place->state);
    scratch_remove(&place->scratch);
    free(place);
    return 0;
}

static struct digest digest_of(const char *text)
{
    struct digest digest;
    struct error error;

    assert_good(digest_compute(&digest, &(struct span){ text, strlen(text) }, 1, &error), &error);
    return digest;
}

static void set(struct known_files *files, const char *path, const char *content)
{
    struct digest digest = digest_of(content);
    struct error error;

    assert_good(known_files_set(files, path, &digest, "slot verified", &error), &error);
}

/* A prediction that has read these files. */
static void read_file(struct extend_list *list, const char *path, const char *content)
{
    struct digest digest = digest_of(content);
    struct error error;

    assert_good(extend_list_add_source(list, path, &digest, &error), &error);
}

static void test_comes_back(void **state)
{
    struct place *place = *state;
    cleanup(known_files_free) struct known_files files = { 0 };
    cleanup(known_files_free) struct known_files again = { 0 };
    struct digest digest = digest_of("a kernel");
    struct stat status;
    struct error error;
    char path[400];

    assert_good(known_files_read(&place->state, &files, &error), &error);
    assert_int_equal(files.count, 0);
    set(&files, "/boot/vmlinuz-1", "a kernel");
    set(&files, "/boot/initrd.img-1", "an initrd");
    assert_good(known_files_write(&place->state, &files, &error), &error);
    assert_good(known_files_read(&place->state, &again, &error), &error);
    assert_int_equal(again.count, 2);
    assert_true(known_files_has(&again, "/boot/vmlinuz-1", &digest));
    assert_false(known_files_has(&again, "/boot/initrd.img-1", &digest));
    assert_string_equal(known_files_find(&again, "/boot/vmlinuz-1")->source, "slot verified");
    assert_int_equal(strlen(known_files_find(&again, "/boot/vmlinuz-1")->date), 20);
    assert_null(known_files_find(&again, "/boot/vmlinuz-2"));
    snprintf(path, sizeof(path), "%s/boot-files.json", place->state.folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_replaces(void **state)
{
    cleanup(known_files_free) struct known_files files = { 0 };
    struct digest digest = digest_of("new");

    (void)state;
    set(&files, "/boot/initrd.img-1", "old");
    set(&files, "/boot/initrd.img-1", "new");
    assert_int_equal(files.count, 1);
    assert_true(known_files_has(&files, "/boot/initrd.img-1", &digest));
}

static void test_forgets_what_is_gone(void **state)
{
    struct place *place = *state;
    cleanup(known_files_free) struct known_files files = { 0 };

    scratch_write(&place->scratch, "b", "there");
    set(&files, "/a", "gone");
    set(&files, "/b", "there");
    set(&files, "/c", "gone");
    assert_int_equal(known_files_forget_missing(&files, place->scratch.folder), 2);
    assert_int_equal(files.count, 1);
    assert_non_null(known_files_find(&files, "/b"));
}

static void test_check(void **state)
{
    cleanup(known_files_free) struct known_files files = { 0 };
    cleanup(extend_list_free) struct extend_list list = { 0 };
    struct error error;

    (void)state;
    assert_good(extend_list_init(&list, HASH_SHA256, &error), &error);
    assert_good(known_files_check(&files, &list, &error), &error);
    read_file(&list, "/boot/initrd.img-1", "an initrd");
    assert_error(known_files_check(&files, &list, &error), &error, ERROR_REFUSED, "not on record");
    assert_non_null(strstr(error.remedy, "--trust /boot/initrd.img-1"));
    set(&files, "/boot/initrd.img-1", "an initrd");
    assert_good(known_files_check(&files, &list, &error), &error);
    read_file(&list, "/boot/vmlinuz-1", "another kernel");
    set(&files, "/boot/vmlinuz-1", "a kernel");
    assert_error(known_files_check(&files, &list, &error), &error, ERROR_REFUSED, "/boot/vmlinuz-1");
    assert_non_null(strstr(error.text, "slot verified"));
}

static void test_the_other_bank_counts_by_sha256(void **state)
{
    cleanup(known_files_free) struct known_files files = { 0 };
    cleanup(extend_list_free) struct extend_list list = { 0 };
    struct error error;

    (void)state;
    assert_good(extend_list_init(&list, HASH_SHA384, &error), &error);
    read_file(&list, "/boot/initrd.img-1", "an initrd");
    set(&files, "/boot/initrd.img-1", "an initrd");
    assert_good(known_files_check(&files, &list, &error), &error);
}

static void test_bounds(void **state)
{
    struct place *place = *state;
    cleanup(known_files_free) struct known_files files = { 0 };
    cleanup(known_files_free) struct known_files again = { 0 };
    struct digest digest = digest_of("x");
    struct error error;
    char path[KNOWN_FILE_PATH_MAX + 2];

    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_error(known_files_set(&files, path, &digest, "", &error), &error, ERROR_REFUSED, "absolute path");
    assert_error(known_files_set(&files, "/boot/a\nb", &digest, "", &error), &error, ERROR_REFUSED, "absolute path");
    assert_error(known_files_set(&files, "boot/vmlinuz", &digest, "", &error), &error, ERROR_REFUSED, "absolute path");
    for (unsigned i = 0; i < KNOWN_FILES_MAX; i++) {
        snprintf(path, sizeof(path), "/%0*u", KNOWN_FILE_PATH_MAX - 1, i);
        assert_good(known_files_set(&files, path, &digest, "package linux-image-6.1.0-50-amd64", &error), &error);
    }
    assert_error(known_files_set(&files, "/one-more", &digest, "", &error), &error, ERROR_REFUSED, "at most");
    assert_good(known_files_write(&place->state, &files, &error), &error);
    assert_good(known_files_read(&place->state, &again, &error), &error);
    assert_int_equal(again.count, KNOWN_FILES_MAX);
}

static void test_damaged(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"version\":2,\"files\":[]}",
        "{\"version\":1}",
        "{\"version\":1,\"files\":[1]}",
        "{\"version\":1,\"files\":[{\"path\":\"/a\",\"sha256\":\"00\",\"source\":\"\",\"date\":\"\"}]}",
    };
    struct place *place = *state;
    char path[400];

    snprintf(path, sizeof(path), "%s/boot-files.json", place->state.folder);
    for (size_t i = 0; i < array_size(texts); i++) {
        struct known_files files;
        struct error error;

        assert_good(file_write(path, texts[i], strlen(texts[i]), 0600, &error), &error);
        assert_error(known_files_read(&place->state, &files, &error), &error, ERROR_METADATA, "boot-files.json");
        assert_null(files.items);
    }
}

static void test_one_that_others_could_write(void **state)
{
    struct place *place = *state;
    struct known_files files;
    struct error error;
    char path[400];

    snprintf(path, sizeof(path), "%s/boot-files.json", place->state.folder);
    assert_good(file_write(path, "{\"version\":1,\"files\":[]}", 24, 0666, &error), &error);
    assert_int_equal(chmod(path, 0666), 0);
    assert_error(known_files_read(&place->state, &files, &error), &error, ERROR_FAILED, "boot-files.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_comes_back, setup, teardown),
        cmocka_unit_test(test_replaces),
        cmocka_unit_test_setup_teardown(test_forgets_what_is_gone, setup, teardown),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_the_other_bank_counts_by_sha256),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_others_could_write, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
