#include "base/file.h"

#include "base/cleanup.h"
#include "scratch.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct scratch scratch;

static int make_scratch(void **state)
{
    (void)state;
    scratch_make(&scratch);
    return 0;
}

static int remove_scratch(void **state)
{
    (void)state;
    scratch_remove(&scratch);
    return 0;
}

static mode_t mode_of(const char *name)
{
    struct stat status;

    assert_return_code(lstat(scratch_path(&scratch, name), &status), 0);
    return status.st_mode & 07777;
}

static void reads_up_to_the_limit(void **state)
{
    cleanup(free_ptr) char *text = NULL;
    cleanup(free_ptr) char *over = NULL;
    cleanup(free_ptr) char *empty = NULL;
    struct error error;
    size_t size;

    (void)state;
    assert_int_equal(file_read(scratch_write(&scratch, "a", "12345678"), 8, &text, &size, &error), 0);
    assert_int_equal(size, 8);
    assert_string_equal(text, "12345678");
    assert_int_equal(file_read(scratch_path(&scratch, "a"), 7, &over, NULL, &error), ERROR_FAILED);
    assert_null(over);
    assert_non_null(strstr(error.text, "more than 7 bytes"));
    assert_int_equal(file_read(scratch_write(&scratch, "b", ""), 8, &empty, NULL, &error), 0);
    assert_string_equal(empty, "");
}

static void unreadable_files_are_told(void **state)
{
    char *text = (char *)"x";
    struct error error;

    (void)state;
    assert_int_equal(file_read(scratch_path(&scratch, "none"), 8, &text, NULL, &error), ERROR_FAILED);
    assert_null(text);
    assert_non_null(strstr(error.text, "none"));
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(file_read(scratch.folder, 8, &text, NULL, &error), ERROR_FAILED);
    assert_null(text);
}

static void secrets_are_read_as_they_stand(void **state)
{
    cleanup(secret_free) struct secret pin = { 0 }, over = { 0 }, none = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(file_read_secret(scratch_write(&scratch, "pin", "1234\n\n"), 64, &pin, &error), 0);
    assert_int_equal(pin.size, 6);
    assert_int_equal(file_read_secret(scratch_path(&scratch, "pin"), 5, &over, &error), ERROR_USAGE);
    assert_null(over.bytes);
    assert_int_equal(file_read_secret(scratch_path(&scratch, "none"), 5, &none, &error), ERROR_FAILED);
}

