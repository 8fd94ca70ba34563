#include "measure/predict/running-boot.h"

#include "base/cleanup.h"
#include "measure/event-type.h"
#include "measure/predict/owner-keys.h"

#include <string.h>
#include <strings.h>

#define CALLING "Calling EFI Application from Boot Option"

static void find_start(const struct predict_machine *machine, struct running_boot *ret)
{
    for (size_t i = 0; i < machine->components->count; i++) {
        const struct component *component = &machine->components->items[i];

        if (component->kind != COMPONENT_BOOT_STEP || strcmp(component->name, CALLING) != 0)
            continue;
        ret->attempts++;
        ret->start = i + 1;
    }
}

static int find_programs(const struct predict_machine *machine, struct running_boot *ret, struct error *error)
{
    for (size_t i = ret->start; i < machine->log->count; i++) {
        const struct event *event = &machine->log->events[i];

        if (event->pcr != 4 || event->type != EVENT_BOOT_SERVICES_APPLICATION)
            continue;
        if (ret->program_count == RUNNING_PROGRAMS_MAX)
            return error_set(error, ERROR_FAILED, "the event log has more than %d programs", RUNNING_PROGRAMS_MAX);
        ret->programs[ret->program_count++] =
            (struct running_program){ i, machine->components->items[i].name, event->digest[ret->bank] };
    }
    return 0;
}

static void find_states(const struct predict_machine *machine, struct running_boot *ret)
{
    for (size_t i = 0; i < machine->components->count; i++) {
        const struct component *component = &machine->components->items[i];

        if (component->kind == COMPONENT_SECURE_BOOT)
            ret->secure_boot = strcmp(component->value, "on") == 0;
        if (component->kind == COMPONENT_OWNER_KEYS && i >= ret->start)
            ret->shim = true;
    }
}

static bool is_manager(const char *program)
{
    static const char *const names[] = { MOK_MANAGERS };
    const char *name = strrchr(program, '\\');

    for (size_t i = 0; name && i < array_size(names); i++)
        if (strcasecmp(name + 1, names[i]) == 0)
            return true;
    return false;
}

/* shim starts MokManager before the boot loader, for a request that is gone afterwards. */
static void take_manager(struct running_boot *ret)
{
    if (!ret->shim || ret->program_count < 3 || !is_manager(ret->programs[1].name))
        return;
    ret->manager = ret->programs[1].event;
    ret->program_count--;
    memmove(&ret->programs[1], &ret->programs[2], (ret->program_count - 1) * sizeof(ret->programs[0]));
}

/* The last program before the event; NO_PROGRAM when there is none. */
static size_t program_before(const struct running_boot *running, size_t event)
{
    size_t found = NO_PROGRAM;

    for (size_t i = 0; i < running->program_count; i++)
        if (running->programs[i].event < event)
            found = i;
    return found;
}

/* The first event of a PCR since the start; the log's end when there is none. */
static size_t first_of(const struct running_boot *running, unsigned pcr)
{
    const struct event_log *log = running->machine->log;
    size_t i = running->start;

    while (i < log->count && (log->events[i].pcr != pcr || !event_is_extended(&log->events[i])))
        i++;
    return i;
}

static int read_grub(struct running_boot *ret, struct error *error)
{
    size_t first = first_of(ret, 8);

    ret->body = first_of(ret, 9);
    ret->loader = program_before(ret, first);
    if (ret->loader == NO_PROGRAM || ret->body == ret->machine->log->count)
        return error_set(error, ERROR_FAILED, "the event log does not say where GRUB starts");
    ret->image = ret->loader + 1 < ret->program_count ? ret->loader + 1 : NO_PROGRAM;
    return 0;
}

/* systemd-boot, or none, and then the image: the one before which a unified image's sections come is the image itself;
 * a kernel comes last. */
static int read_image(struct running_boot *ret, struct error *error)
{
    size_t sections = first_of(ret, 11);

    ret->image = ret->chain == CHAIN_UKI ? program_before(ret, sections) : NO_PROGRAM;
    if (ret->chain != CHAIN_UKI)
        ret->image = ret->chain == CHAIN_KERNEL ? ret->shim : (size_t)ret->shim + 1;
    if (ret->image == NO_PROGRAM || ret->image >= ret->program_count || ret->image > (size_t)ret->shim + 1 ||
        (ret->shim && ret->image == 0))
        return error_set(error, ERROR_FAILED, "the event log does not say which programs were started to boot");
    ret->loader = ret->image > (size_t)ret->shim ? ret->image - 1 : NO_PROGRAM;
    ret->body = ret->programs[ret->image].event;
    return 0;
}

int running_boot_read(const struct predict_machine *machine, struct program_cache *cache, struct running_boot *ret,
                      struct error *error)
{
    int bank = event_log_bank(machine->log, machine->bank), r;

    *ret = (struct running_boot){
        .machine = machine, .cache = cache, .loader = NO_PROGRAM, .image = NO_PROGRAM, .manager = NO_PROGRAM
    };
    if (bank < 0 || !machine->log->banks[bank].complete || hash_size(machine->bank) == 0)
        return error_set(error, ERROR_USAGE, "the event log has no digests for %s",
                         hash_name(machine->bank) ? hash_name(machine->bank) : "this bank");
    ret->bank = (size_t)bank;
    ret->chain = boot_chain_detect(machine->log, machine->components);
    find_start(machine, ret);
    find_states(machine, ret);
    r = find_programs(machine, ret, error);
    if (r)
        return r;
    take_manager(ret);
    switch (ret->chain) {
    case CHAIN_SHIM_GRUB:
    case CHAIN_GRUB:
        return read_grub(ret, error);
    case CHAIN_UKI:
    case CHAIN_SYSTEMD_BOOT:
    case CHAIN_KERNEL:
        return read_image(ret, error);
    default:
        return error_set(error, ERROR_FAILED, "this machine boots in a way that is not known");
    }
}

void program_cache_free(struct program_cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        free(cache->items[i].path);
    cache->count = 0;
}

char *running_boot_words(const struct predict_machine *machine, size_t event)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    if (!stream)
        return NULL;
    component_put(stream, &machine->components->items[event]);
    if (fclose(stream) == 0)
        return text;
    free(text);
    return NULL;
}

int running_boot_keep(const struct running_boot *running, size_t event, struct boot_prediction *ret,
                      struct error *error)
{
    const struct event *kept = &running->machine->log->events[event];
    cleanup(free_ptr) char *words = running_boot_words(running->machine, event);

    if (!words)
        return error_no_memory(error);
    return extend_list_add(&ret->extends, kept->pcr, kept->digest[running->bank], words, error);
}
