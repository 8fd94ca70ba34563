#include "measure/predict/predict.h"

#include "base/cleanup.h"
#include "measure/predict/authority-events.h"
#include "measure/predict/boot-option.h"
#include "measure/predict/boots.h"
#include "measure/predict/firmware-events.h"
#include "measure/predict/owner-keys.h"
#include "measure/predict/predict-grub.h"
#include "measure/predict/predict-image.h"
#include "measure/predict/unlogged-boot.h"
#include "measure/replay.h"

#include <string.h>

#define IMA_PCR 10
#define DYNAMIC_PCRS 0x7e0000u /* 17 to 22 */
#define NEVER_KNOWN (DYNAMIC_PCRS | 1u << IMA_PCR)
#define AFTER_FIRMWARE 0xfb0u /* 4, 5, 7 to 11: what another boot entry of the firmware would make different */
#define AFTER_FIRMWARE_TOO (1u << 12 | 1u << 13 | 1u << 14)

void predicted_boot_free(struct predicted_boot *boot)
{
    free(boot->id);
    free(boot->title);
    free(boot->kernel);
    for (size_t i = 0; i < boot->initrd_count; i++)
        free(boot->initrds[i]);
    free(boot->initrds);
    free(boot->command_line);
    for (size_t i = 0; i < PCR_COUNT; i++)
        free(boot->unknown[i]);
    extend_list_free(&boot->extends);
    *boot = (struct predicted_boot){ 0 };
}

void prediction_free(struct prediction *prediction)
{
    for (size_t i = 0; i < prediction->count; i++)
        predicted_boot_free(&prediction->boots[i]);
    free(prediction->boots);
    *prediction = (struct prediction){ 0 };
}

int boots_start(const struct boots *boots, struct boot_prediction *ret, struct error *error)
{
    int r = boot_prediction_init(ret, boots->machine->bank, error);

    r = r ?: extend_list_append(&ret->extends, &boots->base.extends, error);
    for (unsigned pcr = 0; !r && pcr < PCR_COUNT; pcr++)
        if (boots->base.unknown & 1u << pcr)
            r = boot_prediction_give_up(ret, 1u << pcr, error, "%s", boots->base.reasons[pcr]);
    return r;
}

int boots_finish(const struct boots *boots, const char *image, uint32_t predicted, struct boot_prediction *measured,
                 struct error *error)
{
    int r = boots->running ? authority_events_predict(boots->running, image, measured, error) : 0;

    if (!boots->running)
        return r;
    return r ?: firmware_events_predict_rest(boots->running, predicted, measured, error);
}

