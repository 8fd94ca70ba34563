#include "protect/unlock/check-root.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock/crypttab.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define UEVENT_MAX_BYTES 4096
#define DEVICE_NAME_TEXT 64

struct walk {
    const struct check_root_devices *devices;
    struct blockdev last; /* where the walk was when it ended */
    bool refused;         /* a mapping claimed to be pinned and was not: *error says why */
    struct error *error;
};

/* The pin whose mapping this says it is. A mapping of the running system may have another name than it gets at boot. */
static const struct pinned_volume *claimed_pin(const struct check_root_devices *devices, const char *dm_uuid)
{
    const struct pins *pins = devices->pins;
    char wanted[MAPPING_UUID_TEXT];

    for (size_t i = 0; i < pins->volume_count; i++) {
        volume_mapping_uuid(devices->verify ? pins->volumes[i].name : "", pins->volumes[i].uuid, wanted);
        if (devices->verify ? strcmp(wanted, dm_uuid) == 0 : strncmp(wanted, dm_uuid, strlen(wanted)) == 0)
            return &pins->volumes[i];
    }
    return NULL;
}

static bool is_pinned(void *context, const struct blockdev_node *node)
{
    struct walk *walk = context;
    const struct pinned_volume *pin = claimed_pin(walk->devices, node->dm_uuid);

    walk->last = node->device;
    if (!pin || walk->refused)
        return false;
    walk->refused =
        walk->devices->verify && walk->devices->verify(walk->devices->context, pin, node->dm_uuid, walk->error) != 0;
    return !walk->refused;
}

/* "sda3", the kernel's own name: links to devices may be anyone's. */
static int device_name(const char *sysfs, struct blockdev device, char ret[DEVICE_NAME_TEXT], struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    char path[PATH_MAX], *name;
    int r;

    snprintf(path, sizeof(path), "%s/dev/block/%u:%u/uevent", sysfs, device.major, device.minor);
    r = file_read(path, UEVENT_MAX_BYTES, &text, NULL, error);
    if (r)
        return r;
    name = strncmp(text, "DEVNAME=", 8) == 0 ? text : strstr(text, "\nDEVNAME=");
    name = name ? strchr(name, '=') + 1 : text;
    name[strcspn(name, "\n")] = '\0';
    if (name == text || strlen(name) >= DEVICE_NAME_TEXT)
        return error_set(error, ERROR_FAILED, "\"%s\" names no device", path);
    strcpy(ret, name);
    return 0;
}

static int not_covered(const char *sysfs, struct blockdev last, struct error *error)
{
    char name[DEVICE_NAME_TEXT];
    struct error ignored;

    if (device_name(sysfs, last, name, &ignored))
        snprintf(name, sizeof(name), "%u:%u", last.major, last.minor);
    return error_set(error, ERROR_REFUSED, "it lies on the device \"%s\", and no pinned volume is in between", name);
}

int check_root_covered(const struct check_root_devices *devices, const struct blockdev_list *list, const char *what,
                       struct error *error)
{
    struct error found;
    struct walk walk = { .devices = devices, .error = &found };
    bool covered;
    int r = blockdev_every_way(devices->sysfs, list, is_pinned, &walk, &covered, error);

    if (!r && covered)
        return 0;
    if (walk.refused)
        *error = found;
    else if (!r && list->count == 0)
        error_set(error, ERROR_REFUSED, "it lies on no disk that can be looked at");
    else if (!r)
        not_covered(devices->sysfs, walk.last, error);
    error_prefix(error, "%s is not on the volumes that bootseal was enrolled for", what);
    error_remedy(error, "switch the machine off and remove disks that do not belong to it");
    return error_rekind(error, ERROR_REFUSED);
}

/* ---- what really is there ---- */

static int device_path(struct blockdev device, char ret[PATH_MAX], struct error *error)
{
    char name[DEVICE_NAME_TEXT];
    int r = device_name(BLOCKDEV_SYSFS, device, name, error);

    if (!r)
        snprintf(ret, PATH_MAX, "/dev/%s", name);
    return r;
}

