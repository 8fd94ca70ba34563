/*
 * Which PCRs this machine keeps to: in which its boots came out as they were predicted from their own sources. Kept in
 * the state folder as predictable.json, since a boot whose files were changed after it started cannot tell any more:
 *
 *   { "version": 1, "bank": "sha256", "pcrs": [4, 7, 8, 9, 12, 14] }
 */
#pragma once

#include "measure/predict/predict.h"
#include "protect/state.h"

/* The PCRs on record for this bank, 0 when there is no record. A damaged record is ERROR_METADATA. */
int predictable_read(const struct state *state, enum hash_algorithm bank, uint32_t *ret, struct error *error);

/* What is on record once it has taken in what a verification shows: good ones are added, those that differ are taken
 * out. */
uint32_t predictable_after(uint32_t before, const struct verification *verification);

/* Takes it in. Writes only what changes.
 * `state` is open for changing; *ret_pcrs is what is on record then. */
int predictable_update(const struct state *state, enum hash_algorithm bank, const struct verification *verification,
                       uint32_t *ret_pcrs, struct error *error);