void boots_label(struct predicted_boot *boot, const char *kernel)
{
    static const char *const prefixes[] = { "vmlinuz-", "linux-", "vmlinux-" };
    const char *name = strrchr(kernel, '/');

    name = name ? name + 1 : kernel;
    for (size_t i = 0; i < array_size(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            name += strlen(prefixes[i]);
            break;
        }
    snprintf(boot->label, sizeof(boot->label), "linux%s%.*s%s", *name ? " " : "", 48, name,
             boot->shell ? " (shell)" : "");
}

/* The values before the first event. */
static int first_values(const struct boots *boots, struct pcr_values *ret, struct error *error)
{
    uint8_t locality = 0;
    int r = boots->machine->log ? event_log_startup_locality(boots->machine->log, &locality, error) : 0;

    *ret = (struct pcr_values){ .bank = boots->machine->bank, .mask = ((1u << PCR_COUNT) - 1) & ~NEVER_KNOWN };
    ret->value[0][hash_size(boots->machine->bank) - 1] = locality;
    return r;
}

/* A reason for each PCR that is not known. */
static int take_reasons(const struct boots *boots, struct boot_prediction *measured, struct predicted_boot *boot,
                        struct error *error)
{
    int r = boot_prediction_give_up(measured, 1u << IMA_PCR, error, "Linux extends it while it runs (IMA)");

    r = r
            ?: boot_prediction_give_up(measured, DYNAMIC_PCRS, error,
                                       "it is reset by a launch that no event log tells of");
    r = r
            ?: boot_prediction_give_up(measured, boots->distrusted, error,
                                       "in the running boot it had another value than the event log gives");
    boot->values.mask &= ~measured->unknown;
    boot->distrusted = boots->distrusted;
    for (size_t i = 0; i < PCR_COUNT; i++)
        boot->unknown[i] = take_ptr(measured->reasons[i]);
    return r;
}

/* Room for one more boot; past the limit ERROR_FAILED. */
static int grow(struct prediction *prediction, struct error *error)
{
    struct predicted_boot *items;

    if (prediction->count == PREDICT_MAX_BOOTS)
        return error_set(error, ERROR_FAILED, "this machine has more than %d boots to predict", PREDICT_MAX_BOOTS);
    items = reallocarray(prediction->boots, prediction->count + 1, sizeof(*items));
    if (!items)
        return error_no_memory(error);
    prediction->boots = items;
    return 0;
}

int boots_add(struct boots *boots, struct predicted_boot *boot, struct boot_prediction *measured, struct error *error)
{
    int r = first_values(boots, &boot->values, error);

    if (!r && boots->unlogged)
        unlogged_boot_take_recorded(boots->machine, &measured->extends, &boot->values);
    r = r ?: extend_list_apply(&measured->extends, &boot->values, error);
    r = r ?: take_reasons(boots, measured, boot, error);
    r = r ?: grow(boots->ret, error);
    if (r)
        return r;
    boot->extends = measured->extends;
    measured->extends = (struct extend_list){ .bank = boots->machine->bank };
    boots->ret->boots[boots->ret->count++] = *boot;
    *boot = (struct predicted_boot){ 0 };
    return 0;
}

/* The next boot may start something else than this one did. */
static int check_next(size_t attempts, const struct boot_options *options, struct boot_prediction *base,
                      struct error *error)
{
    const struct boot_option *next = boot_options_next(options);

    if (!next || options->current < 0 || next->number == options->current || (attempts > 1 && options->next < 0))
        return 0;
    return boot_prediction_give_up(base, AFTER_FIRMWARE | AFTER_FIRMWARE_TOO, error,
                                   "the firmware will start Boot%04X (%s) next, not Boot%04X which runs now",
                                   next->number, next->description, options->current);
}

/* PCRs that had another value at the unlocking than the log gives. */
static int find_distrusted(struct boots *boots, struct error *error)
{
    const struct predict_machine *machine = boots->machine;
    struct pcr_values replayed;
    int r;

    if (!machine->recorded || machine->recorded->bank != machine->bank)
        return 0;
    r = event_log_replay(machine->log, machine->bank, &replayed, error);
    for (size_t i = 0; !r && i < machine->phase_count; i++)
        r = pcr_extend(&replayed, 11, machine->phases[i], strlen(machine->phases[i]), error);
    if (!r)
        boots->distrusted = pcr_values_differ(&replayed, machine->recorded, machine->recorded->mask) & ~NEVER_KNOWN;
    return r;
}

static int predict_chain(struct boots *boots, const struct boot_options *options, struct error *error)
{
    switch (boots->running->chain) {
    case CHAIN_SHIM_GRUB:
    case CHAIN_GRUB:
        return predict_grub(boots, error);
    case CHAIN_SYSTEMD_BOOT:
        return predict_systemd_boot(boots, error);
    default:
        return boots->running->loader != NO_PROGRAM ? predict_systemd_boot(boots, error)
                                                    : predict_firmware_images(boots, options, error);
    }
}

/* One boot without any value. */
static int add_nothing(struct boots *boots, const char *why, struct error *error)
{
    cleanup(predicted_boot_free) struct predicted_boot boot = { .chosen = true };
    cleanup(boot_prediction_free) struct boot_prediction measured = { 0 };
    int r = boot_prediction_init(&measured, boots->machine->bank, error);

    r = r ?: boot_prediction_give_up(&measured, BOOT_ALL_PCRS, error, "%s", why);
    boot.id = strdup("");
    boot.title = strdup("");
    boot.kernel = strdup("");
    boot.command_line = strdup("");
    boots_label(&boot, "");
    if (!r && (!boot.id || !boot.title || !boot.kernel || !boot.command_line))
        r = error_no_memory(error);
    return r ?: boots_add(boots, &boot, &measured, error);
}

static int predict_running(struct boots *boots, struct running_boot *running, struct error *error)
{
    const struct predict_machine *machine = boots->machine;
    cleanup(boot_options_free) struct boot_options options = { .next = -1, .current = -1 };
    int r = find_distrusted(boots, error);

    running->again = boots->again;
    boots->running = running;
    boots->ret->chain = running->chain;
    r = r ?: boot_prediction_init(&boots->base, machine->bank, error);
    r = r ?: boot_options_read(machine->variables, machine->changed, &options, error);
    if (!r && running->shim && !boots->again)
        r = owner_keys_expect_manager(running, &boots->base, error);
    r = r ?: firmware_events_predict(running, &boots->base, error);
    if (!r && running->loader != NO_PROGRAM && !boots->again)
        r = check_next(running->attempts, &options, &boots->base, error);
    return r ?: predict_chain(boots, &options, error);
}

/* Without a log: what the running boot measured is not told by anything but its values. */
static int predict_unlogged(struct boots *boots, const struct boot_options *options, struct program_cache *cache,
                            struct error *error)
{
    int r = boot_prediction_init(&boots->base, boots->machine->bank, error);

    boots->ret->chain = boots->unlogged->chain;
    r = r ?: unlogged_boot_predict(boots->machine, boots->unlogged, cache, &boots->base, error);
    if (!r && boots->unlogged->shim && !boots->again)
        r = owner_keys_check_requests(boots->machine, &boots->base, error);
    if (!r && !boots->again)
        r = check_next(1, options, &boots->base, error);
    return r ?: predict_grub(boots, error);
}

static int predict_without_log(struct boots *boots, struct program_cache *cache, struct error *error)
{
    cleanup(boot_options_free) struct boot_options options = { .next = -1, .current = -1 };
    cleanup(unlogged_boot_free) struct unlogged_boot unlogged = { 0 };
    const struct predict_machine *machine = boots->machine;
    int r = boot_options_read(machine->variables, machine->changed, &options, error);

    r = r ?: unlogged_boot_read(machine, &options, &unlogged, error);
    if (r)
        return r == ERROR_FAILED ? add_nothing(boots, error->text, error) : r;
    boots->unlogged = &unlogged;
    r = predict_unlogged(boots, &options, cache, error);
    boots->unlogged = NULL;
    return r;
}

int boots_predict(const struct predict_machine *machine, bool again, struct prediction *ret, struct error *error)
{
    cleanup(program_cache_free) struct program_cache cache = { 0 };
    cleanup(hashed_files_free) struct hashed_files hashed = { 0 };
    struct boots boots = { .machine = machine, .again = again, .ret = ret };
    struct running_boot running;
    int r;

    *ret = (struct prediction){ 0 };
    boots.hashed = machine->hashed ? machine->hashed : &hashed;
    if (hash_size(machine->bank) == 0)
        return error_set(error, ERROR_USAGE, "this bank of PCRs is not known");
    r = machine->log ? running_boot_read(machine, &cache, &running, error) : 0;
    if (!machine->log)
        r = predict_without_log(&boots, &cache, error);
    else if (r == ERROR_FAILED)
        r = add_nothing(&boots, error->text, error);
    else if (!r)
        r = predict_running(&boots, &running, error);
    boot_prediction_free(&boots.base);
    if (r)
        prediction_free(ret);
    return r;
}

int predict_boots(const struct predict_machine *machine, struct prediction *ret, struct error *error)
{
    return boots_predict(machine, false, ret, error);
}
