/* Facts about the system's files: the boot's variables, swaps, crypttab, initramfs images. */
#include "protect/doctor/doctor.h"

#include "base/blockdev.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/process.h"
#include "protect/unlock/crypttab.h"

#include <fnmatch.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>

#define FILE_MAX_BYTES (64 * 1024)
#define PROGRAM_MAX_BYTES (64 * 1024 * 1024)
#define LISTING_MAX_BYTES (4 * 1024 * 1024)
#define DIGEST_TEXT HEX_TEXT(DIGEST_BYTES)
#define BLANKS " \t\n"

/* UEFI 2.10, 3.3: four bytes of attributes, then 1 or 0 */
#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define UNLOCK_PROGRAM "/usr/lib/bootseal/bootseal-unlock"

/* A file's text, freed by the caller; NULL when it cannot be read. */
static char *read_text(const char *root, const char *path, size_t max, size_t *ret_size)
{
    cleanup(free_ptr) char *full = NULL;
    char *text = NULL;
    struct error ignored;

    if (asprintf(&full, "%s%s", root, path) < 0) {
        full = NULL;
        return NULL;
    }
    if (!file_exists(full) || file_read(full, max, &text, ret_size, &ignored))
        return NULL;
    return text;
}

static enum doctor_answer read_secure_boot(const char *root)
{
    size_t size = 0;
    cleanup(free_ptr) char *bytes = read_text(root, SECURE_BOOT, FILE_MAX_BYTES, &size);

    if (!bytes || size != 5)
        return DOCTOR_NOT_KNOWN;
    return bytes[4] == 1 ? DOCTOR_YES : DOCTOR_NO;
}

/* ---- the kernel's command line ---- */

/* The value of the last NAME=VALUE, or "" for a NAME alone; false when it is not there. */
static bool find_word(const char *line, const char *name, char *ret, size_t size)
{
    size_t length = strlen(name);
    bool found = false;

    for (const char *word = line + strspn(line, BLANKS); *word; word += strspn(word, BLANKS)) {
        size_t n = strcspn(word, BLANKS);

        if (n >= length && strncmp(word, name, length) == 0 && (n == length || word[length] == '=')) {
            size_t skip = n == length ? n : length + 1;

            snprintf(ret, size, "%.*s", (int)(n - skip), word + skip);
            found = true;
        }
        word += n;
    }
    return found;
}

static enum doctor_answer read_panic(const char *command_line)
{
    char value[DOCTOR_PATH_MAX + 1];

    if (!command_line)
        return DOCTOR_NOT_KNOWN;
    return find_word(command_line, "panic", value, sizeof(value)) && value[0] ? DOCTOR_YES : DOCTOR_NO;
}

/* ---- devices ---- */

static bool join(char ret[PATH_MAX], const char *root, const char *folder, const char *name)
{
    int length = snprintf(ret, PATH_MAX, "%s%s%s", root, folder, name);

    return length > 0 && length < PATH_MAX;
}

/* Where udev links a device that is called by a tag, under /dev/disk. */
static bool device_path(const char *root, const char *spec, char ret[PATH_MAX])
{
    static const struct {
        const char *tag, *folder;
    } tags[] = {
        { "UUID=", "/dev/disk/by-uuid/" },
        { "LABEL=", "/dev/disk/by-label/" },
        { "PARTUUID=", "/dev/disk/by-partuuid/" },
        { "PARTLABEL=", "/dev/disk/by-partlabel/" },
    };

    for (size_t i = 0; i < array_size(tags); i++)
        if (strncmp(spec, tags[i].tag, strlen(tags[i].tag)) == 0)
            return join(ret, root, tags[i].folder, spec + strlen(tags[i].tag));
    return join(ret, root, "", spec);
}

