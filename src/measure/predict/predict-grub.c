#include "measure/predict/predict-grub.h"

#include "base/cleanup.h"
#include "measure/predict/authority-events.h"
#include "measure/predict/command-line.h"
#include "measure/predict/firmware-events.h"
#include "measure/predict/grub-start.h"
#include "measure/predict/grub/grub.h"
#include "measure/predict/unlogged-boot.h"

#include <string.h>

#define GRUBS_PCRS (1u << 8 | 1u << 9)
#define KNOWN_FILES_MAX 128

/* The files that are not read from disk: the caller's, and what GRUB will have written. */
struct known_files {
    struct grub_known_file items[KNOWN_FILES_MAX];
    size_t count;
};

/* One order of the disks. */
struct order {
    struct boots *boots;
    size_t number;
    struct grub_start start;
    const struct boot_places *places;
    struct known_files known;
};

static int give_up(struct boot_prediction *measured, const char *why, struct error *error)
{
    return boot_prediction_give_up(measured, GRUBS_PCRS | 1u << 4 | 1u << 7, error, "%s", why);
}

static void add_known(struct known_files *known, struct grub_known_file file)
{
    if (known->count < KNOWN_FILES_MAX)
        known->items[known->count++] = file;
}

/* The place of the EFI system partition; NULL when the order has none. */
static const struct boot_place *find_start_place(const struct predict_machine *machine,
                                                 const struct boot_places *places)
{
    for (size_t i = 0; machine->efi_system_partition && i < places->count; i++)
        if (strcmp(places->items[i].folder, machine->efi_system_partition) == 0)
            return &places->items[i];
    return NULL;
}

static int predict_choice(const struct order *order, const char *choice, struct grub_boot *ret, struct error *error)
{
    const struct running_boot *running = order->boots->running;
    struct grub_request request = {
        .bank = order->boots->machine->bank,
        .places = order->places,
        .secure_boot = running && running->secure_boot,
        .config = order->start.config,
        .prefix = order->start.prefix,
        .cmdpath = order->start.cmdpath,
        .root = order->start.root,
        .choice = choice,
        .known_files = order->known.items,
        .known_file_count = order->known.count,
        .hashed = order->boots->hashed,
    };

    return grub_predict(&request, ret, error);
}

/* Kernels are measured into PCR 4 as often as in the running boot: shim and firmware both do, one of them or none. */
static int add_kernel(const struct running_boot *running, const char *kernel, struct boot_prediction *measured,
                      struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    uint8_t digest[HASH_MAX_BYTES];
    size_t size = hash_size(running->machine->bank);
    int r;

    if (running->image == NO_PROGRAM)
        return 0;
    for (size_t i = running->image + 1; i < running->program_count; i++)
        if (memcmp(running->programs[i].digest, running->programs[running->image].digest, size) != 0)
            return boot_prediction_give_up(measured, 1u << 4, error, "GRUB started more than one program");
    r = firmware_events_hash_program(running, &measured->extends, kernel, digest, error);
    if (r)
        return boot_prediction_give_up(measured, 1u << 4, error, "%s", error->text);
    if (asprintf(&text, "the kernel %s", kernel) < 0) {
        text = NULL;
        return error_no_memory(error);
    }
    for (size_t i = running->image; !r && i < running->program_count; i++)
        r = extend_list_add(&measured->extends, 4, digest, text, error);
    return r;
}

/* All that the boot measures. */
static int measure(const struct order *order, const struct grub_boot *grub, struct boot_prediction *ret,
                   struct error *error)
{
    const struct running_boot *running = order->boots->running;
    int r = boots_start(order->boots, ret, error);

    r = r ?: extend_list_append(&ret->extends, &order->start.commands, error);
    r = r ?: extend_list_append(&ret->extends, &grub->extends, error);
    if (!r && running)
        r = add_kernel(running, grub->kernel, ret, error);
    return r ?: boots_finish(order->boots, grub->kernel, GRUBS_PCRS, ret, error);
}

static char *copy(const char *text)
{
    return strdup(text ? text : "");
}

static int copy_initrds(const struct grub_boot *grub, struct predicted_boot *ret, struct error *error)
{
    ret->initrds = calloc(grub->initrd_count + 1, sizeof(*ret->initrds));
    if (!ret->initrds)
        return error_no_memory(error);
    for (; ret->initrd_count < grub->initrd_count; ret->initrd_count++) {
        ret->initrds[ret->initrd_count] = strdup(grub->initrds[ret->initrd_count]);
        if (!ret->initrds[ret->initrd_count])
            return error_no_memory(error);
    }
    return 0;
}

/* What is to be said of the boot. */
static int describe(const struct order *order, const struct grub_boot *grub, struct predicted_boot *ret,
                    struct error *error)
{
    const struct grub_menu_entry *entry = &grub->menu[grub->chosen];
    char word[COMMAND_LINE_WORD];

    ret->id = copy(entry->path);
    ret->title = copy(entry->title);
    ret->kernel = copy(grub->kernel);
    ret->command_line = copy(grub->command_line);
    if (!ret->id || !ret->title || !ret->kernel || !ret->command_line)
        return error_no_memory(error);
    ret->shell = command_line_gives_shell(ret->command_line, word);
    ret->order = order->number;
    boots_label(ret, ret->kernel);
    return copy_initrds(grub, ret, error);
}

