#include "protect/update/boot-places.h"

#include "base/cleanup.h"

#include <blkid.h>
#include <ctype.h>
#include <libmount.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MOUNTS "/proc/self/mountinfo"
#define ESP_TYPE "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" /* UEFI 2.10, table 5.7 */
#define ESP_TYPE_MBR "0xef"
#define MAX_PLACES 64

/* A mounted file system on a partition, before it is known whether that is the boot disk's. */
struct candidate {
    struct boot_place place;
    dev_t disk;
    bool is_esp, is_boot;
};

struct candidates {
    struct candidate items[MAX_PLACES];
    size_t count;
};

static void place_free(struct boot_place *place)
{
    free(place->folder);
    free(place->uuid);
    free(place->label);
    free(place->partition);
    *place = (struct boot_place){ 0 };
}

static void candidates_free(struct candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++)
        place_free(&candidates->items[i].place);
}

static void free_table(struct libmnt_table **table)
{
    mnt_unref_table(*table);
}

static void free_iterator(struct libmnt_iter **iterator)
{
    mnt_free_iter(*iterator);
}

static void free_probe(blkid_probe *probe)
{
    blkid_free_probe(*probe);
}

/* What libblkid found out under that name, "" when nothing. */
static const char *value_of(blkid_probe probe, const char *name)
{
    const char *value;

    return blkid_probe_lookup_value(probe, name, &value, NULL) < 0 ? "" : value;
}

/* GRUB's word for a partition: its table's kind and its number. "" for a table that it is not followed on. */
static char *partition_name(blkid_probe probe)
{
    const char *scheme = value_of(probe, "PART_ENTRY_SCHEME");
    const char *kind = strcmp(scheme, "gpt") == 0 ? "gpt" : strcmp(scheme, "dos") == 0 ? "msdos" : NULL;
    char *name = NULL;

    if (!kind)
        return strdup("");
    return asprintf(&name, "%s%s", kind, value_of(probe, "PART_ENTRY_NUMBER")) < 0 ? NULL : name;
}

static char *lower_case(const char *text)
{
    char *copy = strdup(text);

    for (char *c = copy; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return copy;
}

static bool read_disk(blkid_probe probe, dev_t *ret)
{
    unsigned major, minor;

    if (sscanf(value_of(probe, "PART_ENTRY_DISK"), "%u:%u", &major, &minor) != 2)
        return false;
    *ret = makedev(major, minor);
    return true;
}

/* NULL when the device cannot be opened or read: it is no place then. */
static blkid_probe open_probe(dev_t device)
{
    cleanup(free_ptr) char *path = blkid_devno_to_devname(device);
    blkid_probe probe = path ? blkid_new_probe_from_filename(path) : NULL;

    if (probe && !blkid_probe_enable_superblocks(probe, 1) && !blkid_probe_enable_partitions(probe, 1) &&
        !blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID) &&
        !blkid_probe_set_partitions_flags(probe, BLKID_PARTS_ENTRY_DETAILS) && blkid_do_safeprobe(probe) == 0)
        return probe;
    blkid_free_probe(probe);
    return NULL;
}

static int fill(struct candidate *ret, blkid_probe probe, const char *folder, struct error *error)
{
    const char *type = value_of(probe, "PART_ENTRY_TYPE");

    ret->place = (struct boot_place){
        .folder = strdup(strcmp(folder, "/") == 0 ? "" : folder),
        .uuid = lower_case(value_of(probe, "UUID")),
        .label = strdup(value_of(probe, "LABEL")),
        .partition = partition_name(probe),
    };
    ret->is_esp = strcmp(type, ESP_TYPE) == 0 || strcmp(type, ESP_TYPE_MBR) == 0;
    ret->is_boot = strcmp(folder, "/boot") == 0;
    if (ret->place.folder && ret->place.uuid && ret->place.label && ret->place.partition)
        return 0;
    return error_no_memory(error);
}

static bool is_known(const struct candidates *candidates, const struct candidate *wanted)
{
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->items[i].disk == wanted->disk &&
            strcmp(candidates->items[i].place.partition, wanted->place.partition) == 0)
            return true;
    return false;
}

static bool is_mapped(dev_t device)
{
    char path[64];

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/dm", major(device), minor(device));
    return access(path, F_OK) == 0;
}

static int add(struct candidates *candidates, dev_t device, const char *folder, struct error *error)
{
    cleanup(free_probe) blkid_probe probe = open_probe(device);
    struct candidate *item = &candidates->items[candidates->count];
    int r;

    if (!probe || candidates->count == MAX_PLACES || !read_disk(probe, &item->disk))
        return 0;
    r = fill(item, probe, folder, error);
    if (r || !item->place.partition[0] || is_known(candidates, item))
        place_free(&item->place);
    else
        candidates->count++;
    return r;
}

/* A bind mount of a folder, or a subvolume, is not the file system's top folder, from which a boot loader counts. */
static bool is_whole(struct libmnt_fs *mounted)
{
    const char *root = mnt_fs_get_root(mounted);

    return root && strcmp(root, "/") == 0 && major(mnt_fs_get_devno(mounted)) != 0;
}

static int list(struct candidates *ret, struct error *error)
{
    cleanup(free_table) struct libmnt_table *table = mnt_new_table_from_file(MOUNTS);
    cleanup(free_iterator) struct libmnt_iter *iterator = mnt_new_iter(MNT_ITER_FORWARD);
    struct libmnt_fs *mounted;
    int r = 0;

    if (!table || !iterator)
        return error_set(error, ERROR_FAILED, "cannot read \"" MOUNTS "\"");
    while (!r && mnt_table_next_fs(table, iterator, &mounted) == 0)
        if (is_whole(mounted) && !is_mapped(mnt_fs_get_devno(mounted)))
            r = add(ret, mnt_fs_get_devno(mounted), mnt_fs_get_target(mounted), error);
    return r;
}

static const struct candidate *find_boot_disk(const struct candidates *candidates)
{
    const struct candidate *found = NULL;

    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *item = &candidates->items[i];

        if (item->is_esp)
            return item;
        if (item->is_boot)
            found = item;
    }
    return found;
}

static void wake_automounts(void)
{
    static const char *const folders[] = { "/boot/.", "/efi/.", "/boot/efi/." };
    struct stat ignored;

    for (size_t i = 0; i < array_size(folders); i++)
        (void)stat(folders[i], &ignored);
}

int boot_places_read(struct boot_places *ret, const char **ret_esp, struct error *error)
{
    cleanup(candidates_free) struct candidates candidates = { 0 };
    const struct candidate *boot;
    int r;

    *ret = (struct boot_places){ 0 };
    *ret_esp = NULL;
    wake_automounts();
    r = list(&candidates, error);
    boot = r ? NULL : find_boot_disk(&candidates);
    if (!boot)
        return r;
    ret->items = calloc(candidates.count + 1, sizeof(*ret->items));
    if (!ret->items)
        return error_no_memory(error);
    for (size_t i = 0; i < candidates.count; i++) {
        struct candidate *item = &candidates.items[i];

        if (item->disk != boot->disk)
            continue;
        if (item->is_esp)
            *ret_esp = item->place.folder;
        ret->items[ret->count++] = item->place;
        item->place = (struct boot_place){ 0 };
    }
    return 0;
}

void boot_places_free(struct boot_places *places)
{
    for (size_t i = 0; i < places->count; i++)
        place_free(&places->items[i]);
    free(places->items);
    *places = (struct boot_places){ 0 };
}
