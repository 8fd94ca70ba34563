/*
 * Requests to shim's MokManager, as mokutil leaves them in firmware variables: at the next boot MokManager asks a
 * person at the console about a change of the machine owner's keys. What it is asked about is gone after that boot,
 * whatever the answer was, or if nobody gave one. After a change it resets the machine.
 *
 * shim shows the system the owner's keys as MokListRT: first the lists that it brings, then the owner's own. Enrolled
 * keys come at their end, as they stand in the request. (MokListRT of a shim without lists of its own, for an owner
 * without keys, is one empty hash; it goes with the first key.)
 */
#pragma once

#include "measure/predict/firmware-variable.h"

enum mok_request {
    MOK_REQUEST_NONE,
    MOK_REQUEST_IMPORT, /* of further keys (mokutil --import), and nothing else */
    MOK_REQUEST_OTHER,  /* anything else: keys to delete, a password, Secure Boot to be ignored, … */
};

/* What waits, by the variables as firmware_variable_read() has them; *ret_name is one of its variables, a string that
 * stays valid, NULL for MOK_REQUEST_NONE. `folder` may be NULL: then nothing is known to wait. */
int mok_request_read(const char *folder, const struct firmware_variable_list *changed, enum mok_request *ret,
                     const char **ret_name, struct error *error);

/* Puts into `changed` what is different once somebody has answered a MOK_REQUEST_IMPORT. */
int mok_request_answer(const char *folder, bool enrolled, struct firmware_variable_list *changed, struct error *error);
