#include "measure/predict/systemd-boot.h"

#include "base/cleanup.h"
#include "measure/pe-image.h"
#include "measure/predict/boot-image.h"
#include "measure/predict/systemd-boot-config.h"
#include "measure/predict/systemd-boot-order.h"
#include "measure/predict/uki-sections.h"
#include "measure/predict/wide.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOADER_VERSION 252
#define PCR_COMMAND_LINE 12
#define UNFOLLOWED "approve the boot after it has happened, or suspend the protection for it"

static const struct {
    uint16_t machine;
    const char *name; /* in UEFI's names of boot programs (UEFI 2.10, 3.5.1.1) */
} architectures[] = { { PE_MACHINE_X64, "x64" }, { PE_MACHINE_IA32, "ia32" } };

/* A NUL-terminated text from the image's .sdmagic section; "" when there is none. */
static int read_magic(const struct pe_image *image, char ret[UKI_STUB_MAX], struct error *error)
{
    ssize_t n = 0;

    memset(ret, 0, UKI_STUB_MAX);
    for (size_t i = 0; i < image->section_count; i++) {
        const struct pe_section *section = &image->sections[i];
        size_t size = (size_t)uki_section_bytes(section);

        if (strcmp(section->name, ".sdmagic") == 0 && size < UKI_STUB_MAX)
            do
                n = pread(image->fd, ret, size, (off_t)section->content.start);
            while (n < 0 && errno == EINTR);
        if (n < 0)
            return error_errno(error, errno, "cannot read \"%s\"", image->path);
    }
    return 0;
}

static int check_loader_image(const struct pe_image *image, struct systemd_boot_place *place, struct error *error)
{
    char magic[UKI_STUB_MAX], version[UKI_STUB_MAX];
    unsigned number;
    int r = read_magic(image, magic, error);

    if (r)
        return r;
    if (!systemd_magic_version(magic, "boot", version, sizeof version))
        r = error_set(error, ERROR_FAILED, "\"%s\" is not systemd-boot", image->path);
    else if (sscanf(version, "%4u", &number) != 1 || number != LOADER_VERSION)
        r = error_set(error, ERROR_FAILED, "what systemd-boot %s (\"%s\") does is not known; %d is", version,
                      image->path, LOADER_VERSION);
    for (size_t i = 0; i < array_size(architectures); i++)
        if (architectures[i].machine == image->machine)
            place->architecture = architectures[i].name;
    if (!r && !place->architecture)
        r = error_set(error, ERROR_FAILED, "\"%s\" is for a machine that is not followed", image->path);
    if (r)
        error_remedy(error, UNFOLLOWED);
    place->pe_machine = image->machine;
    return r;
}

static int check_loader(const struct systemd_boot_machine *machine, struct systemd_boot_place *place,
                        struct error *error)
{
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
    cleanup(pe_image_free) struct pe_image image = { 0 };
    int r = boot_file_open(machine->esp, machine->loader, &file, error);

    if (!r && file.fd < 0)
        return error_set(error, ERROR_FAILED, "systemd-boot is not at \"%s%s\"", machine->esp, machine->loader);
    r = r ?: pe_image_parse(file.fd, file.path, 0, file.size, &image, error);
    return r ?: check_loader_image(&image, place, error);
}

