#include "measure/predict/firmware-events.h"

#include "base/cleanup.h"
#include "measure/efi-variable.h"
#include "measure/event-type.h"
#include "measure/predict/owner-keys.h"
#include "measure/predict/program.h"
#include "measure/text.h"

#include <string.h>

#define FIRMWARE_FILE "FvFile(" /* a program in the firmware's own flash */

/* What of a variable's event was hashed. */
enum variable_form { FORM_OTHER, FORM_WHOLE, FORM_DATA };

static bool is_digest_of(const struct running_boot *running, const struct event *event, struct span bytes)
{
    uint8_t digest[HASH_MAX_BYTES];
    struct error ignored;

    return !hash_compute(running->machine->bank, &bytes, 1, digest, &ignored) &&
           memcmp(digest, event->digest[running->bank], hash_size(running->machine->bank)) == 0;
}

static enum variable_form form_of(const struct running_boot *running, const struct event *event,
                                  const struct efi_variable *variable)
{
    if (is_digest_of(running, event, event->data))
        return FORM_WHOLE;
    return is_digest_of(running, event, variable->data) ? FORM_DATA : FORM_OTHER;
}

/* Variables that every system shows where they exist: one that is gone was removed. */
static bool is_always_shown(const struct efi_variable *variable)
{
    return efi_variable_is_key_list(variable) || efi_variable_is_secure_boot(variable) ||
           (memcmp(variable->vendor, vendor_global, GUID_BYTES) == 0 && strncmp(variable->name, "Boot", 4) == 0);
}

static int measure_anew(const struct running_boot *running, size_t i, enum variable_form form,
                        const struct firmware_variable *now, struct boot_prediction *ret, struct error *error)
{
    const struct event *event = &running->machine->log->events[i];
    cleanup(free_ptr) char *words = running_boot_words(running->machine, i);
    cleanup(free_ptr) uint8_t *whole = NULL;
    struct span data = { now->data, now->size };
    size_t size = 0;
    int r = words ? 0 : error_no_memory(error);

    if (form == FORM_DATA)
        return r ?: extend_list_add_data(&ret->extends, event->pcr, data.bytes, data.size, words, error);
    r = r ?: firmware_variable_measured(now->vendor, now->name, data, &whole, &size, error);
    return r ?: extend_list_add_data(&ret->extends, event->pcr, whole, size, words, error);
}

static int give_up_variable(const struct event *event, const struct efi_variable *variable, const char *why,
                            struct boot_prediction *ret, struct error *error)
{
    return boot_prediction_give_up(ret, 1u << event->pcr, error, "the firmware variable \"%s\" %s", variable->name,
                                   why);
}

/* An event of a variable's contents, as they are now. */
static int predict_variable(const struct running_boot *running, size_t i, struct boot_prediction *ret,
                            struct error *error)
{
    const struct predict_machine *machine = running->machine;
    const struct event *event = &machine->log->events[i];
    cleanup(firmware_variable_free) struct firmware_variable now = { 0 };
    struct efi_variable variable;
    enum variable_form form;
    bool found;
    int r;

    if (!efi_variable_parse(event->data, &variable))
        return running_boot_keep(running, i, ret, error);
    if (!machine->variables)
        return give_up_variable(event, &variable, "cannot be read", ret, error);
    r = firmware_variable_read(machine->variables, machine->changed, variable.vendor, variable.name, &now, &found,
                               error);
    if (r)
        return give_up_variable(event, &variable, "cannot be read", ret, error);
    if (found ? now.size == variable.data.size && memcmp(now.data, variable.data.bytes, now.size) == 0
              : variable.data.size == 0 || !is_always_shown(&variable))
        return running_boot_keep(running, i, ret, error);
    if (!found)
        return give_up_variable(event, &variable, "is gone", ret, error);
    form = form_of(running, event, &variable);
    if (form == FORM_OTHER)
        return give_up_variable(event, &variable, "was changed, and the firmware measures it in a form of its own", ret,
                                error);
    return measure_anew(running, i, form, &now, ret, error);
}

/* Adds the source, and hands out the hash. */
static int take_program(const struct running_boot *running, struct extend_list *list, const char *path,
                        const struct digest *sha256, const uint8_t *digest, uint8_t *ret, struct error *error)
{
    memcpy(ret, digest, hash_size(running->machine->bank));
    return extend_list_add_source(list, path, sha256, error);
}

