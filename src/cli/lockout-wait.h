/* A person at a terminal who waits until the TPM takes PINs again. */
#pragma once

#include "cli/verb.h"

/*
 * After ERROR_LOCKOUT, which `error` tells: shows it and counts down. True once the TPM takes PINs again; false at once
 * without a terminal and with --pin-file, and when the person presses Enter instead. *tpm may be closed meanwhile, for
 * others that need it, and is NULL then.
 */
bool lockout_wait(struct call *call, struct tpm **tpm, const struct error *error);