static int doubt(struct systemd_boot_menu *menu, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The first doubt stays. */
static int doubt(struct systemd_boot_menu *menu, struct error *error, const char *format, ...)
{
    va_list arguments;
    int n = 0;

    if (menu->reason)
        return 0;
    va_start(arguments, format);
    n = vasprintf(&menu->reason, format, arguments);
    va_end(arguments);
    if (n >= 0)
        return 0;
    menu->reason = NULL;
    return error_no_memory(error);
}

typedef int (*read_entry)(const struct systemd_boot_place *place, const char *name, struct systemd_boot_entry *ret,
                          bool *ret_listed, struct error *error);

static int add_entry(const struct systemd_boot_place *place, const char *name, read_entry read,
                     struct systemd_boot_menu *menu, struct error *error)
{
    struct systemd_boot_entry *entry = &menu->entries[menu->count];
    bool listed = false;
    int r;

    if (menu->count == SYSTEMD_BOOT_ENTRIES_MAX)
        return error_set(error, ERROR_METADATA, "systemd-boot would have more than %d entries",
                         SYSTEMD_BOOT_ENTRIES_MAX);
    r = read(place, name, entry, &listed, error);
    if (!r && listed) {
        menu->count++;
        return 0;
    }
    systemd_boot_entry_free(entry);
    if (r == ERROR_METADATA) /* it may be in the menu, nobody knows where */
        r = doubt(menu, error, "%s", error->text);
    return r;
}

static int add_entries(const struct systemd_boot_place *place, const char *folder, const char *suffix, read_entry read,
                       struct systemd_boot_menu *menu, struct error *error)
{
    cleanup(boot_names_free) struct boot_names names = { 0 };
    int r = boot_folder_names(place->folder, folder, suffix, &names, error);

    for (size_t i = 0; !r && i < names.count; i++)
        if (strncmp(names.items[i], "auto-", 5) != 0)
            r = add_entry(place, names.items[i], read, menu, error);
    return r;
}

static int add_all(struct systemd_boot_place *place, struct systemd_boot_menu *menu, struct error *error)
{
    const char *const folders[] = { place->machine->esp, place->machine->boot };
    int r = 0;

    for (size_t i = 0; !r && i < array_size(folders); i++) {
        if (!folders[i])
            continue;
        place->folder = folders[i];
        r = add_entries(place, "/EFI/Linux", ".efi", systemd_boot_read_unified, menu, error);
        r = r ?: add_entries(place, "/loader/entries", ".conf", systemd_boot_read_entry, menu, error);
    }
    return r;
}

/* The first entry that fits; SYSTEMD_BOOT_NONE when there is none, or no pattern. */
static int find(const struct systemd_boot_menu *menu, const char *pattern, size_t *ret, struct error *error)
{
    int r = 0;

    *ret = SYSTEMD_BOOT_NONE;
    for (size_t i = 0; !r && pattern && *ret == SYSTEMD_BOOT_NONE && i < menu->count; i++) {
        bool fits;

        r = systemd_boot_match(pattern, menu->entries[i].id, &fits, error);
        if (fits)
            *ret = i;
    }
    return r;
}

/* Entries that systemd-boot adds at the end for what it finds: whether they are there is not looked for. */
static int fits_automatic(const char *pattern, bool *ret, struct error *error)
{
    static const char *const ids[] = { "auto-osx", "auto-windows", "auto-efi-shell", "auto-efi-default",
                                       "auto-reboot-to-firmware-setup" };
    int r = 0;

    *ret = strncmp(pattern, "secure-boot-keys-", 17) == 0;
    for (size_t i = 0; !r && !*ret && i < array_size(ids); i++)
        r = systemd_boot_match(pattern, ids[i], ret, error);
    return r;
}

/* What the choice goes by, in the order in which it is tried. */
struct patterns {
    char *one_shot, *variable, *configured;
};

static void patterns_free(struct patterns *patterns)
{
    free(patterns->one_shot);
    free(patterns->variable);
    free(patterns->configured);
}

static int lower_copy(const char *text, char **ret, struct error *error)
{
    *ret = text ? strdup(text) : NULL;
    if (text && !*ret)
        return error_no_memory(error);
    if (*ret)
        systemd_boot_lower(*ret);
    return 0;
}

/* "@saved" stands for the entry of the last boot. */
static int resolve_saved(const struct systemd_boot_machine *machine, char **pattern, struct error *error)
{
    if (!*pattern || strcmp(*pattern, "@saved") != 0)
        return 0;
    free(*pattern);
    return lower_copy(machine->entry_last_booted, pattern, error);
}

static int read_loader_conf(const struct systemd_boot_machine *machine, char **ret_default,
                            struct systemd_boot_menu *menu, struct error *error)
{
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
    cleanup(boot_names_free) struct boot_names keys = { 0 };
    cleanup(free_ptr) char *text = NULL;
    cleanup(free_ptr) char *copy = NULL;
    struct digest unused;
    int r = boot_file_open(machine->esp, "/loader/loader.conf", &file, error);

    if (r || file.fd < 0)
        return r;
    r = boot_file_read(&file, SYSTEMD_BOOT_CONFIG_MAX, &text, &unused, error);
    if (r)
        return r;
    copy = strdup(text);
    r = copy ? systemd_boot_read_default(copy, ret_default, error) : error_no_memory(error);
    if (r || machine->secure_boot || !systemd_boot_enrolls_keys(text))
        return r;
    r = boot_folder_names(machine->esp, "/loader/keys/auto", ".auth", &keys, error);
    if (!r && keys.count > 0)
        r = doubt(menu, error, "systemd-boot may enrol the Secure Boot keys in \"%s/loader/keys/auto\" and restart",
                  machine->esp);
    return r;
}

static int read_patterns(const struct systemd_boot_machine *machine, struct patterns *ret,
                         struct systemd_boot_menu *menu, struct error *error)
{
    int r = lower_copy(machine->entry_one_shot, &ret->one_shot, error);

    r = r ?: lower_copy(machine->entry_default, &ret->variable, error);
    r = r ?: read_loader_conf(machine, &ret->configured, menu, error);
    r = r ?: resolve_saved(machine, &ret->variable, error);
    return r ?: resolve_saved(machine, &ret->configured, error);
}

static int choose(struct systemd_boot_menu *menu, const char *const *patterns, size_t count, size_t *ret,
                  struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        bool automatic = false;
        int r = find(menu, patterns[i], ret, error);

        if (!r && *ret == SYSTEMD_BOOT_NONE && patterns[i])
            r = fits_automatic(patterns[i], &automatic, error);
        if (!r && automatic)
            r = doubt(menu, error, "the default entry \"%s\" may be another system's", patterns[i]);
        if (r || *ret != SYSTEMD_BOOT_NONE || automatic)
            return r;
    }
    *ret = 0;
    return menu->count > 0 ? 0 : doubt(menu, error, "systemd-boot has no entry for Linux");
}

