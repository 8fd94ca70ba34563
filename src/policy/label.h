/*
 * A branch's label is for people's eyes only: it is in no digest, so whoever holds the disk may rewrite it. It is shown
 * on terminals, hence no control character (C0, DEL, C1) passes, and it is JSON text, hence well-formed UTF-8.
 */
#pragma once

#include "policy/approval.h"

/* Ends the label at BRANCH_LABEL_MAX and puts '?' for every byte that may not be there. True if all were good. */
bool branch_label_clean(char label[BRANCH_LABEL_MAX + 1]);

/* The same for the name of a boot entry, which is as long. */
static inline bool branch_entry_clean(char entry[BRANCH_ENTRY_MAX + 1])
{
    _Static_assert(BRANCH_ENTRY_MAX == BRANCH_LABEL_MAX, "one size for both");
    return branch_label_clean(entry);
}
