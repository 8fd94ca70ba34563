/*
 * Within src/measure/predict: the machine owner's keys, as shim measures them into PCR 14 and is asked to change them.
 *
 * The event "MokList" is the digest of MokListRT's contents: shim measures what it shows, its own lists included. That
 * was so in all boots that were recorded; where a log says otherwise, a change cannot be predicted.
 */
#pragma once

#include "measure/predict/running-boot.h"

#define PCR_OWNER_KEYS 14
#define MOK_MANAGERS "mmx64.efi", "mmaa64.efi"
#define PCRS_OF_SHIM (1u << 4 | 1u << 7 | 1u << PCR_OWNER_KEYS) /* what another way through shim makes different */

/* True for shim's event of the owner's keys. */
bool owner_keys_is_list(const struct running_boot *running, size_t event);

/* That event, with the keys that will be there. */
int owner_keys_predict_list(const struct running_boot *running, size_t event, struct boot_prediction *ret,
                            struct error *error);

/* Gives up what cannot be known when another shim brings other keys than the one that ran. */
int owner_keys_check_shim(const struct running_boot *running, struct boot_prediction *ret, struct error *error);

/* Gives PCRs up where a request waits for shim's MokManager. */
int owner_keys_check_requests(const struct predict_machine *machine, struct boot_prediction *ret, struct error *error);

/* The same but for a request to enrol keys. Then running->asks is set: MokManager will ask a person, and where the
 * answer is no, or nobody is there, shim goes on with the boot. (After a yes the machine is reset.) */
int owner_keys_expect_manager(struct running_boot *running, struct boot_prediction *ret, struct error *error);

/* MokManager's file, beside shim; the caller frees it. */
int owner_keys_find_manager(const struct running_boot *running, char **ret, struct error *error);

/* MokManager's own event in PCR 4, when it will be asked. */
int owner_keys_predict_manager(const struct running_boot *running, struct boot_prediction *ret, struct error *error);

/* True when shim will verify programs by other keys than in the running boot, or others than those. */
bool owner_keys_matter(const struct running_boot *running);