static int choose_entries(const struct systemd_boot_machine *machine, struct systemd_boot_menu *menu,
                          struct error *error)
{
    cleanup(patterns_free) struct patterns patterns = { 0 };
    int r = read_patterns(machine, &patterns, menu, error);
    const char *const order[] = { patterns.one_shot, patterns.variable, patterns.configured };

    r = r ?: choose(menu, order, 3, &menu->chosen, error);
    r = r ?: choose(menu, order + 1, 2, &menu->lasting, error);
    if (menu->reason)
        menu->chosen = menu->lasting = SYSTEMD_BOOT_NONE;
    return r;
}

int systemd_boot_read_menu(const struct systemd_boot_machine *machine, struct systemd_boot_menu *ret,
                           struct error *error)
{
    struct systemd_boot_place place = { .machine = machine };
    int r;

    *ret = (struct systemd_boot_menu){ .chosen = SYSTEMD_BOOT_NONE, .lasting = SYSTEMD_BOOT_NONE };
    ret->entries = calloc(SYSTEMD_BOOT_ENTRIES_MAX, sizeof *ret->entries);
    r = ret->entries ? check_loader(machine, &place, error) : error_no_memory(error);
    r = r ?: add_all(&place, ret, error);
    if (!r)
        systemd_boot_sort(ret->entries, ret->count);
    r = r ?: choose_entries(machine, ret, error);
    if (r)
        systemd_boot_menu_free(ret);
    return r;
}

void systemd_boot_menu_free(struct systemd_boot_menu *menu)
{
    for (size_t i = 0; i < menu->count; i++)
        systemd_boot_entry_free(&menu->entries[i]);
    free(menu->entries);
    free(menu->reason);
    *menu = (struct systemd_boot_menu){ .chosen = SYSTEMD_BOOT_NONE, .lasting = SYSTEMD_BOOT_NONE };
}

/* Drivers run before the menu, and nothing is known of them. */
static int check_drivers(const struct systemd_boot_machine *machine, struct boot_prediction *prediction,
                         struct error *error)
{
    cleanup(boot_names_free) struct boot_names drivers = { 0 };
    int r = boot_folder_names(machine->esp, "/EFI/systemd/drivers", ".efi", &drivers, error);

    if (!r && drivers.count > 0)
        r = boot_prediction_give_up(prediction, BOOT_ALL_PCRS, error,
                                    "systemd-boot loads the drivers in \"%s/EFI/systemd/drivers\"", machine->esp);
    return r;
}

static int check_entry(const struct systemd_boot_machine *machine, const struct systemd_boot_entry *entry,
                       struct boot_prediction *prediction, struct error *error)
{
    if (entry->problem)
        return boot_prediction_give_up(prediction, BOOT_ALL_PCRS, error, "%s", entry->problem);
    if (entry->devicetree && !machine->secure_boot)
        return boot_prediction_give_up(prediction, BOOT_ALL_PCRS, error,
                                       "the entry loads a device tree, which nobody measures");
    return check_drivers(machine, prediction, error);
}

static int predict_image(const struct systemd_boot_machine *machine, const struct systemd_boot_entry *entry,
                         struct span options, struct boot_prediction *prediction, struct error *error)
{
    const struct image_start start = {
        .bank = machine->bank,
        .folder = entry->folder,
        .path = entry->image,
        .name_at_start = entry->kind == SYSTEMD_BOOT_UNIFIED ? entry->name_at_start : NULL,
        .options = options,
        .own_options = entry->kind == SYSTEMD_BOOT_UNIFIED,
        .initrds = (const char *const *)entry->initrds,
        .initrd_count = entry->initrd_count,
        .secure_boot = machine->secure_boot,
        .through_shim = machine->through_shim,
        .phases = machine->phases,
        .phase_count = machine->phase_count,
    };

    return boot_image_predict(&start, prediction, error);
}

int systemd_boot_predict(const struct systemd_boot_machine *machine, const struct systemd_boot_entry *entry,
                         struct boot_prediction *prediction, struct error *error)
{
    cleanup(wide_free) struct wide options = { 0 };
    int r = check_entry(machine, entry, prediction, error);

    if (r || (prediction->unknown & BOOT_ALL_PCRS) == BOOT_ALL_PCRS)
        return r;
    if (entry->file)
        r = extend_list_add_source(&prediction->extends, entry->file, &entry->file_sha256, error);
    if (!r && entry->options && entry->kind != SYSTEMD_BOOT_UNIFIED) {
        r = wide_from_utf8(entry->options, strlen(entry->options), &options, error);
        r = r
                ?: extend_list_add_data(&prediction->extends, PCR_COMMAND_LINE, options.bytes, options.size,
                                        "the command line, by systemd-boot", error);
    }
    return r ?: predict_image(machine, entry, (struct span){ options.bytes, options.size }, prediction, error);
}
