/*
 * The headers in a rotation: what belongs to one of the two indices. All pinned volumes must be there: ERROR_FAILED
 * names the one that is not.
 */
#pragma once

#include "protect/state.h"

/*
 * Removes from every pinned volume what is of that index: its protectors with their keyslots, its list, and what
 * pending tokens hold. Keyslots that recovery keys or protectors of another index name stay, and so do those of
 * passphrases, whatever a token says.
 */
int rotation_clean_headers(const struct state *state, const struct object_name *index, struct error *error);

/* ERROR_METADATA unless every pinned volume with protectors of that index has one too that is in force in `state`. */
int rotation_check_headers(const struct state *state, const struct object_name *index, struct error *error);
