/*
 * The cap: one constant event that ends a boot's right to unseal. It goes into one PCR of the policy, in every active
 * bank, as the last act of the initramfs program; extend(before, cap) = after can be checked by anyone.
 */
#pragma once

#include "tpm/tpm.h"

#define CAP_DEFAULT_PCR 12

/* Extends the PCR and reads it back: *ret_before is its value before, and what is there afterwards must be that value
 * extended once, else ERROR_TPM. `ret_before` may be NULL. */
int cap_apply(struct tpm *tpm, enum hash_algorithm bank, unsigned pcr, struct pcr_values *ret_before,
              struct error *error);

/* Whether `now` is `before` with the cap extended at least once (further caps by the nets count too). */
bool cap_is_on(const struct pcr_values *before, const struct pcr_values *now, unsigned pcr);