/* The number of the block device behind a path or tag, by its kernel's name in sysfs. */
static bool find_device(const char *root, const char *spec, struct blockdev *ret)
{
    char path[PATH_MAX], number[PATH_MAX];
    cleanup(free_ptr) char *real = NULL;
    cleanup(free_ptr) char *text = NULL;

    if (!device_path(root, spec, path))
        return false;
    real = realpath(path, NULL);
    if (!real || !join(number, "/sys/class/block/", basename(real), "/dev"))
        return false;
    text = read_text(root, number, FILE_MAX_BYTES, NULL);
    return text && sscanf(text, "%9u:%9u", &ret->major, &ret->minor) == 2;
}

static bool is_pinned(void *context, const struct blockdev_node *node)
{
    const struct pins *pins = context;
    char wanted[MAPPING_UUID_TEXT];

    for (size_t i = 0; i < pins->volume_count; i++) {
        volume_mapping_uuid(pins->volumes[i].name, pins->volumes[i].uuid, wanted);
        if (strcmp(wanted, node->dm_uuid) == 0)
            return true;
    }
    return false;
}

struct system {
    const char *root;
    char sysfs[PATH_MAX];
};

static bool device_is_safe(const struct system *system, const char *spec, struct pins *pins)
{
    struct blockdev_list list = { .count = 1 };
    struct error ignored;
    bool safe = false;
    int r;

    if (!find_device(system->root, spec, &list.devices[0]))
        return false;
    r = pins ? blockdev_every_way(system->sysfs, &list, is_pinned, pins, &safe, &ignored)
             : blockdev_is_encrypted(system->sysfs, &list, &safe, &ignored);
    return !r && safe;
}

/* A folder's or file's file system; `path` is under the root. */
static bool path_is_encrypted(const struct system *system, const char *path)
{
    struct blockdev_list list;
    struct error ignored;
    bool safe = false;

    return !blockdev_of_path(system->sysfs, path, &list, &ignored) &&
           !blockdev_is_encrypted(system->sysfs, &list, &safe, &ignored) && safe;
}

static void add_place(struct doctor_places *places, const char *path, bool safe)
{
    if (places->count == DOCTOR_PLACES_MAX)
        return;
    snprintf(places->items[places->count].path, DOCTOR_PATH_MAX + 1, "%s", path);
    places->items[places->count++].safe = safe;
}

/* ---- swaps, and what is resumed from ---- */

struct swap {
    char path[DOCTOR_PATH_MAX + 1]; /* mangled as in fstab: blanks do not concern us */
    char type[16];                  /* "partition" or "file" */
    unsigned long long size_kib;
};

/* The next line of /proc/swaps that is not the heading, nor in memory. */
static bool next_swap(const char **text, struct swap *ret)
{
    while (**text) {
        const char *line = *text;

        *text += strcspn(line, "\n");
        *text += **text == '\n';
        if (line[0] == '/' && sscanf(line, "%255s %15s %llu", ret->path, ret->type, &ret->size_kib) == 3 &&
            strncmp(ret->path, "/dev/zram", 9) != 0)
            return true;
    }
    return false;
}

static void read_swaps(const struct system *system, const char *swaps, struct doctor_facts *facts)
{
    struct swap swap;
    char path[PATH_MAX];

    while (next_swap(&swaps, &swap)) {
        bool is_file = strcmp(swap.type, "file") == 0;

        add_place(&facts->swaps, swap.path,
                  is_file ? join(path, system->root, "", swap.path) && path_is_encrypted(system, path)
                          : device_is_safe(system, swap.path, NULL));
    }
}

/* As initramfs-tools does when nothing is said: the largest swap on a device. */
static void largest_swap(const char *swaps, char *ret, size_t size)
{
    unsigned long long largest = 0;
    struct swap swap;

    ret[0] = '\0';
    while (next_swap(&swaps, &swap))
        if (strncmp(swap.path, "/dev/", 5) == 0 && swap.size_kib > largest) {
            snprintf(ret, size, "%s", swap.path);
            largest = swap.size_kib;
        }
}

