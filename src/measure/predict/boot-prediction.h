/*
 * The prediction of a boot, or of a part of it, where some of the PCRs may not be predictable: what will be extended,
 * and for each PCR that somebody could not follow to its end, why. A PCR with a reason is unknown, whatever the list of
 * extends has for it. Nothing is guessed.
 *
 * All zero is no prediction; boot_prediction_init() makes one of nothing.
 */
#pragma once

#include "measure/predict/extend-list.h"

#define BOOT_ALL_PCRS ((1u << PCR_COUNT) - 1)

struct boot_prediction {
    struct extend_list extends;
    uint32_t unknown;         /* PCRs, by bit */
    char *reasons[PCR_COUNT]; /* of those: a sentence without a full stop */
    char *command_line;       /* as the kernel gets it, in UTF-8; NULL: none, or not known */
};

int boot_prediction_init(struct boot_prediction *prediction, enum hash_algorithm bank, struct error *error);
void boot_prediction_free(struct boot_prediction *prediction);

/* Says why PCRs of the mask are not known; one that has a reason keeps it. An error is short memory alone. */
int boot_prediction_give_up(struct boot_prediction *prediction, uint32_t pcrs, struct error *error, const char *format,
                            ...) __attribute__((format(printf, 4, 5)));
