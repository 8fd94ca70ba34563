/*
 * Closing what this boot opened. Two callers: a boot that is stopped closes every volume, whoever opened it; and no
 * shell is started beside a volume that the TPM opened, while one that a passphrase or a recovery key opened may stay:
 * whoever typed it may have the shell.
 */
#pragma once

#include "protect/unlock/pins.h"

enum close_which {
    CLOSE_ALL,    /* every mapping that encrypts, pinned or not, with or without pins */
    CLOSE_SEALED, /* those that the TPM opened, by the report; all of them when there is no report of this boot */
};

struct close_request {
    enum close_which which;
    const char *pins_path;   /* no pins, or damaged ones: the TPM opened nothing */
    const char *report_path; /* NULL: there is none */
    bool force;              /* what is in use is cut off: see volume_mappings_close() */
};

/* Each one is tried. 0 when none of them is open any more; *ret_count is how many were closed. */
int close_opened(const struct close_request *request, unsigned *ret_count, struct error *error);
