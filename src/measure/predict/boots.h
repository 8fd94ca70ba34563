/*
 * Within src/measure/predict: the boots of a prediction while it is made. Those who know a boot loader fill a
 * predicted_boot but for its values, and give what the boot measures; here it is replayed and put into the list.
 */
#pragma once

#include "measure/predict/running-boot.h"

struct unlogged_boot;

struct boots {
    const struct predict_machine *machine;
    const struct running_boot *running;   /* NULL: there is no log, */
    const struct unlogged_boot *unlogged; /* and this is known of the running boot */
    bool again;                         /* the running boot once more, whatever is set for the next one */
    struct boot_prediction base;        /* what each boot measures before the boot loader does anything */
    struct hashed_files *hashed;        /* files that were read already */
    uint32_t distrusted;                /* PCRs of which the log does not give the value at the unlocking */
    struct prediction *ret;
};

/* predict_boots(); with `again` what is set for the next boot alone (BootNext, requests to shim) counts for nothing. */
int boots_predict(const struct predict_machine *machine, bool again, struct prediction *ret, struct error *error);

/* A copy of the base. */
int boots_start(const struct boots *boots, struct boot_prediction *ret, struct error *error);

/* Takes the boot over, and what it measures. On an error nothing is owned by anybody else. */
int boots_add(struct boots *boots, struct predicted_boot *boot, struct boot_prediction *measured, struct error *error);

/* Adds PCR 7's authorities for this kernel or unified image, and the rest of the log without the PCRs of `predicted`;
 * nothing without a log. */
int boots_finish(const struct boots *boots, const char *image, uint32_t predicted, struct boot_prediction *measured,
                 struct error *error);

/* "linux 6.1.0-50-amd64" of "/boot/vmlinuz-6.1.0-50-amd64", cut to what fits. */
void boots_label(struct predicted_boot *boot, const char *kernel);

void predicted_boot_free(struct predicted_boot *boot);
