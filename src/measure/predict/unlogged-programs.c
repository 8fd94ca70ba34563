#include "measure/predict/unlogged-boot.h"

#include "base/cleanup.h"
#include "measure/predict/firmware-events.h"

#include <string.h>

#define CALLING "Calling EFI Application from Boot Option"
#define RETURNING "Returning from EFI Application from Boot Option"
#define MAX_ATTEMPTS 16 /* that the firmware makes before one entry starts; machines have some six entries */
#define GRUBS_PCRS (1u << 8 | 1u << 9)
#define PROGRAMS_PCRS (GRUBS_PCRS | 1u << 4 | 1u << 7 | 1u << 14) /* what shim and GRUB extend */

struct programs {
    const struct predict_machine *machine;
    const struct unlogged_boot *boot;
    uint8_t shim[HASH_MAX_BYTES], grub[HASH_MAX_BYTES]; /* Authenticode hashes */
};

static uint32_t recorded_pcrs(const struct predict_machine *machine)
{
    const struct pcr_values *recorded = machine->recorded;

    return recorded && recorded->bank == machine->bank ? recorded->mask : 0;
}

static int add_action(struct extend_list *list, const char *action, struct error *error)
{
    return extend_list_add_data(list, 4, action, strlen(action), action, error);
}

/* PCR 4 as firmware, shim and GRUB extend it when that many entries were tried before (TCG PC Client Platform Firmware
 * Profile 1.06, 3.3.4.5). The separator comes before or after the first attempt. */
static int add_events(const struct programs *programs, size_t attempts, bool separator_first, struct extend_list *list,
                      struct error *error)
{
    int r = separator_first ? 0 : add_action(list, CALLING, error);

    r = r ?: extend_list_add_data(list, 4, "\0\0\0", 4, "separator", error);
    if (!r && separator_first)
        r = add_action(list, CALLING, error);
    for (size_t i = 0; !r && i < attempts; i++)
        r = add_action(list, RETURNING, error) ?: add_action(list, CALLING, error);
    if (!r && programs->boot->shim)
        r = extend_list_add(list, 4, programs->shim, programs->boot->shim, error);
    return r ?: extend_list_add(list, 4, programs->grub, programs->boot->grub, error);
}

/* The same, when it gives the recorded value. */
static int try_events(const struct programs *programs, size_t attempts, bool separator_first,
                      struct boot_prediction *ret, bool *ret_proven, struct error *error)
{
    const struct predict_machine *machine = programs->machine;
    cleanup(extend_list_free) struct extend_list list = { 0 };
    struct pcr_values values = { .bank = machine->bank, .mask = 1u << 4 };
    int r = extend_list_init(&list, machine->bank, error);

    r = r ?: add_events(programs, attempts, separator_first, &list, error);
    r = r ?: extend_list_apply(&list, &values, error);
    *ret_proven = !r && pcr_values_differ(&values, machine->recorded, 1u << 4) == 0;
    return *ret_proven ? extend_list_append(&ret->extends, &list, error) : r;
}

static int prove(const struct programs *programs, struct boot_prediction *ret, bool *ret_proven, struct error *error)
{
    int r = 0;

    *ret_proven = false;
    if (!(recorded_pcrs(programs->machine) & 1u << 4))
        return 0;
    for (size_t i = 0; !r && !*ret_proven && i < 2 * MAX_ATTEMPTS; i++)
        r = try_events(programs, i / 2, i % 2, ret, ret_proven, error);
    return r;
}

/* The programs are not those of the boot, or it cannot be told. */
static int give_up(const struct programs *programs, struct boot_prediction *ret, struct error *error)
{
    const struct predict_machine *machine = programs->machine;
    const char *shim = programs->boot->shim, *grub = programs->boot->grub;
    const char *changed = shim && unlogged_boot_is_newer(machine, shim) ? shim
                          : unlogged_boot_is_newer(machine, grub)       ? grub
                                                                        : NULL;

    if (changed)
        return boot_prediction_give_up(ret, PROGRAMS_PCRS, error,
                                       "\"%s\" was changed since this boot, of which Linux has no event log", changed);
    return boot_prediction_give_up(ret, PROGRAMS_PCRS, error,
                                   "Linux has no event log of this boot, and \"%s\" is not proven to be its boot "
                                   "loader: together with what else is known of that boot it does not give PCR 4",
                                   grub);
}

static int hash(struct programs *programs, struct program_cache *cache, struct boot_prediction *ret,
                struct error *error)
{
    const struct running_boot running = { .machine = programs->machine, .cache = cache };
    const struct unlogged_boot *boot = programs->boot;
    int r = boot->shim ? firmware_events_hash_program(&running, &ret->extends, boot->shim, programs->shim, error) : 0;

    return r ?: firmware_events_hash_program(&running, &ret->extends, boot->grub, programs->grub, error);
}

/* Recorded values alone do not tell what was measured of a variable. */
static int give_up_changed(const struct predict_machine *machine, struct boot_prediction *ret, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && machine->changed && i < machine->changed->count; i++) {
        const struct firmware_variable *variable = &machine->changed->items[i];
        bool of_shim = memcmp(variable->vendor, vendor_shim, sizeof(variable->vendor)) == 0;

        if (!variable->gone)
            r = boot_prediction_give_up(
                ret, of_shim ? 1u << 14 : 1u << 7, error,
                "Linux has no event log of this boot, which would tell what another \"%s\" gives", variable->name);
    }
    return r;
}

int unlogged_boot_predict(const struct predict_machine *machine, const struct unlogged_boot *boot,
                          struct program_cache *cache, struct boot_prediction *ret, struct error *error)
{
    struct programs programs = { .machine = machine, .boot = boot };
    bool proven;
    int r = boot_prediction_give_up(ret, BOOT_ALL_PCRS & ~GRUBS_PCRS & ~recorded_pcrs(machine), error,
                                    "Linux has no event log of this boot, and the initramfs did not record it");

    r = r ?: give_up_changed(machine, ret, error);
    if (r)
        return r;
    r = hash(&programs, cache, ret, error);
    if (r)
        return boot_prediction_give_up(ret, PROGRAMS_PCRS, error, "%s", error->text);
    r = prove(&programs, ret, &proven, error);
    return r || proven ? r : give_up(&programs, ret, error);
}

static bool has_event(const struct extend_list *list, unsigned pcr)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].pcr == pcr)
            return true;
    return false;
}

void unlogged_boot_take_recorded(const struct predict_machine *machine, const struct extend_list *list,
                                 struct pcr_values *values)
{
    uint32_t known = recorded_pcrs(machine) & values->mask;

    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++)
        if (known & 1u << pcr && !(GRUBS_PCRS & 1u << pcr) && !has_event(list, pcr))
            memcpy(values->value[pcr], machine->recorded->value[pcr], HASH_MAX_BYTES);
}
