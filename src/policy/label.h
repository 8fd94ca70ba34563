/*
 * A branch's label is for people's eyes only: it is in no digest, so whoever holds the disk may rewrite it. It is shown
 * on terminals, hence no control character (C0, DEL, C1) passes, and it is JSON text, hence well-formed UTF-8.
 */
#pragma once

#include "policy/approval.h"

/* Ends the label at BRANCH_LABEL_MAX and puts '?' for every byte that may not be there. True if all were good. */
bool branch_label_clean(char label[BRANCH_LABEL_MAX + 1]);