/* Where the header of the volume is that the mapping lies on. */
static int find_header(const char *crypttab, const struct pinned_volume *pin, const char *dm_uuid, char ret[PATH_MAX],
                       struct error *error)
{
    struct crypttab_entry entry = { 0 };
    struct blockdev device;
    int r = crypttab ? crypttab_read(crypttab, pin, &entry, error) : 0;

    if (!r && entry.header[0]) {
        strcpy(ret, entry.header);
        return 0;
    }
    r = r ? r : volume_mapping_device(dm_uuid, &device, error);
    return r ? r : device_path(device, ret, error);
}

static int verify_mapping(void *context, const struct pinned_volume *pin, const char *dm_uuid, struct error *error)
{
    const struct check_root_request *request = context;
    cleanup(volume_close) struct volume *volume = NULL;
    char header[PATH_MAX];
    int r = find_header(request->crypttab, pin, dm_uuid, header, error);

    if (!r)
        r = volume_open(&volume, header, error);
    if (!r)
        r = pins_check_volume(pin, volume, error);
    return r ? r : volume_mapping_check(volume, dm_uuid, error);
}

/* A file system of its own at FOLDER/usr; a link there leads anywhere. */
static bool is_mounted_apart(const char *folder, const char *usr)
{
    struct stat root, status;

    return lstat(folder, &root) == 0 && lstat(usr, &status) == 0 && S_ISDIR(status.st_mode) &&
           status.st_dev != root.st_dev;
}

static int check_folder(const struct check_root_devices *devices, const char *folder, const char *what,
                        struct error *error)
{
    struct blockdev_list list;
    int r = blockdev_of_path(devices->sysfs, folder, &list, error);

    return r ? r : check_root_covered(devices, &list, what, error);
}

static int check_file_systems(const struct check_root_devices *devices, const char *folder, struct error *error)
{
    cleanup(free_ptr) char *usr = file_path(folder, "usr");
    int r;

    if (!usr)
        return error_no_memory(error);
    r = check_folder(devices, folder, "the root file system", error);
    if (!r && is_mounted_apart(folder, usr))
        r = check_folder(devices, usr, "/usr", error);
    return r;
}

static int check_device(const struct check_root_devices *devices, const char *device, struct error *error)
{
    struct blockdev_list list = { .count = 1 };
    struct stat status;

    if (stat(device, &status) < 0)
        return error_errno(error, errno, "cannot look at the device \"%s\" to resume from", device);
    if (!S_ISBLK(status.st_mode))
        return error_set(error, ERROR_REFUSED, "\"%s\" to resume from is not a block device", device);
    list.devices[0] = (struct blockdev){ major(status.st_rdev), minor(status.st_rdev) };
    return check_root_covered(devices, &list, "the device to resume from", error);
}

static int check_wanted_file_systems(const struct check_root_devices *devices, const char *folder, struct error *error)
{
    return devices->pins->any_root ? 0 : check_file_systems(devices, folder, error);
}

typedef int check(const struct check_root_devices *devices, const char *path, struct error *error);

static int check_by_pins(const struct check_root_request *request, check *run, const char *path, struct error *error)
{
    cleanup(free_ptr) struct pins *pins = calloc(1, sizeof(*pins));
    const struct check_root_devices devices = {
        .sysfs = BLOCKDEV_SYSFS,
        .pins = pins,
        .verify = verify_mapping,
        .context = (void *)request,
    };
    struct error ignored;

    if (!pins)
        return error_no_memory(error);
    if (!file_exists(request->pins_path) || pins_read(request->pins_path, pins, &ignored) || pins->volume_count == 0)
        return 0;
    return run(&devices, path, error);
}

int check_root(const struct check_root_request *request, const char *folder, struct error *error)
{
    return check_by_pins(request, check_wanted_file_systems, folder, error);
}

int check_resume(const struct check_root_request *request, const char *device, struct error *error)
{
    return check_by_pins(request, check_device, device, error);
}

int check_root_of_running(const struct pins *pins, const char *folder, struct error *error)
{
    const struct check_root_devices devices = { .sysfs = BLOCKDEV_SYSFS, .pins = pins };

    return pins->volume_count == 0 ? 0 : check_wanted_file_systems(&devices, folder, error);
}
