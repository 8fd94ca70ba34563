/* `bootseal provision --rotate-authority`: see protect/provision/rotation.h. */
#pragma once

#include "cli/verb.h"

/* The options that go with it, against each other. */
int rotate_authority_check(const struct call *call, struct error *error);

/* Rotates; or ends a rotation that has proven itself; or what --finish and --undo say. `owner_auth` may be empty. */
int rotate_authority(const struct call *call, struct tpm *tpm, const struct secret *owner_auth, struct error *error);
