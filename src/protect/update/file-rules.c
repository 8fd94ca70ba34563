#include "protect/update/file-rules.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"
#include "protect/update/file-hash.h"
#include "protect/update/grub-environment.h"

#include <fnmatch.h>
#include <glob.h>
#include <string.h>

#define PATH_BYTES 1024
#define PACKAGE_DATABASE "/var/lib/dpkg/info"
#define PACKAGE_SUFFIX ".md5sums"
#define PACKAGE_LIST_MAX (16 * 1024 * 1024) /* Linux's header packages have one of 3 MiB */

enum method { OF_PACKAGE, A_COPY, WRITTEN_HERE, BY_FORM };

struct rule {
    const char *pattern; /* fnmatch(3); no '*' stands for a '/' */
    enum method method;
    const char *original; /* of a package, a copy: the path there; '%' is what the pattern's last '*' stands for */
    const char *by;       /* of a package: a pattern for its name; written here: the program */
};

/* The first row that fits and verifies the file is its source. */
static const struct rule rules[] = {
    /* kernels and initrds */
    { "/boot/vmlinuz-*", OF_PACKAGE, "/boot/vmlinuz-%", "linux-image-*" },
    { "/boot/initrd.img-*", WRITTEN_HERE, NULL, "update-initramfs" },
    /* GRUB: configuration, what grub-install copies beside it */
    { "/boot/grub/grub.cfg", WRITTEN_HERE, NULL, "update-grub" },
    { "/boot/grub/grubenv", BY_FORM, NULL, NULL },
    { "/boot/grub/*-efi/*.lst", A_COPY, "/usr/lib/grub/x86_64-efi/%.lst", NULL },
    { "/boot/grub/*-efi/*.mod", A_COPY, "/usr/lib/grub/x86_64-efi/%.mod", NULL },
    { "/boot/grub/fonts/*.pf2", A_COPY, "/usr/share/grub/%.pf2", NULL },
    { "/boot/grub/*.pf2", A_COPY, "/usr/share/grub/%.pf2", NULL },
    { "/boot/grub/locale/*.mo", A_COPY, "/usr/share/locale/%/LC_MESSAGES/grub.mo", NULL },
    { "/boot/efi/EFI/*/grub.cfg", WRITTEN_HERE, NULL, "grub-install" },
    /* programs on the EFI system partition */
    { "/boot/efi/EFI/*/shimx64.efi", A_COPY, "/usr/lib/shim/shimx64.efi.signed", NULL },
    { "/boot/efi/EFI/*/fbx64.efi", A_COPY, "/usr/lib/shim/fbx64.efi.signed", NULL },
    { "/boot/efi/EFI/*/mmx64.efi", A_COPY, "/usr/lib/shim/mmx64.efi.signed", NULL },
    { "/boot/efi/EFI/*/grubx64.efi", A_COPY, "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", NULL },
    { "/boot/efi/EFI/*/grubx64.efi", WRITTEN_HERE, NULL, "grub-install" },
    { "/boot/efi/EFI/systemd/systemd-bootx64.efi", A_COPY, "/usr/lib/systemd/boot/efi/systemd-bootx64.efi", NULL },
    { "/boot/efi/EFI/BOOT/BOOTX64.EFI", A_COPY, "/usr/lib/shim/shimx64.efi.signed", NULL },
    { "/boot/efi/EFI/BOOT/BOOTX64.EFI", A_COPY, "/usr/lib/systemd/boot/efi/systemd-bootx64.efi", NULL },
    { "/boot/efi/EFI/BOOT/BOOTX64.EFI", WRITTEN_HERE, NULL, "grub-install" },
    { "/boot/efi/EFI/Linux/*.efi", WRITTEN_HERE, NULL, "kernel-install" },
    /* systemd-boot and kernel-install */
    { "/boot/efi/loader/loader.conf", WRITTEN_HERE, NULL, "bootctl" },
    { "/boot/efi/loader/entries/*.conf", WRITTEN_HERE, NULL, "kernel-install" },
    { "/boot/efi/*/*/linux", OF_PACKAGE, "/boot/vmlinuz-%", "linux-image-*" },
    { "/boot/efi/*/*/initrd*", WRITTEN_HERE, NULL, "kernel-install" },
};