static void secrets_come_from_standard_input(void **state)
{
    cleanup(close_fd) int saved = dup(STDIN_FILENO);
    cleanup(secret_free) struct secret pin = { 0 };
    struct error error;
    int fd = open(scratch_write(&scratch, "pin", "4711\n"), O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_return_code(dup2(fd, STDIN_FILENO), 0);
    close(fd);
    assert_int_equal(file_read_secret("-", 64, &pin, &error), 0);
    assert_return_code(dup2(saved, STDIN_FILENO), 0);
    assert_int_equal(pin.size, 5);
    assert_memory_equal(pin.bytes, "4711\n", 5);
}

static void writes_and_replaces(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(file_write(scratch_path(&scratch, "a"), "old", 3, 0600, &error), 0);
    scratch_expect(&scratch, "a", "old");
    assert_int_equal(mode_of("a"), 0600);
    assert_int_equal(file_write(scratch_path(&scratch, "a"), "new!", 4, 0644, &error), 0);
    scratch_expect(&scratch, "a", "new!");
    assert_int_equal(mode_of("a"), 0644);
    assert_int_equal(file_write(scratch_path(&scratch, "a"), "", 0, 0600, &error), 0);
    scratch_expect(&scratch, "a", "");
    assert_false(file_exists(scratch_path(&scratch, "a.new")));
}

static void mode_is_not_the_umasks(void **state)
{
    struct error error;
    mode_t before = umask(0077);

    (void)state;
    assert_int_equal(file_write(scratch_path(&scratch, "a"), "x", 1, 0644, &error), 0);
    umask(before);
    assert_int_equal(mode_of("a"), 0644);
}

/* A leftover of a power cut is no obstacle, and a planted link is not followed. */
static void temporary_file_that_is_there(void **state)
{
    char link[256];
    struct error error;

    (void)state;
    scratch_write(&scratch, "victim", "untouched");
    snprintf(link, sizeof(link), "%s/a.new", scratch.folder);
    assert_return_code(symlink("victim", link), 0);
    assert_int_equal(file_write(scratch_path(&scratch, "a"), "text", 4, 0600, &error), 0);
    scratch_expect(&scratch, "a", "text");
    scratch_expect(&scratch, "victim", "untouched");
    scratch_write(&scratch, "a.new", "half a fi");
    assert_int_equal(file_write(scratch_path(&scratch, "a"), "more", 4, 0600, &error), 0);
    scratch_expect(&scratch, "a", "more");
    assert_false(file_exists(scratch_path(&scratch, "a.new")));
}

static void failed_writes_leave_nothing(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(file_write(scratch_path(&scratch, "no/such/folder"), "x", 1, 0600, &error), ERROR_FAILED);
    assert_int_equal(file_make_folder(scratch_path(&scratch, "folder"), 0700, &error), 0);
    scratch_write(&scratch, "folder/inside", "x");
    assert_int_equal(file_write(scratch_path(&scratch, "folder"), "x", 1, 0600, &error), ERROR_FAILED);
    assert_false(file_exists(scratch_path(&scratch, "folder.new")));
    scratch_expect(&scratch, "folder/inside", "x");
}

static void removes_what_is_there_or_not(void **state)
{
    struct error error;

    (void)state;
    scratch_write(&scratch, "a", "x");
    assert_true(file_exists(scratch_path(&scratch, "a")));
    assert_int_equal(file_remove(scratch_path(&scratch, "a"), &error), 0);
    assert_false(file_exists(scratch_path(&scratch, "a")));
    assert_int_equal(file_remove(scratch_path(&scratch, "a"), &error), 0);
    assert_int_equal(file_remove(scratch.folder, &error), ERROR_FAILED);
}

static void paths_are_joined(void **state)
{
    cleanup(free_ptr) char *path = file_path("/a/b", "c");

    (void)state;
    assert_string_equal(path, "/a/b/c");
}

static void folders_and_those_above(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(file_make_folder(scratch_path(&scratch, "a/b/c"), 0700, &error), 0);
    assert_int_equal(mode_of("a"), 0755);
    assert_int_equal(mode_of("a/b/c"), 0700);
    assert_int_equal(file_make_folder(scratch_path(&scratch, "a/b/c"), 0755, &error), 0);
    assert_int_equal(mode_of("a/b/c"), 0700);
    assert_int_equal(file_make_folder(scratch_path(&scratch, "private//"), 0700, &error), 0);
    assert_int_equal(mode_of("private"), 0700);
}

static void folders_that_cannot_be(void **state)
{
    struct error error;

    (void)state;
    scratch_write(&scratch, "file", "x");
    assert_int_equal(file_make_folder(scratch_path(&scratch, "file"), 0700, &error), ERROR_FAILED);
    assert_int_equal(file_make_folder(scratch_path(&scratch, "file/below"), 0700, &error), ERROR_FAILED);
    assert_int_equal(file_make_folder("", 0700, &error), ERROR_FAILED);
}

static void private_is_for_the_owner_alone(void **state)
{
    static const mode_t good[] = { 0600, 0400, 0700, 0000 }, bad[] = { 0640, 0604, 0610, 0601, 0666 };
    char link[256];
    struct error error;

    (void)state;
    scratch_write(&scratch, "key", "x");
    for (size_t i = 0; i < array_size(good); i++) {
        assert_return_code(chmod(scratch_path(&scratch, "key"), good[i]), 0);
        assert_int_equal(file_check_private(scratch.path, &error), 0);
    }
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_return_code(chmod(scratch_path(&scratch, "key"), bad[i]), 0);
        assert_int_equal(file_check_private(scratch.path, &error), ERROR_FAILED);
        assert_true(error.remedy[0]);
    }
    assert_return_code(chmod(scratch_path(&scratch, "key"), 0600), 0);
    snprintf(link, sizeof(link), "%s/link", scratch.folder);
    assert_return_code(symlink("key", link), 0);
    assert_int_equal(file_check_private(link, &error), ERROR_FAILED);
    assert_int_equal(file_check_private(scratch_path(&scratch, "none"), &error), ERROR_FAILED);
    if (geteuid() == 0) {
        assert_return_code(chown(scratch_path(&scratch, "key"), 1, 1), 0);
        assert_int_equal(file_check_private(scratch.path, &error), ERROR_FAILED);
    }
}

static void assert_named(const char *path)
{
    struct error error;

    assert_int_equal(file_check_private_folder(scratch.folder, &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, path));
    assert_true(error.remedy[0]);
}

static void private_folders_hold_nothing_else(void **state)
{
    static const char *const names[] = { "key", "folder", "folder/key" };
    cleanup(free_ptr) char *link = file_path(scratch.folder, "folder/link");
    struct error error;

    (void)state;
    assert_return_code(chmod(scratch.folder, 0700), 0);
    assert_return_code(mkdir(scratch_path(&scratch, "folder"), 0700), 0);
    assert_return_code(chmod(scratch_write(&scratch, "key", "x"), 0600), 0);
    assert_return_code(chmod(scratch_write(&scratch, "folder/key", "x"), 0400), 0);
    assert_int_equal(file_check_private_folder(scratch.folder, &error), 0);
    for (size_t i = 0; i < array_size(names); i++) {
        mode_t good = i == 1 ? 0700 : 0600;

        assert_return_code(chmod(scratch_path(&scratch, names[i]), good | 0010), 0);
        assert_named(scratch.path);
        assert_return_code(chmod(scratch.path, good), 0);
        if (geteuid() == 0) {
            assert_return_code(chown(scratch.path, 1, (gid_t)-1), 0);
            assert_named(scratch.path);
            assert_return_code(chown(scratch.path, 0, (gid_t)-1), 0);
        }
    }
    assert_return_code(symlink("key", link), 0);
    assert_named(link);
    assert_return_code(unlink(link), 0);
    assert_return_code(mkfifo(link, 0600), 0);
    assert_named(link);
    assert_return_code(unlink(link), 0);
    assert_int_equal(file_check_private_folder(scratch.folder, &error), 0);
    assert_return_code(chmod(scratch.folder, 0750), 0);
    assert_named(scratch.folder);
}