static int hash_anew(const struct running_boot *running, struct extend_list *list, const char *path, uint8_t *ret,
                     struct error *error)
{
    struct program_cache *cache = running->cache;
    struct digest sha256;
    int r = program_hash(path, running->machine->bank, ret, &sha256, error);

    r = r ?: extend_list_add_source(list, path, &sha256, error);
    if (r || cache->count == PROGRAM_CACHE_MAX)
        return r;
    cache->items[cache->count].path = strdup(path);
    if (!cache->items[cache->count].path)
        return error_no_memory(error);
    cache->items[cache->count].sha256 = sha256;
    memcpy(cache->items[cache->count++].digest, ret, hash_size(running->machine->bank));
    return 0;
}

int firmware_events_hash_program(const struct running_boot *running, struct extend_list *list, const char *path,
                                 uint8_t *ret, struct error *error)
{
    const struct predict_machine *machine = running->machine;
    const struct program_cache *cache = running->cache;

    for (size_t i = 0; i < machine->known_program_count; i++)
        if (strcmp(machine->known_programs[i].path, path) == 0)
            return take_program(running, list, path, machine->known_programs[i].sha256,
                                machine->known_programs[i].digest, ret, error);
    for (size_t i = 0; i < cache->count; i++)
        if (strcmp(cache->items[i].path, path) == 0)
            return take_program(running, list, path, &cache->items[i].sha256, cache->items[i].digest, ret, error);
    return hash_anew(running, list, path, ret, error);
}

bool firmware_events_is_of_partition(const struct running_boot *running, size_t program)
{
    const struct predict_machine *machine = running->machine;
    const char *path = machine->components->items[running->programs[program].event].value;

    return !machine->efi_system_partition_uuid || !strstr(path, "/HD(") ||
           strcasestr(path, machine->efi_system_partition_uuid);
}

int firmware_events_find_program(const struct running_boot *running, size_t program, char **ret, struct error *error)
{
    const char *name = running->programs[program].name;

    *ret = NULL;
    if (!running->machine->efi_system_partition)
        return error_set(error, ERROR_FAILED, "it is not known where the EFI system partition is mounted");
    if (!firmware_events_is_of_partition(running, program))
        return error_set(error, ERROR_FAILED, "\"%s\" came from another partition than \"%s\"", name,
                         running->machine->efi_system_partition);
    return program_find(running->machine->efi_system_partition, name, ret, error);
}

/* A program of PCR 4 as it is now. */
static int predict_program(const struct running_boot *running, size_t program, struct boot_prediction *ret,
                           struct error *error)
{
    size_t event = running->programs[program].event;
    cleanup(free_ptr) char *words = running_boot_words(running->machine, event);
    cleanup(free_ptr) char *path = NULL;
    uint8_t digest[HASH_MAX_BYTES];
    int r;

    if (strncmp(running->programs[program].name, FIRMWARE_FILE, strlen(FIRMWARE_FILE)) == 0)
        return running_boot_keep(running, event, ret, error);
    if (!words)
        return error_no_memory(error);
    r = firmware_events_find_program(running, program, &path, error);
    r = r ?: firmware_events_hash_program(running, &ret->extends, path, digest, error);
    if (r)
        return boot_prediction_give_up(ret, 1u << 4, error, "%s", error->text);
    return extend_list_add(&ret->extends, 4, digest, words, error);
}

/* The running boot's place in programs[] of an event; NO_PROGRAM when it is none. */
static size_t program_of(const struct running_boot *running, size_t event)
{
    for (size_t i = 0; i < running->program_count; i++)
        if (running->programs[i].event == event)
            return i;
    return NO_PROGRAM;
}

/* True for what others predict: GRUB's own events, and who vouched for a program. */
static bool is_of_others(const struct running_boot *running, size_t i)
{
    const struct event *event = &running->machine->log->events[i];
    bool grub = running->chain == CHAIN_SHIM_GRUB || running->chain == CHAIN_GRUB;

    if (i < running->start)
        return false;
    return event->pcr == 7 || (grub && (event->pcr == 8 || event->pcr == 9));
}

