#include "protect/update/file-rules.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/machine.h"
#include "protect/update/file-hash.h"

#include <unistd.h>

#define INFO "/var/lib/dpkg/info/linux-image-6.1.0-50-amd64.md5sums"
#define KERNEL "/boot/vmlinuz-6.1.0-50-amd64"
#define ENVIRONMENT "# GRUB Environment Block\n"

static int setup(void **state)
{
    struct scratch *scratch = calloc(1, sizeof(*scratch));

    scratch_make(scratch);
    *state = scratch;
    return 0;
}

static int teardown(void **state)
{
    scratch_remove(*state);
    free(*state);
    return 0;
}

/* A file under the scratch folder, with the folders above it. */
static void put(struct scratch *scratch, const char *path, const char *text)
{
    cleanup(free_ptr) char *whole = NULL, *folder = NULL;
    struct error error;

    assert_true(asprintf(&whole, "%s%s", scratch->folder, path) > 0);
    folder = strdup(whole);
    *strrchr(folder, '/') = '\0';
    assert_good(file_make_folder(folder, 0755, &error), &error);
    assert_good(file_write(whole, text, strlen(text), 0644, &error), &error);
}

static int verify(struct scratch *scratch, const char *path, bool written, char source[KNOWN_FILE_SOURCE_MAX + 1],
                  struct error *error)
{
    cleanup(known_files_free) struct known_files files = { 0 };
    int r = known_files_verify(&files, scratch->folder, path, written, error);

    assert_int_equal(files.count, r ? 0 : 1);
    if (!r) {
        struct file_hashes hashes;
        cleanup(free_ptr) char *whole = NULL;

        assert_true(asprintf(&whole, "%s%s", scratch->folder, path) > 0);
        assert_good(file_hashes_read(whole, &hashes, error), error);
        assert_true(known_files_has(&files, path, &hashes.sha256));
        strcpy(source, files.items[0].source);
    }
    return r;
}

static void accept(struct scratch *scratch, const char *path, bool written, const char *expected)
{
    char source[KNOWN_FILE_SOURCE_MAX + 1];
    struct error error;

    assert_good(verify(scratch, path, written, source, &error), &error);
    assert_string_equal(source, expected);
}

static void refuse(struct scratch *scratch, const char *path, bool written, const char *part)
{
    char source[KNOWN_FILE_SOURCE_MAX + 1];
    struct error error;

    assert_error(verify(scratch, path, written, source, &error), &error, ERROR_REFUSED, part);
}

static void put_package(struct scratch *scratch, const char *path, const char *content)
{
    cleanup(free_ptr) char *whole = NULL, *list = NULL;
    struct file_hashes hashes;
    struct error error;

    put(scratch, "/content", content);
    assert_true(asprintf(&whole, "%s/content", scratch->folder) > 0);
    assert_good(file_hashes_read(whole, &hashes, &error), &error);
    assert_true(asprintf(&list, "00000000000000000000000000000000  boot/config\n%s  %s\n", hashes.md5, path) > 0);
    put(scratch, INFO, list);
}

/* RFC 1321, A.5. */
static void test_md5(void **state)
{
    struct scratch *scratch = *state;
    struct file_hashes hashes;
    struct error error;

    assert_good(file_hashes_read(scratch_write(scratch, "a", "message digest"), &hashes, &error), &error);
    assert_string_equal(hashes.md5, "f96b697d7cb7938d525a2f31aaf161d0");
}

static void test_kernel_of_a_package(void **state)
{
    struct scratch *scratch = *state;

    put(scratch, KERNEL, "a kernel");
    refuse(scratch, KERNEL, true, "no");
    put_package(scratch, "boot/vmlinuz-6.1.0-50-amd64", "a kernel");
    accept(scratch, KERNEL, false, "package linux-image-6.1.0-50-amd64");
    put(scratch, KERNEL, "another kernel");
    refuse(scratch, KERNEL, true, "is not what an installed package linux-image-* has");
    put_package(scratch, "boot/vmlinuz-6.1.0-51-amd64", "another kernel"); /* of that name alone */
    refuse(scratch, KERNEL, false, "is not what an installed package");
    put_package(scratch, "boot/vmlinuz-6.1.0-50-amd64.old", "another kernel");
    refuse(scratch, KERNEL, false, "is not what an installed package");
}