static int add_boot(struct order *order, const struct grub_boot *grub, bool chosen, size_t step, struct error *error)
{
    cleanup(predicted_boot_free) struct predicted_boot boot = { .chosen = chosen, .step = step };
    cleanup(boot_prediction_free) struct boot_prediction measured = { 0 };
    int r = describe(order, grub, &boot, error);

    r = r ?: measure(order, grub, &measured, error);
    return r ?: boots_add(order->boots, &boot, &measured, error);
}

/* A boot that cannot be followed, and why. */
static int add_unknown(struct order *order, const struct grub_menu_entry *entry, bool chosen, size_t step,
                       const char *why, struct error *error)
{
    cleanup(predicted_boot_free) struct predicted_boot boot = { .chosen = chosen, .step = step };
    cleanup(boot_prediction_free) struct boot_prediction measured = { 0 };
    int r = boots_start(order->boots, &measured, error);

    boot.id = copy(entry ? entry->path : "");
    boot.title = copy(entry ? entry->title : "");
    boot.kernel = copy("");
    boot.command_line = copy("");
    boot.order = order->number;
    boots_label(&boot, "");
    if (!r && (!boot.id || !boot.title || !boot.kernel || !boot.command_line))
        r = error_no_memory(error);
    r = r ?: give_up(&measured, why, error);
    if (!r && order->boots->running)
        r = firmware_events_predict_rest(order->boots->running, GRUBS_PCRS, &measured, error);
    return r ?: boots_add(order->boots, &boot, &measured, error);
}

/* The boot after the next one, where GRUB writes to grubenv; nothing when it is the next one once more. */
static int add_second_boot(struct order *order, const struct grub_boot *first, struct error *error)
{
    cleanup(grub_boot_free) struct grub_boot second = { 0 };
    struct known_files known = order->known;
    int r;

    order->known.count = 0; /* what GRUB wrote counts before what the caller knows */
    for (size_t i = 0; i < first->written_count; i++) {
        const struct grub_written_file *written = &first->written[i];

        add_known(&order->known,
                  (struct grub_known_file){ .path = written->path, .bytes = written->bytes, .size = written->size });
    }
    for (size_t i = 0; i < known.count; i++)
        add_known(&order->known, known.items[i]);
    r = predict_choice(order, NULL, &second, error);
    r = r ? add_unknown(order, NULL, true, 1, error->text, error) : add_boot(order, &second, true, 1, error);
    order->known = known;
    return r;
}

/* An entry that a person chooses. */
static int add_entry(struct order *order, const struct grub_menu_entry *entry, struct error *error)
{
    cleanup(grub_boot_free) struct grub_boot grub = { 0 };
    int r = predict_choice(order, entry->path, &grub, error);

    if (r)
        return add_unknown(order, entry, false, 0, error->text, error);
    return add_boot(order, &grub, false, 0, error);
}

/* The next boot, the one after it, and the menu's entries. The one that boots by itself is in the top menu the same
 * when a person chooses it. */
static int add_boots(struct order *order, struct error *error)
{
    cleanup(grub_boot_free) struct grub_boot grub = { 0 };
    int r = predict_choice(order, NULL, &grub, error);

    if (r)
        return add_unknown(order, NULL, true, 0, error->text, error);
    r = add_boot(order, &grub, true, 0, error);
    if (!r && grub.written_count > 0)
        r = add_second_boot(order, &grub, error);
    for (size_t i = 0; !r && i < grub.menu_count; i++)
        if (!grub.menu[i].submenu && !(i == grub.chosen && grub.menu[i].depth == 0 && grub.written_count == 0))
            r = add_entry(order, &grub.menu[i], error);
    return r;
}

/* What GRUB does before its first file: as in the running boot. */
static int read_start(const struct boots *boots, const struct boot_place *place, struct grub_start *ret,
                      struct error *error)
{
    const struct predict_machine *machine = boots->machine;
    const struct running_boot *running = boots->running;

    if (!running)
        return grub_start_debian(machine->bank, place, boots->unlogged->folder, ret, error);
    return grub_start_read(&(struct grub_log){ machine->log, machine->components,
                                               running->programs[running->loader].event, running->body },
                           machine->bank, place, ret, error);
}

static int predict_order(struct boots *boots, size_t number, struct error *error)
{
    const struct predict_machine *machine = boots->machine;
    struct order order = { .boots = boots, .number = number, .places = &machine->orders[number] };
    const struct boot_place *place = find_start_place(machine, order.places);
    int r;

    for (size_t i = 0; i < machine->known_file_count; i++)
        add_known(&order.known, machine->known_files[i]);
    if (!place)
        return add_unknown(&order, NULL, true, 0,
                           "it is not known on which of GRUB's disks the EFI system partition is", error);
    r = read_start(boots, place, &order.start, error);
    r = r ? add_unknown(&order, NULL, true, 0, error->text, error) : add_boots(&order, error);
    grub_start_free(&order.start);
    return r;
}

int predict_grub(struct boots *boots, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < boots->machine->order_count; i++)
        r = predict_order(boots, i, error);
    return r;
}
