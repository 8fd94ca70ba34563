/*
 * Removing protectors: out of the approval first, so that the object is dead in the TPM even if an old header comes
 * back, then keyslot and token together. The last way into a volume is not removed unasked.
 */
#pragma once

#include "protect/state.h"
#include "tpm/tpm.h"

struct remove_request {
    struct tpm *tpm; /* NULL: there is none, or it is another one; the header is cleaned, and the TPM's part left */
    const char *state_folder;
    const char *device;
    const char *protector;    /* an ID, or its first characters; NULL: all */
    unsigned operator_number; /* the one with this operator's PIN; 0: anyone's. Not with an ID */
    /* Asked when it would be the last way in: 0 lets it go. `name` is the volume's under /dev/mapper, or its UUID.
     * NULL: it stays. */
    int (*confirm_last)(void *context, const char *name, struct error *error);
    void *context;
};

struct remove_result {
    size_t removed;
    uint32_t keyslots_left; /* mask */
};

/* ERROR_NO_PROTECTOR: none, or none of that ID. ERROR_REFUSED: it is the last way in. */
int remove_protectors(const struct remove_request *request, struct remove_result *ret, struct error *error);