/* The last NAME=VALUE of a shell's configuration file, without quotation marks; `name` ends with '='. */
static bool configured(const char *text, const char *name, char *ret, size_t size)
{
    size_t length = strlen(name);
    bool found = false;

    for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
        if (strncmp(text, name, length) == 0) {
            const char *value = text + length;
            const char *ends = *value == '"' ? "\"\n" : *value == '\'' ? "'\n" : BLANKS;

            value += ends[0] == '"' || ends[0] == '\'';
            snprintf(ret, size, "%.*s", (int)strcspn(value, ends), value);
            found = true;
        }
    return found;
}

static void read_resume(const struct system *system, const char *command_line, const char *swaps,
                        struct doctor_facts *facts)
{
    cleanup(free_ptr) char *text = read_text(system->root, "/etc/initramfs-tools/conf.d/resume", FILE_MAX_BYTES, NULL);
    char device[DOCTOR_PATH_MAX + 1] = "";

    if (command_line && find_word(command_line, "noresume", device, sizeof(device)))
        return;
    if (!command_line || !find_word(command_line, "resume", device, sizeof(device))) {
        if (!text || !configured(text, "RESUME=", device, sizeof(device)) || !device[0] || strcmp(device, "auto") == 0)
            largest_swap(swaps, device, sizeof(device));
    }
    if (!device[0] || strcmp(device, "none") == 0)
        return;
    add_place(&facts->resume, device, device_is_safe(system, device, &facts->status.state.pins));
}

/* ---- crypttab ---- */

/* Not a file that opens anything: none, and the keys that are new at each boot. */
static bool is_key_file(const char *key)
{
    return key[0] == '/' && strcmp(key, "/dev/urandom") != 0 && strcmp(key, "/dev/random") != 0;
}

/* Patterns of a shell's, between blanks. */
static bool matches(const char *patterns, const char *path)
{
    char pattern[DOCTOR_PATH_MAX + 1];

    for (patterns += strspn(patterns, BLANKS); *patterns; patterns += strspn(patterns, BLANKS)) {
        size_t length = strcspn(patterns, BLANKS);

        snprintf(pattern, sizeof(pattern), "%.*s", (int)length, patterns);
        if (fnmatch(pattern, path, 0) == 0)
            return true;
        patterns += length;
    }
    return false;
}

static void read_key_files(const struct system *system, struct doctor_facts *facts)
{
    cleanup(free_ptr) char *text = read_text(system->root, "/etc/crypttab", CRYPTTAB_MAX_BYTES, NULL);
    cleanup(free_ptr) char *hook = read_text(system->root, "/etc/cryptsetup-initramfs/conf-hook", FILE_MAX_BYTES, NULL);
    const char *p = text;
    struct crypttab_row row;
    char path[PATH_MAX], pattern[DOCTOR_PATH_MAX + 1] = "";

    if (hook)
        (void)configured(hook, "KEYFILE_PATTERN=", pattern, sizeof(pattern));
    while (p && crypttab_next(&p, &row)) {
        if (!is_key_file(row.key) || !join(path, system->root, "", row.key) || !file_exists(path))
            continue;
        add_place(&facts->key_files, row.key, path_is_encrypted(system, path));
        if (matches(pattern, row.key))
            add_place(&facts->copied, row.key, false);
    }
}

/* ---- initramfs images ---- */

/* SHA-256 of a file in hexadecimal, "none" when it is not there: as the hook names its stamps. */
static void digest_of(const char *path, char ret[DIGEST_TEXT])
{
    cleanup(free_ptr) char *bytes = NULL;
    struct digest digest;
    struct error ignored;
    size_t size;

    strcpy(ret, "none");
    if (!file_exists(path) || file_read(path, PROGRAM_MAX_BYTES, &bytes, &size, &ignored) ||
        digest_compute(&digest, &(struct span){ bytes, size }, 1, &ignored))
        return;
    hex_encode(digest.bytes, sizeof(digest.bytes), ret);
}

