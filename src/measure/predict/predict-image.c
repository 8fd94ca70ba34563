#include "measure/predict/predict-image.h"

#include "base/cleanup.h"
#include "measure/predict/boot-image.h"
#include "measure/predict/command-line.h"
#include "measure/predict/firmware-events.h"
#include "measure/predict/program.h"
#include "measure/predict/systemd-boot.h"
#include "measure/predict/wide.h"

#include <string.h>
#include <strings.h>

#define IMAGES_PCRS (1u << 9 | 1u << 11 | 1u << 12 | 1u << 13)
#define DEFAULT_PROGRAM "\\EFI\\BOOT\\BOOT" /* and the processor */
#define GIVEN_UP (IMAGES_PCRS | 1u << 4 | 1u << 7)

static char *copy(const char *text)
{
    return strdup(text ? text : "");
}

/* Fills what is not filled yet, and adds the boot. */
static int add(struct boots *boots, struct predicted_boot *boot, const char *image, struct boot_prediction *measured,
               struct error *error)
{
    char word[COMMAND_LINE_WORD];
    int r;

    if (!boot->command_line)
        boot->command_line = copy(measured->command_line);
    if (!boot->id || !boot->title || !boot->kernel || !boot->command_line)
        return error_no_memory(error);
    boot->shell = command_line_gives_shell(boot->command_line, word);
    if (!boot->label[0])
        boots_label(boot, boot->kernel);
    if (image)
        return boots_finish(boots, image, IMAGES_PCRS, measured, error) ?: boots_add(boots, boot, measured, error);
    r = boot_prediction_give_up(measured, GIVEN_UP, error, "it is not known which program will be started");
    r = r ?: firmware_events_predict_rest(boots->running, IMAGES_PCRS, measured, error);
    return r ?: boots_add(boots, boot, measured, error);
}

/* The next boot is not known, and why. */
static int add_unknown(struct boots *boots, const char *why, struct error *error)
{
    cleanup(predicted_boot_free) struct predicted_boot boot = { .chosen = true };
    cleanup(boot_prediction_free) struct boot_prediction measured = { 0 };
    int r = boots_start(boots, &measured, error);

    boot.id = copy("");
    boot.title = copy("");
    boot.kernel = copy("");
    r = r ?: boot_prediction_give_up(&measured, GIVEN_UP, error, "%s", why);
    return r ?: add(boots, &boot, NULL, &measured, error);
}

/* A text that systemd-boot keeps; *ret stays NULL when it is not there. */
static int read_text(const struct predict_machine *machine, const char *name, char **ret, struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable variable = { 0 };
    cleanup(wide_free) struct wide wide = { 0 };
    bool found;
    int r = firmware_variable_read(machine->variables, machine->changed, vendor_loader, name, &variable, &found, error);

    if (r || !found)
        return r;
    r = wide_from_units((struct span){ variable.data, variable.size }, &wide, error);
    return r ?: wide_to_utf8(&wide, ret, error);
}

/* What systemd-boot knows when it starts; the texts are owned. */
struct loader {
    struct systemd_boot_machine machine;
    char *path, *one_shot, *default_entry, *last_booted;
};

static void loader_free(struct loader *loader)
{
    free(loader->path);
    free(loader->one_shot);
    free(loader->default_entry);
    free(loader->last_booted);
}

static int read_loader(const struct boots *boots, struct loader *ret, struct error *error)
{
    const struct predict_machine *machine = boots->machine;
    const struct running_boot *running = boots->running;
    int r = firmware_events_find_program(running, running->loader, &ret->path, error);

    r = r ?: read_text(machine, "LoaderEntryOneShot", &ret->one_shot, error);
    r = r ?: read_text(machine, "LoaderEntryDefault", &ret->default_entry, error);
    r = r ?: read_text(machine, "LoaderEntryLastBooted", &ret->last_booted, error);
    if (r)
        return r;
    ret->machine = (struct systemd_boot_machine){
        .bank = machine->bank,
        .esp = machine->efi_system_partition,
        .boot = machine->extended_boot_partition,
        .loader = ret->path + strlen(machine->efi_system_partition),
        .entry_one_shot = ret->one_shot,
        .entry_default = ret->default_entry,
        .entry_last_booted = ret->last_booted,
        .secure_boot = running->secure_boot,
        .through_shim = running->shim,
        .phases = machine->phases,
        .phase_count = machine->phase_count,
    };
    return 0;
}

/* What is to be said of an entry. */
static int describe(const struct systemd_boot_entry *entry, struct predicted_boot *ret, struct error *error)
{
    ret->id = copy(entry->id);
    ret->title = copy(entry->title);
    if (asprintf(&ret->kernel, "%s%s", entry->folder, entry->image ? entry->image : "") < 0)
        ret->kernel = NULL;
    ret->initrds = calloc(entry->initrd_count + 1, sizeof(*ret->initrds));
    if (!ret->id || !ret->title || !ret->kernel || !ret->initrds)
        return error_no_memory(error);
    for (; ret->initrd_count < entry->initrd_count; ret->initrd_count++)
        if (asprintf(&ret->initrds[ret->initrd_count], "%s%s", entry->folder, entry->initrds[ret->initrd_count]) < 0)
            return error_no_memory(error);
    if (entry->version)
        snprintf(ret->label, sizeof(ret->label), "linux %.*s", 50, entry->version);
    return 0;
}