static int predict_event(const struct running_boot *running, size_t i, struct boot_prediction *ret, struct error *error)
{
    const struct event *event = &running->machine->log->events[i];
    size_t program = program_of(running, i);

    if (!event_is_extended(event) || is_of_others(running, i) || (i == running->manager && !running->again))
        return 0;
    if (program == 0 && running->shim)
        return predict_program(running, program, ret, error) ?: owner_keys_predict_manager(running, ret, error);
    if (program != NO_PROGRAM)
        return predict_program(running, program, ret, error);
    if (owner_keys_is_list(running, i))
        return owner_keys_predict_list(running, i, ret, error);
    switch (event->type) {
    case EVENT_VARIABLE_DRIVER_CONFIG:
    case EVENT_VARIABLE_BOOT:
    case EVENT_VARIABLE_BOOT2:
        return predict_variable(running, i, ret, error);
    default:
        return running_boot_keep(running, i, ret, error);
    }
}

static bool is_measured(const struct running_boot *running, const struct firmware_variable *wanted)
{
    const struct event_log *log = running->machine->log;

    for (size_t i = 0; i < running->body; i++) {
        struct efi_variable variable;

        if (log->events[i].type == EVENT_VARIABLE_DRIVER_CONFIG && efi_variable_parse(log->events[i].data, &variable) &&
            memcmp(variable.vendor, wanted->vendor, GUID_BYTES) == 0 && strcmp(variable.name, wanted->name) == 0)
            return true;
    }
    return false;
}

static int check_platform_key(const struct running_boot *running, const struct firmware_variable *after,
                              struct boot_prediction *ret, struct error *error)
{
    const struct predict_machine *machine = running->machine;
    cleanup(firmware_variable_free) struct firmware_variable before = { 0 };
    bool found;
    int r = firmware_variable_read(machine->variables, NULL, after->vendor, after->name, &before, &found, error);

    if (r || (before.size > 0) == (after->size > 0))
        return r;
    return boot_prediction_give_up(ret, 1u << 7, error, "with the platform key (PK), Secure Boot comes or goes");
}

/* Where a variable that will be another one is measured must be known. A machine that gets a platform key, or loses it,
 * comes out of setup mode or into it, and Secure Boot with it. */
static int check_changed(const struct running_boot *running, struct boot_prediction *ret, struct error *error)
{
    const struct firmware_variable_list *changed = running->machine->changed;
    int r = 0;

    for (size_t i = 0; !r && changed && i < changed->count; i++) {
        const struct firmware_variable *variable = &changed->items[i];

        if (memcmp(variable->vendor, vendor_shim, GUID_BYTES) == 0)
            continue;
        if (!is_measured(running, variable))
            r = boot_prediction_give_up(ret, 1u << 7, error, "the running boot did not measure the variable \"%s\"",
                                        variable->name);
        else if (strcmp(variable->name, "PK") == 0)
            r = check_platform_key(running, variable, ret, error);
    }
    return r;
}

int firmware_events_predict(const struct running_boot *running, struct boot_prediction *ret, struct error *error)
{
    size_t before = running->loader != NO_PROGRAM ? running->loader : running->image;
    int r = 0;

    for (size_t i = 0; !r && i < running->body; i++)
        r = predict_event(running, i, ret, error);
    r = r ?: check_changed(running, ret, error);
    if (!r && running->shim)
        r = owner_keys_check_shim(running, ret, error);
    if (!r && before > (size_t)running->shim)
        r = boot_prediction_give_up(ret, PCRS_OF_SHIM, error, "this boot went through \"%s\", the next one may not",
                                    running->programs[before - 1].name);
    return r;
}

int firmware_events_predict_rest(const struct running_boot *running, uint32_t predicted, struct boot_prediction *ret,
                                 struct error *error)
{
    int r = 0;

    for (size_t i = running->body; !r && i < running->machine->log->count; i++) {
        const struct event *event = &running->machine->log->events[i];

        if (event_is_extended(event) && event->pcr != 7 && !(predicted & 1u << event->pcr) &&
            program_of(running, i) == NO_PROGRAM)
            r = running_boot_keep(running, i, ret, error);
    }
    return r;
}