/* Whether a line of the listing is this path. */
static bool lists(const struct secret *listing, const char *path)
{
    size_t length = strlen(path);
    const uint8_t *start = listing->bytes, *end = start + listing->size, *p = start;

    while (p < end && (p = memmem(p, (size_t)(end - p), path, length))) {
        bool begins = p == start || p[-1] == '\n' || p[-1] == '/';
        bool ends = p + length == end || p[length] == '\n';

        if (begins && ends)
            return true;
        p++;
    }
    return false;
}

struct stamps {
    char program[64 + DIGEST_TEXT]; /* their paths in an image */
    char pins[64 + DIGEST_TEXT];
};

static bool make_stamps(const struct system *system, const struct doctor_facts *facts, struct stamps *ret)
{
    cleanup(free_ptr) char *pins = file_path(facts->status.state.folder, "pins.json");
    char program[PATH_MAX], digest[DIGEST_TEXT];

    if (!pins || !join(program, system->root, UNLOCK_PROGRAM, ""))
        return false;
    digest_of(program, digest);
    snprintf(ret->program, sizeof(ret->program), "conf/bootseal-stamps/program-%s", digest);
    digest_of(pins, digest);
    snprintf(ret->pins, sizeof(ret->pins), "conf/bootseal-stamps/pins-%s", digest);
    return true;
}

static void look_at_image(const struct system *system, const struct stamps *stamps, const char *path,
                          struct doctor_image *ret)
{
    cleanup(secret_free) struct secret listing = { 0 };
    char tool[PATH_MAX];
    const char *const argv[] = { tool, path, NULL };

    *ret = (struct doctor_image){ 0 };
    snprintf(ret->path, sizeof(ret->path), "%s", path + strlen(system->root));
    if (!join(tool, system->root, "/usr/bin/lsinitramfs", "") ||
        process_read(&(struct process){ .argv = argv }, LISTING_MAX_BYTES, &listing, &ret->error))
        return;
    ret->error.kind = ERROR_NONE;
    ret->has_program = lists(&listing, &UNLOCK_PROGRAM[1]);
    ret->program_is_installed = lists(&listing, stamps->program);
    ret->pins_are_current = lists(&listing, stamps->pins);
}

/* An image without its kernel is not booted: a copy, or what a removed kernel left. */
static bool has_kernel(const struct system *system, const char *image)
{
    char path[PATH_MAX];

    return join(path, system->root, "/boot/vmlinuz-", strstr(image, "/initrd.img-") + strlen("/initrd.img-")) &&
           file_exists(path);
}

static void read_images(const struct system *system, struct doctor_facts *facts)
{
    cleanup(globfree) glob_t found = { 0 };
    struct stamps stamps;
    char pattern[PATH_MAX];

    if (!join(pattern, system->root, "/boot/initrd.img-*", "") || !make_stamps(system, facts, &stamps) ||
        glob(pattern, 0, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc && facts->image_count < DOCTOR_IMAGES_MAX; i++)
        if (has_kernel(system, found.gl_pathv[i]))
            look_at_image(system, &stamps, found.gl_pathv[i], &facts->images[facts->image_count++]);
}

void doctor_gather_system(const struct doctor_request *request, struct doctor_facts *ret)
{
    struct system system = { .root = request->root };
    cleanup(free_ptr) char *command_line = read_text(request->root, "/proc/cmdline", FILE_MAX_BYTES, NULL);
    cleanup(free_ptr) char *swaps = read_text(request->root, "/proc/swaps", FILE_MAX_BYTES, NULL);
    char boot[PATH_MAX];

    if (!join(system.sysfs, request->root, BLOCKDEV_SYSFS, "") || !join(boot, request->root, "/boot", ""))
        return;
    ret->secure_boot = read_secure_boot(request->root);
    ret->panic = read_panic(command_line);
    ret->state_encrypted = path_is_encrypted(&system, ret->status.state.folder);
    ret->boot_encrypted = !file_exists(boot) || path_is_encrypted(&system, boot);
    read_swaps(&system, swaps ?: "", ret);
    read_resume(&system, command_line, swaps ?: "", ret);
    read_key_files(&system, ret);
    read_images(&system, ret);
}