/* kernel-install's copy of it. */
static void test_kernel_under_another_name(void **state)
{
    struct scratch *scratch = *state;

    put(scratch, "/boot/efi/0123456789abcdef/6.1.0-50-amd64/linux", "a kernel");
    put_package(scratch, "boot/vmlinuz-6.1.0-50-amd64", "a kernel");
    accept(scratch, "/boot/efi/0123456789abcdef/6.1.0-50-amd64/linux", false, "package linux-image-6.1.0-50-amd64");
    put(scratch, "/boot/efi/0123456789abcdef/6.1.0-49-amd64/linux", "a kernel");
    refuse(scratch, "/boot/efi/0123456789abcdef/6.1.0-49-amd64/linux", false, "is not what an installed package");
}

static void test_what_only_its_writer_knows(void **state)
{
    static const struct {
        const char *path, *source;
    } files[] = {
        { "/boot/initrd.img-6.1.0-50-amd64", "written by update-initramfs" },
        { "/boot/grub/grub.cfg", "written by update-grub" },
        { "/boot/efi/EFI/debian/grub.cfg", "written by grub-install" },
        { "/boot/efi/loader/entries/debian.conf", "written by kernel-install" },
        { "/boot/efi/EFI/Linux/debian.efi", "written by kernel-install" },
    };
    struct scratch *scratch = *state;

    for (size_t i = 0; i < array_size(files); i++) {
        put(scratch, files[i].path, "content");
        accept(scratch, files[i].path, true, files[i].source);
        refuse(scratch, files[i].path, false, "only right after");
    }
}

static void test_copies(void **state)
{
    static const struct {
        const char *path, *original;
    } files[] = {
        { "/boot/efi/EFI/debian/shimx64.efi", "/usr/lib/shim/shimx64.efi.signed" },
        { "/boot/efi/EFI/debian/grubx64.efi", "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" },
        { "/boot/efi/EFI/BOOT/BOOTX64.EFI", "/usr/lib/systemd/boot/efi/systemd-bootx64.efi" },
        { "/boot/grub/x86_64-efi/command.lst", "/usr/lib/grub/x86_64-efi/command.lst" },
        { "/boot/grub/fonts/unicode.pf2", "/usr/share/grub/unicode.pf2" },
        { "/boot/grub/locale/de.mo", "/usr/share/locale/de/LC_MESSAGES/grub.mo" },
    };
    struct scratch *scratch = *state;

    for (size_t i = 0; i < array_size(files); i++) {
        char source[KNOWN_FILE_SOURCE_MAX + 1];

        put(scratch, files[i].path, files[i].original);
        refuse(scratch, files[i].path, false, "");
        put(scratch, files[i].original, files[i].original);
        snprintf(source, sizeof(source), "copy of %s", files[i].original);
        accept(scratch, files[i].path, false, source);
        put(scratch, files[i].path, "planted");
        refuse(scratch, files[i].path, false, "");
    }
}

