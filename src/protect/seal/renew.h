/*
 * New secrets for protectors without a PIN. While a suspension was in force whoever switched the machine on could
 * unseal theirs, and keep it: it must be worth nothing afterwards. In the place of each old protector comes one with
 * another secret, another object and another keyslot; approved and proven before the old one goes, as when a PIN is
 * changed.
 */
#pragma once

#include "protect/state.h"
#include "tpm/tpm.h"

/*
 * All protectors without a PIN on this machine's volumes; needs the authority, and no boot state. With the state open
 * for changing, and settled. A power cut leaves each volume with the old or the new one; the next call renews it again.
 * Those that seal the volume key itself cannot be renewed, and are left as they are.
 */
int renew_without_pin(struct tpm *tpm, struct state *state, struct error *error);