static void folders_that_are_not_there(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(file_check_private_folder(scratch_path(&scratch, "none"), &error), ERROR_FAILED);
    assert_int_equal(file_check_private_folder("", &error), ERROR_FAILED);
}

static void moves_and_links(void **state)
{
    cleanup(free_ptr) char *a = file_path(scratch.folder, "a");
    cleanup(free_ptr) char *b = file_path(scratch.folder, "b");
    cleanup(free_ptr) char *text = NULL;
    struct error error;

    (void)state;
    scratch_write(&scratch, "a", "new");
    scratch_write(&scratch, "b", "old");
    assert_int_equal(file_link(a, b, &error), 0); /* it is there already */
    assert_int_equal(file_read(b, 8, &text, NULL, &error), 0);
    assert_string_equal(text, "old");
    assert_int_equal(file_move(a, b, &error), 0);
    assert_false(file_exists(a));
    assert_int_equal(file_link(b, a, &error), 0);
    assert_true(file_exists(a));
    assert_int_equal(file_move(scratch_path(&scratch, "none"), b, &error), ERROR_FAILED);
    assert_int_equal(file_link(scratch_path(&scratch, "none"), scratch_path(&scratch, "c"), &error), ERROR_FAILED);
}

static void wipes_where_it_lies(void **state)
{
    cleanup(free_ptr) char *a = file_path(scratch.folder, "a");
    cleanup(free_ptr) char *other = file_path(scratch.folder, "other");
    cleanup(free_ptr) char *text = NULL;
    char secret[1100];
    struct error error;
    size_t size;

    (void)state;
    memset(secret, 's', sizeof(secret));
    assert_int_equal(file_write(a, secret, sizeof(secret), 0600, &error), 0);
    assert_int_equal(file_link(a, other, &error), 0);
    assert_int_equal(file_wipe(a, &error), 0);
    assert_false(file_exists(a));
    assert_int_equal(file_read(other, 4096, &text, &size, &error), 0);
    assert_int_equal(size, sizeof(secret));
    for (size_t i = 0; i < size; i++)
        assert_int_equal(text[i], 0);
    assert_int_equal(file_wipe(a, &error), 0); /* nothing is there */
    assert_return_code(symlink("other", a), 0);
    assert_int_equal(file_wipe(a, &error), ERROR_FAILED);
}

static void removes_empty_folders(void **state)
{
    cleanup(free_ptr) char *folder = file_path(scratch.folder, "folder");
    cleanup(free_ptr) char *inner = file_path(folder, "file");
    struct error error;

    (void)state;
    assert_int_equal(file_remove_folder(folder, &error), 0);
    assert_int_equal(file_make_folder(folder, 0700, &error), 0);
    assert_int_equal(file_write(inner, "", 0, 0600, &error), 0);
    assert_int_equal(file_remove_folder(folder, &error), ERROR_FAILED);
    assert_int_equal(file_remove(inner, &error), 0);
    assert_int_equal(file_remove_folder(folder, &error), 0);
    assert_false(file_exists(folder));
}

static void found_or_not_or_not_known(void **state)
{
    char name[NAME_MAX + 2];
    struct error error;
    bool found;

    (void)state;
    assert_int_equal(file_find(scratch_path(&scratch, "a"), &found, &error), 0);
    assert_false(found);
    assert_int_equal(file_write(scratch_path(&scratch, "a"), "", 0, 0600, &error), 0);
    assert_int_equal(file_find(scratch_path(&scratch, "a"), &found, &error), 0);
    assert_true(found);
    assert_int_equal(file_find(scratch_path(&scratch, "a/b"), &found, &error), 0);
    assert_false(found);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    assert_int_equal(file_find(name, &found, &error), ERROR_FAILED);
    assert_false(found);
    assert_true(file_exists(name)); /* for all that is known */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_up_to_the_limit, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(unreadable_files_are_told, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(secrets_are_read_as_they_stand, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(secrets_come_from_standard_input, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(writes_and_replaces, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(mode_is_not_the_umasks, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(temporary_file_that_is_there, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(failed_writes_leave_nothing, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(removes_what_is_there_or_not, make_scratch, remove_scratch),
        cmocka_unit_test(paths_are_joined),
        cmocka_unit_test_setup_teardown(found_or_not_or_not_known, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(folders_and_those_above, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(folders_that_cannot_be, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(moves_and_links, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(wipes_where_it_lies, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(removes_empty_folders, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(private_is_for_the_owner_alone, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(private_folders_hold_nothing_else, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(folders_that_are_not_there, make_scratch, remove_scratch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