/* A file that is being verified. */
struct file {
    const char *root;
    const char *path;
    bool written;
    struct file_hashes hashes;
};

/* What the pattern's last '*' stands for in the path, which fits the pattern; *ret_length bytes. */
static const char *last_match(const char *pattern, const char *path, size_t *ret_length)
{
    const char *star = strrchr(pattern, '*');
    size_t prefix = 0, suffix = strlen(star + 1);
    const char *end = path + strlen(path) - suffix, *start = end;

    while (star - prefix > pattern && star[-1 - (ptrdiff_t)prefix] != '/')
        prefix++;
    while (start > path && start[-1] != '/')
        start--;
    start += prefix;
    *ret_length = start < end ? (size_t)(end - start) : 0;
    return start;
}

/* The rule's original for this path. False when it would be too long. */
static bool original_path(const struct rule *rule, const char *path, char ret[PATH_BYTES])
{
    const char *percent = strchr(rule->original, '%');
    size_t length = 0;
    const char *match = percent ? last_match(rule->pattern, path, &length) : "";
    int n = percent ? snprintf(ret, PATH_BYTES, "%.*s%.*s%s", (int)(percent - rule->original), rule->original,
                               (int)length, match, percent + 1)
                    : snprintf(ret, PATH_BYTES, "%s", rule->original);

    return n > 0 && n < PATH_BYTES;
}

static int too_long(const struct file *file, struct error *error)
{
    return error_set(error, ERROR_REFUSED, "\"%s\": the path is too long", file->path);
}

static int check_copy(const struct rule *rule, const struct file *file, char source[KNOWN_FILE_SOURCE_MAX + 1],
                      struct error *error)
{
    char original[PATH_BYTES], path[2 * PATH_BYTES];
    struct file_hashes hashes;
    int r;

    if (!original_path(rule, file->path, original))
        return too_long(file, error);
    snprintf(path, sizeof(path), "%s%s", file->root, original);
    r = file_hashes_read(path, &hashes, error);
    if (r)
        return error_rekind(error, ERROR_REFUSED);
    if (!digest_equal(&hashes.sha256, &file->hashes.sha256))
        return error_set(error, ERROR_REFUSED, "\"%s\" is no copy of \"%s\"", file->path, original);
    snprintf(source, KNOWN_FILE_SOURCE_MAX + 1, "copy of %.*s", KNOWN_FILE_SOURCE_MAX - 8, original);
    return 0;
}

/* True when the list, lines of "MD5  path without the first slash", has the file with this MD5. */
static bool list_has(const char *list, const char *path, const char *md5)
{
    const char *line = list;

    for (; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        size_t length = strcspn(line, "\n");

        if (length == MD5_DIGITS + 2 + strlen(path) && strncmp(line, md5, MD5_DIGITS) == 0 &&
            strncmp(line + MD5_DIGITS, "  ", 2) == 0 && strncmp(line + MD5_DIGITS + 2, path, strlen(path)) == 0)
            return true;
    }
    return false;
}

/* "…/linux-image-6.1.0-50-amd64.md5sums" */
static void package_name(const char *path, char source[KNOWN_FILE_SOURCE_MAX + 1])
{
    const char *name = strrchr(path, '/') + 1;

    snprintf(source, KNOWN_FILE_SOURCE_MAX + 1, "package %.*s", (int)(strlen(name) - strlen(PACKAGE_SUFFIX)), name);
}

/* MD5 is what Debian's packages have. Nobody can make another file for an MD5 that is given, which is what it takes
 * here: that two files can be made with one MD5 helps only who builds the package. On record goes the SHA-256. */
