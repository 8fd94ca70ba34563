#include "protect/update/machine.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/update/boot-places.h"

#include <string.h>
#include <time.h>

/* A log that is not there is no fault: Linux has none where the boot loader did not hand it over. */
static int read_log(struct update_machine *machine, const char *path, struct error *error)
{
    int r;

    if (!file_exists(path))
        return 0;
    r = event_log_read(path, &machine->log, error);
    r = r ?: component_list_read(&machine->log, &machine->components, error);
    if (!r) {
        machine->predict.log = &machine->log;
        machine->predict.components = &machine->components;
    }
    return r;
}

static int read_report(struct update_machine *machine, const char *path, struct error *error)
{
    int r = file_exists(path) ? report_read_values(path, &machine->report, error) : 0;

    if (!r && machine->report.values.mask && machine->report.values.bank == machine->predict.bank)
        machine->predict.recorded = &machine->report.values;
    return r;
}

static int copy_places(const struct boot_places *places, unsigned disk, struct boot_places *ret, struct error *error)
{
    ret->items = calloc(places->count ? places->count : 1, sizeof(*ret->items));
    if (!ret->items)
        return error_no_memory(error);
    ret->count = places->count;
    for (size_t i = 0; i < places->count; i++) {
        ret->items[i] = places->items[i];
        ret->items[i].disk = disk;
    }
    return 0;
}

static int read_places(struct update_machine *machine, struct error *error)
{
    int r = boot_places_read(&machine->places, &machine->predict.efi_system_partition, error);

    for (unsigned disk = 0; !r && disk < UPDATE_DISK_ORDERS; disk++)
        r = copy_places(&machine->places, disk, &machine->orders[disk], error);
    machine->predict.orders = machine->orders;
    machine->predict.order_count = UPDATE_DISK_ORDERS;
    return r;
}

/* When the running kernel started, as the clock is now. */
static int64_t kernel_started(void)
{
    struct timespec now, running;

    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &running);
    return now.tv_sec - running.tv_sec;
}

int update_machine_read(struct update_machine *ret, enum hash_algorithm bank, const char *report_path,
                        const char *log_path, struct error *error)
{
    int r;

    *ret = (struct update_machine){
        .predict = { .bank = bank, .hashed = &ret->hashed, .started = kernel_started() },
    };
    if (file_exists(FIRMWARE_VARIABLES))
        ret->predict.variables = FIRMWARE_VARIABLES;
    r = read_log(ret, log_path ? log_path : EVENT_LOG_PATH, error);
    r = r ?: read_report(ret, report_path, error);
    return r ?: read_places(ret, error);
}

enum boot_chain update_machine_chain(const struct update_machine *machine)
{
    return machine->predict.log ? boot_chain_detect(&machine->log, &machine->components) : CHAIN_NONE;
}

void update_machine_free(struct update_machine *machine)
{
    component_list_free(&machine->components);
    event_log_free(&machine->log);
    for (size_t i = 0; i < UPDATE_DISK_ORDERS; i++)
        free(machine->orders[i].items);
    boot_places_free(&machine->places);
    hashed_files_free(&machine->hashed);
    *machine = (struct update_machine){ 0 };
}
