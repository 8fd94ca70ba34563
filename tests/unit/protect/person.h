/*
 * The initramfs's work with a person made of a list of answers. Nothing is activated (`test`): that is the VM's part.
 */
#pragma once

#include "machine.h"
#include "protect/unlock/unlock-all.h"

struct person {
    const char *answers[12]; /* NULL: the end; "" is an empty line */
    unsigned patience_s;     /* looks for the recovery key that long before it is not given */
    size_t asked;
    char prompts[12][320];
    char lines[16384]; /* all that was shown */
};

struct outcome {
    int r;
    struct error error;
    struct report report;
};

/* unlock_all() on the machine's pins and TPM; the result is good until the next call. */
struct outcome *initramfs_run(struct machine *machine, struct person *person);

/* Each way out of it: the cap is on, read back and reported, and nothing is left in the TPM. */
void initramfs_expect_capped(struct machine *machine, const struct outcome *outcome);

/* What the TPM counts of wrong PINs. */
uint32_t initramfs_wrong_pins(struct machine *machine);
