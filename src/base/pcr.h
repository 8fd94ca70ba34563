/*
 * PCR selections and values. A selection is a bit mask (bit n is PCR n) within one bank. Values are kept at their
 * PCR's number, so that the same struct serves for "what the TPM has" and "what a branch wants".
 */
#pragma once

#include "base/hash.h"

#define PCR_COUNT 24 /* PC Client Platform TPM Profile, 4.6: PCRs 0 to 23 */

struct pcr_values {
    enum hash_algorithm bank;
    uint32_t mask;                            /* which of the values are set */
    uint8_t value[PCR_COUNT][HASH_MAX_BYTES]; /* hash_size(bank) bytes each */
};

/* Writes "4, 7, 12" into `ret`, at least PCR_LIST_TEXT bytes. */
#define PCR_LIST_TEXT 96
void pcr_mask_format(uint32_t mask, char ret[PCR_LIST_TEXT]);

/* True when nothing was extended into the value since the TPM started: every byte 0x00 or every byte 0xff. */
bool pcr_value_is_reset(const struct pcr_values *values, unsigned pcr);

/* The PCRs of `mask` in which the two differ, or which one of them has not. The banks must be the same. */
uint32_t pcr_values_differ(const struct pcr_values *a, const struct pcr_values *b, uint32_t mask);

/* PCR extend (TPM 2.0 Part 1, 17.4): value = hash(value || hash(event)). */
int pcr_extend(struct pcr_values *values, unsigned pcr, const void *event, size_t size, struct error *error);

/* What a PCR stands for, in words for a technician: "the kernel command line and GRUB's commands". */
const char *pcr_meaning(unsigned pcr);