static int add_entry(struct boots *boots, const struct systemd_boot_machine *machine,
                     const struct systemd_boot_menu *menu, size_t i, struct error *error)
{
    const struct systemd_boot_entry *entry = &menu->entries[i];
    bool later = i == menu->lasting && i != menu->chosen;
    cleanup(predicted_boot_free) struct predicted_boot boot = { .chosen = i == menu->chosen || later, .step = later };
    cleanup(boot_prediction_free) struct boot_prediction measured = { 0 };
    int r = describe(entry, &boot, error);

    r = r ?: boots_start(boots, &measured, error);
    if (!r && entry->problem)
        r = boot_prediction_give_up(&measured, GIVEN_UP, error, "%s", entry->problem);
    else if (!r)
        r = systemd_boot_predict(machine, entry, &measured, error);
    return r ?: add(boots, &boot, entry->image ? boot.kernel : NULL, &measured, error);
}

int predict_systemd_boot(struct boots *boots, struct error *error)
{
    cleanup(loader_free) struct loader loader = { 0 };
    cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = { 0 };
    int r = read_loader(boots, &loader, error);

    r = r ?: systemd_boot_read_menu(&loader.machine, &menu, error);
    if (r == ERROR_FAILED || r == ERROR_METADATA)
        return add_unknown(boots, error->text, error);
    if (!r && menu.chosen == SYSTEMD_BOOT_NONE)
        r = add_unknown(boots, menu.reason ? menu.reason : "systemd-boot has no entry that boots by itself", error);
    for (size_t i = 0; !r && i < menu.count; i++)
        r = add_entry(boots, &loader.machine, &menu, i, error);
    return r;
}

/* The program of the EFI system partition that an entry starts; NULL when it starts something else, or that is not
 * known. An entry may name a disk alone, on which the firmware looks for the default program (UEFI 2.10, 3.5.1.1):
 * where that leads is known of the one that runs. */
static const char *program_of(const struct boots *boots, const struct boot_options *options,
                              const struct boot_option *option)
{
    const char *uuid = boots->machine->efi_system_partition_uuid;
    const char *running = boots->running->programs[0].name;

    if (!option->active || option->application)
        return NULL;
    if (option->file[0] == '\\')
        return !uuid || strcasestr(option->path, uuid) ? option->file : NULL;
    if (option->file[0] || option->number != options->current ||
        strncasecmp(running, DEFAULT_PROGRAM, strlen(DEFAULT_PROGRAM)) != 0)
        return NULL;
    return firmware_events_is_of_partition(boots->running, 0) ? running : NULL;
}

static int measure_option(const struct boots *boots, const struct boot_option *option, const char *path,
                          struct boot_prediction *ret, struct error *error)
{
    const struct predict_machine *machine = boots->machine;
    struct image_start start = {
        .bank = machine->bank,
        .folder = machine->efi_system_partition,
        .path = path + strlen(machine->efi_system_partition),
        .options = { option->options, option->options_size },
        .secure_boot = boots->running->secure_boot,
        .phases = machine->phases,
        .phase_count = machine->phase_count,
    };

    return boot_image_predict(&start, ret, error);
}

/* The place of an entry among the next boots: 0 for the next, 1 for the one after BootNext, -1 for none of them. */
static int step_of(const struct boot_options *options, const struct boot_option *option)
{
    struct boot_options later = *options;

    later.next = -1;
    if (option == boot_options_next(options))
        return 0;
    return boot_options_next(&later) && boot_options_next(&later)->number == option->number ? 1 : -1;
}

static int add_option(struct boots *boots, const struct boot_options *options, const struct boot_option *option,
                      const char *program, struct error *error)
{
    int step = step_of(options, option);
    cleanup(predicted_boot_free) struct predicted_boot boot = { .chosen = step >= 0, .step = step > 0 };
    cleanup(boot_prediction_free) struct boot_prediction measured = { 0 };
    cleanup(free_ptr) char *path = NULL;
    int r = boots_start(boots, &measured, error);

    if (asprintf(&boot.id, "Boot%04X", option->number) < 0)
        boot.id = NULL;
    boot.title = copy(option->description);
    snprintf(boot.label, sizeof(boot.label), "%s", option->description);
    if (r || !boot.id || !boot.title)
        return r ?: error_no_memory(error);
    if (program_find(boots->machine->efi_system_partition, program, &path, error))
        r = boot_prediction_give_up(&measured, GIVEN_UP, error, "%s", error->text);
    else
        r = measure_option(boots, option, path, &measured, error);
    boot.kernel = copy(path ? path : program);
    return r ?: add(boots, &boot, path, &measured, error);
}

int predict_firmware_images(struct boots *boots, const struct boot_options *options, struct error *error)
{
    const struct boot_option *next = boot_options_next(options);
    int r = 0;

    if (!boots->machine->efi_system_partition)
        return add_unknown(boots, "it is not known where the EFI system partition is mounted", error);
    if (!next || !program_of(boots, options, next))
        r = add_unknown(boots, "it cannot be told which of its boot entries the firmware will start", error);
    for (size_t i = 0; !r && i < options->count; i++) {
        const char *program = program_of(boots, options, &options->items[i]);

        if (program)
            r = add_option(boots, options, &options->items[i], program, error);
    }
    return r;
}
