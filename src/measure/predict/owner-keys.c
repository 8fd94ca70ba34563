#include "measure/predict/owner-keys.h"

#include "base/cleanup.h"
#include "measure/predict/firmware-events.h"
#include "measure/predict/mok-request.h"
#include "measure/predict/program.h"
#include "measure/predict/shim.h"

#include <string.h>

#define KEYS "MokListRT"

bool owner_keys_matter(const struct running_boot *running)
{
    return firmware_variable_list_find(running->machine->changed, vendor_shim, KEYS) || running->asks ||
           (running->manager != NO_PROGRAM && !running->again);
}

bool owner_keys_is_list(const struct running_boot *running, size_t event)
{
    const struct component *component = &running->machine->components->items[event];

    return running->machine->log->events[event].pcr == PCR_OWNER_KEYS && component->kind == COMPONENT_OWNER_KEYS &&
           strcmp(component->name, "MokList") == 0;
}

/* True when the event is the digest of the keys that the system shows. */
static int check_form(const struct running_boot *running, size_t event, bool *ret, struct error *error)
{
    const struct predict_machine *machine = running->machine;
    cleanup(firmware_variable_free) struct firmware_variable keys = { 0 };
    uint8_t digest[HASH_MAX_BYTES];
    bool found;
    int r = firmware_variable_read(machine->variables, NULL, vendor_shim, KEYS, &keys, &found, error);

    r = r ?: hash_compute(machine->bank, &(struct span){ keys.data, keys.size }, 1, digest, error);
    *ret =
        !r && found && memcmp(digest, machine->log->events[event].digest[running->bank], hash_size(machine->bank)) == 0;
    return r;
}

int owner_keys_predict_list(const struct running_boot *running, size_t event, struct boot_prediction *ret,
                            struct error *error)
{
    const struct predict_machine *machine = running->machine;
    const struct firmware_variable *keys = firmware_variable_list_find(machine->changed, vendor_shim, KEYS);
    cleanup(free_ptr) char *words = NULL;
    bool good;
    int r;

    if (!keys)
        return running_boot_keep(running, event, ret, error);
    r = check_form(running, event, &good, error);
    if (r || !good)
        return r
                   ?: boot_prediction_give_up(ret, 1u << PCR_OWNER_KEYS, error,
                                              "shim measures the machine owner's keys in a form that is not known");
    words = running_boot_words(machine, event);
    if (!words)
        return error_no_memory(error);
    return extend_list_add_data(&ret->extends, PCR_OWNER_KEYS, keys->data, keys->size, words, error);
}

static int give_up(const char *name, struct boot_prediction *ret, struct error *error)
{
    return boot_prediction_give_up(ret, PCRS_OF_SHIM, error,
                                   "shim's MokManager will ask about a change of the machine owner's keys (%s)", name);
}

int owner_keys_check_requests(const struct predict_machine *machine, struct boot_prediction *ret, struct error *error)
{
    enum mok_request request;
    const char *name;
    int r = mok_request_read(machine->variables, machine->changed, &request, &name, error);

    return r || request == MOK_REQUEST_NONE ? r : give_up(name, ret, error);
}

int owner_keys_expect_manager(struct running_boot *running, struct boot_prediction *ret, struct error *error)
{
    const struct predict_machine *machine = running->machine;
    enum mok_request request;
    const char *name;
    int r = mok_request_read(machine->variables, machine->changed, &request, &name, error);

    running->asks = !r && request == MOK_REQUEST_IMPORT;
    return r || request != MOK_REQUEST_OTHER ? r : give_up(name, ret, error);
}

int owner_keys_find_manager(const struct running_boot *running, char **ret, struct error *error)
{
    static const char *const names[] = { MOK_MANAGERS };
    cleanup(free_ptr) char *shim = NULL;
    int r = firmware_events_find_program(running, 0, &shim, error);

    *ret = NULL;
    if (r)
        return r;
    *strrchr(shim, '/') = '\0';
    for (size_t i = 0; i < array_size(names) && !*ret; i++)
        (void)program_find(shim, names[i], ret, error);
    return *ret ? 0 : error_set(error, ERROR_FAILED, "shim's MokManager is not in \"%s\"", shim);
}

static int hash_manager(const struct running_boot *running, struct extend_list *list, uint8_t *ret, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = owner_keys_find_manager(running, &path, error);

    return r ?: firmware_events_hash_program(running, list, path, ret, error);
}

int owner_keys_predict_manager(const struct running_boot *running, struct boot_prediction *ret, struct error *error)
{
    uint8_t digest[HASH_MAX_BYTES];

    if (!running->asks)
        return 0;
    if (hash_manager(running, &ret->extends, digest, error))
        return boot_prediction_give_up(ret, PCRS_OF_SHIM, error, "%s", error->text);
    return extend_list_add(&ret->extends, 4, digest, "shim's MokManager", error);
}

/* True when the variable starts with the lists that shim brings, which are then no others than before. */
static int starts_with_lists(const struct predict_machine *machine, const char *shim, bool revoked, bool *ret,
                             struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable now = { 0 };
    cleanup(free_ptr) uint8_t *lists = NULL;
    size_t size;
    bool found;
    int r = shim_vendor_lists(shim, revoked, &lists, &size, error);

    r = r
            ?: firmware_variable_read(machine->variables, machine->changed, vendor_shim, revoked ? "MokListXRT" : KEYS,
                                      &now, &found, error);
    if (r)
        return r;
    *ret = found && now.size >= size && (size == 0 || memcmp(now.data, lists, size) == 0);
    return 0;
}

/* A new shim may bring other keys of its own, which it measures together with the owner's. */
int owner_keys_check_shim(const struct running_boot *running, struct boot_prediction *ret, struct error *error)
{
    const struct predict_machine *machine = running->machine;
    cleanup(free_ptr) char *shim = NULL;
    uint8_t digest[HASH_MAX_BYTES];
    bool same = true, same_revoked = true;
    int r = firmware_events_find_program(running, 0, &shim, error);

    r = r ?: firmware_events_hash_program(running, &ret->extends, shim, digest, error);
    if (!r && memcmp(digest, running->programs[0].digest, hash_size(machine->bank)) == 0)
        return 0;
    r = r ?: starts_with_lists(machine, shim, false, &same, error);
    r = r ?: starts_with_lists(machine, shim, true, &same_revoked, error);
    if (r)
        return boot_prediction_give_up(ret, 1u << PCR_OWNER_KEYS, error, "%s", error->text);
    if (same && same_revoked)
        return 0;
    return boot_prediction_give_up(ret, 1u << 7 | 1u << PCR_OWNER_KEYS, error,
                                   "the new shim brings other keys than the one that runs");
}
