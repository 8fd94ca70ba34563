/*
 * The machine as a prediction wants it (measure/predict/predict.h): this boot's event log, what the initramfs recorded,
 * the file systems of the boot loader, the firmware's variables.
 *
 * Disks: the boot disk is the first or the second one that the firmware counts, since a USB stick left in comes before
 * it; each boot is predicted for both.
 */
#pragma once

#include "measure/predict/predict.h"
#include "protect/unlock/report.h"

#define UPDATE_DISK_ORDERS 2

struct update_machine {
    struct predict_machine predict; /* points into what follows */
    struct event_log log;
    struct component_list components;
    struct report report;
    struct hashed_files hashed;
    struct boot_places places;
    struct boot_places orders[UPDATE_DISK_ORDERS]; /* copies that borrow from `places` */
};

/*
 * `log_path` NULL: the kernel's. A log, a report, variables that are not there are left out: the prediction then says
 * what cannot be known. ERROR_METADATA: a log that is none, or a report that another user could have written. Whatever
 * happened, update_machine_free() cleans up.
 */
int update_machine_read(struct update_machine *ret, enum hash_algorithm bank, const char *report_path,
                        const char *log_path, struct error *error);

/* By which way this boot came, as far as its log says. */
enum boot_chain update_machine_chain(const struct update_machine *machine);

void update_machine_free(struct update_machine *machine);