/* Without Secure Boot grub-install makes an image of its own. */
static void test_grub_install_makes_its_own_image(void **state)
{
    struct scratch *scratch = *state;

    put(scratch, "/boot/efi/EFI/debian/grubx64.efi", "made here");
    put(scratch, "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "signed");
    refuse(scratch, "/boot/efi/EFI/debian/grubx64.efi", false, "only right after grub-install");
    accept(scratch, "/boot/efi/EFI/debian/grubx64.efi", true, "written by grub-install");
}

static void test_what_no_rule_knows(void **state)
{
    static const char *const paths[] = {
        "/boot/other", "/boot/grub/sub/grub.cfg", "/boot/efi/EFI/debian/sub/shimx64.efi",
        "/etc/passwd", "/boot/.initrd.img-1",
    };
    struct scratch *scratch = *state;

    for (size_t i = 0; i < array_size(paths); i++) {
        put(scratch, paths[i], "content");
        refuse(scratch, paths[i], true, "no rule says");
    }
}

static void test_links_are_refused(void **state)
{
    struct scratch *scratch = *state;
    cleanup(free_ptr) char *link = NULL;

    put(scratch, "/boot/initrd.img-1", "an initrd");
    assert_true(asprintf(&link, "%s/boot/initrd.img-2", scratch->folder) > 0);
    assert_int_equal(symlink("initrd.img-1", link), 0);
    refuse(scratch, "/boot/initrd.img-2", true, "symbolic link");
    refuse(scratch, "boot/initrd.img-1", true, "");
}

static void put_environment(struct scratch *scratch, const char *lines)
{
    char text[1025];

    memset(text, '#', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memcpy(text, lines, strlen(lines));
    put(scratch, "/boot/grub/grubenv", text);
}

static void test_environment(void **state)
{
    static const char *const good[] = {
        ENVIRONMENT,
        ENVIRONMENT "saved_entry=gnulinux-simple-1\n",
        ENVIRONMENT "next_entry=\nsaved_entry=1>2\n",
        ENVIRONMENT "# WARNING: Do not edit this file by tools other than grub-editenv!!!\nprev_saved_entry=\n",
    };
    static const char *const bad[] = {
        ENVIRONMENT "prefix=(hd1,gpt1)/grub\n", ENVIRONMENT "saved_entry=1\nroot=hd1\n",   ENVIRONMENT "saved_entry\n",
        ENVIRONMENT "saved_entry=\x1b[2J\n",    ENVIRONMENT "saved_entry=a\\\nroot=hd1\n", "saved_entry=1\n",
        ENVIRONMENT "saved_entryx=1\n",
    };
    struct scratch *scratch = *state;

    for (size_t i = 0; i < array_size(good); i++) {
        put_environment(scratch, good[i]);
        accept(scratch, "/boot/grub/grubenv", false, "by its form");
    }
    for (size_t i = 0; i < array_size(bad); i++) {
        put_environment(scratch, bad[i]);
        refuse(scratch, "/boot/grub/grubenv", true, "grubenv");
    }
    put(scratch, "/boot/grub/grubenv", ENVIRONMENT "saved_entry=1\n"); /* too short */
    refuse(scratch, "/boot/grub/grubenv", true, "no environment block");
}

/* The record stays as it was when a file cannot be verified. */
static void test_failure_changes_nothing(void **state)
{
    struct scratch *scratch = *state;
    cleanup(known_files_free) struct known_files files = { 0 };
    struct digest before;
    struct error error;

    put(scratch, "/boot/initrd.img-1", "an initrd");
    assert_good(known_files_verify(&files, scratch->folder, "/boot/initrd.img-1", true, &error), &error);
    before = files.items[0].sha256;
    put(scratch, "/boot/initrd.img-1", "planted");
    assert_int_not_equal(known_files_verify(&files, scratch->folder, "/boot/initrd.img-1", false, &error), 0);
    assert_int_equal(files.count, 1);
    assert_true(known_files_has(&files, "/boot/initrd.img-1", &before));
}

int main(void)
{
#define rule_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        rule_test(test_md5),
        rule_test(test_kernel_of_a_package),
        rule_test(test_kernel_under_another_name),
        rule_test(test_what_only_its_writer_knows),
        rule_test(test_copies),
        rule_test(test_grub_install_makes_its_own_image),
        rule_test(test_what_no_rule_knows),
        rule_test(test_links_are_refused),
        rule_test(test_environment),
        rule_test(test_failure_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
