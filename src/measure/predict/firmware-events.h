/*
 * Within src/measure/predict: what firmware, shim and boot loader measure of themselves. Every event of the running log
 * whose source is a variable or a program of this machine is measured anew; all others are kept.
 */
#pragma once

#include "measure/predict/running-boot.h"

/* All events before running->body but those that the boot loader makes itself (GRUB's, PCR 8 and 9) and the authorities
 * of PCR 7 since running->start (authority-events.h). PCRs that cannot be known are given up. */
int firmware_events_predict(const struct running_boot *running, struct boot_prediction *ret, struct error *error);

/* What comes from running->body on, for the PCRs that nobody else predicted: not in `predicted`, not PCR 7, and no
 * programs. */
int firmware_events_predict_rest(const struct running_boot *running, uint32_t predicted, struct boot_prediction *ret,
                                 struct error *error);

/* The Authenticode hash of a program by its path: the caller of the prediction may know it better than the disk. */
int firmware_events_hash_program(const struct running_boot *running, struct extend_list *list, const char *path,
                                 uint8_t *ret, struct error *error);

/* False when the log says that the program came from another partition than the machine's. */
bool firmware_events_is_of_partition(const struct running_boot *running, size_t program);

/* Where a program of the log is on this system; the caller frees it. ERROR_FAILED when it is not found. */
int firmware_events_find_program(const struct running_boot *running, size_t program, char **ret, struct error *error);