static int check_package(const struct rule *rule, const struct file *file, char source[KNOWN_FILE_SOURCE_MAX + 1],
                         struct error *error)
{
    cleanup(globfree) glob_t found = { 0 };
    char original[PATH_BYTES], pattern[2 * PATH_BYTES];
    bool verified = false;

    if (!original_path(rule, file->path, original))
        return too_long(file, error);
    snprintf(pattern, sizeof(pattern), "%s" PACKAGE_DATABASE "/%s" PACKAGE_SUFFIX, file->root, rule->by);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == GLOB_NOSPACE)
        return error_no_memory(error);
    for (size_t i = 0; !verified && i < found.gl_pathc; i++) {
        cleanup(free_ptr) char *list = NULL;
        struct error ignored;

        if (file_read(found.gl_pathv[i], PACKAGE_LIST_MAX, &list, NULL, &ignored))
            continue;
        verified = list_has(list, original + 1, file->hashes.md5);
        if (verified)
            package_name(found.gl_pathv[i], source);
    }
    if (verified)
        return 0;
    return error_set(error, ERROR_REFUSED, "\"%s\" is not what an installed package %s has", file->path, rule->by);
}

static int check_written(const struct rule *rule, const struct file *file, char source[KNOWN_FILE_SOURCE_MAX + 1],
                         struct error *error)
{
    if (!file->written)
        return error_set(error, ERROR_REFUSED, "\"%s\" can be verified only right after %s has written it", file->path,
                         rule->by);
    snprintf(source, KNOWN_FILE_SOURCE_MAX + 1, "written by %s", rule->by);
    return 0;
}

static int check_form(const struct file *file, char source[KNOWN_FILE_SOURCE_MAX + 1], struct error *error)
{
    char path[2 * PATH_BYTES];

    snprintf(path, sizeof(path), "%s%s", file->root, file->path);
    snprintf(source, KNOWN_FILE_SOURCE_MAX + 1, "by its form");
    return grub_environment_check(path, &file->hashes.sha256, error);
}

static int check(const struct rule *rule, const struct file *file, char source[KNOWN_FILE_SOURCE_MAX + 1],
                 struct error *error)
{
    switch (rule->method) {
    case OF_PACKAGE:
        return check_package(rule, file, source, error);
    case A_COPY:
        return check_copy(rule, file, source, error);
    case BY_FORM:
        return check_form(file, source, error);
    case WRITTEN_HERE:
    default:
        return check_written(rule, file, source, error);
    }
}

static int read_file(struct file *file, struct error *error)
{
    char whole[2 * PATH_BYTES];

    if (file->path[0] != '/' || strlen(file->path) > KNOWN_FILE_PATH_MAX || strlen(file->root) >= PATH_BYTES)
        return too_long(file, error);
    snprintf(whole, sizeof(whole), "%s%s", file->root, file->path);
    return file_hashes_read(whole, &file->hashes, error);
}

int known_files_verify(struct known_files *files, const char *root, const char *path, bool written, struct error *error)
{
    struct file file = { .root = root, .path = path, .written = written };
    char source[KNOWN_FILE_SOURCE_MAX + 1];
    int r = read_file(&file, error);

    if (r)
        return r;
    r = error_set(error, ERROR_REFUSED, "\"%s\": no rule says how such a file is verified", path);
    for (size_t i = 0; r && i < array_size(rules); i++)
        if (fnmatch(rules[i].pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0)
            r = check(&rules[i], &file, source, error);
    return r ?: known_files_set(files, path, &file.hashes.sha256, source, error);
}

int known_files_trust(struct known_files *files, const char *root, const char *path, struct error *error)
{
    struct file file = { .root = root, .path = path };
    int r = read_file(&file, error);

    return r ?: known_files_set(files, path, &file.hashes.sha256, "the administrator", error);
}
