/*
 * Within src/measure/predict: a running boot of which Linux has no event log. Debian 12's GRUB starts the kernel without
 * its EFI stub when Secure Boot is off, and then nobody hands the log over.
 *
 * What such a boot measured is known in three ways:
 *
 * - PCRs 8 and 9 follow from GRUB's configuration, under the hypothesis that GRUB's image is one of Debian's signed
 *   ones. It holds where the running boot comes out that way from its own files, which predict_verify() tells.
 * - PCR 4 has what firmware says when it starts something, shim and GRUB; the kernel is not in it. Only where the files
 *   of now give the recorded value that way are they the programs of this boot: a boot loader may have been exchanged for
 *   that one boot, which neither the files nor their times would show. Else nothing is known that they extend.
 * - All other PCRs keep what the initramfs recorded.
 *
 * Firmware variables (PCRs 1 and 7) and the machine owner's keys (PCR 14) cannot be compared with anything: whether they
 * are as they were when they were measured is not known, and their recorded values are kept as they are. Of a variable
 * that is still to change (predict_machine.changed) it is known that they will be others: PCR 7, or 14, is given up.
 */
#pragma once

#include "measure/boot-chain.h"
#include "measure/predict/boot-option.h"
#include "measure/predict/boot-prediction.h"
#include "measure/predict/predict.h"
#include "measure/predict/running-boot.h"

struct unlogged_boot {
    enum boot_chain chain; /* CHAIN_SHIM_GRUB or CHAIN_GRUB */
    char *shim;            /* on the running system; NULL: there is none */
    char *grub;
    char *folder; /* of both, as the firmware names it, with slashes: "/EFI/debian" */
};

/* ERROR_FAILED: Secure Boot is not off, or it is not known which programs were started, or they are not GRUB. */
int unlogged_boot_read(const struct predict_machine *machine, const struct boot_options *options,
                       struct unlogged_boot *ret, struct error *error);

void unlogged_boot_free(struct unlogged_boot *boot);

/* The events of the programs, which are files that the prediction rests on; PCRs are given up where they are not proven
 * to be those of this boot, or nothing was recorded. */
int unlogged_boot_predict(const struct predict_machine *machine, const struct unlogged_boot *boot,
                          struct program_cache *cache, struct boot_prediction *ret, struct error *error);

/* Puts the recorded value into `values` for each PCR of its mask of which the list has no event. */
void unlogged_boot_take_recorded(const struct predict_machine *machine, const struct extend_list *list,
                                 struct pcr_values *values);

/* True when the file may be newer than this boot. On FAT a change shows in the one time, elsewhere in the other. */
bool unlogged_boot_is_newer(const struct predict_machine *machine, const char *path);

/* What may have changed since this boot among the files of the list, in words that the caller frees; NULL: nothing. */
int unlogged_boot_find_changed(const struct predict_machine *machine, const struct extend_list *list, char **ret,
                               struct error *error);
