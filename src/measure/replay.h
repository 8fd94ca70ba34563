/*
 * Replay: the PCR values that a log's events give, as the TPM would have computed them. Where they equal the TPM's own,
 * the log's digests are what was measured in this boot.
 */
#pragma once

#include "base/pcr.h"
#include "measure/event-log.h"

/*
 * The values of one bank. The mask has the PCRs that the log speaks for: 0 to 16 and 23 start at zero (PC Client
 * Platform TPM Profile 1.05, 4.6), PCR 0 at what a StartupLocality event says (PFP 10.4.5.3), 17 to 22 at all ones.
 * Left out are PCR 10, of which IMA has a list of its own, and 17 to 22 when the log has events for them: what resets
 * those is in no log.
 *
 * ERROR_METADATA: a locality that there is not, or two of them, or events without a digest for this bank. ERROR_USAGE:
 * the log has no such bank, or it is of an algorithm that hash.h does not know.
 */
int event_log_replay(const struct event_log *log, enum hash_algorithm bank, struct pcr_values *ret,
                     struct error *error);

/* The locality at which the TPM was started, 0 when the log does not say. */
int event_log_startup_locality(const struct event_log *log, uint8_t *ret, struct error *error);
