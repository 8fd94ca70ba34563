/* Replacing the approval: sealed objects, PINs and keyslots stay as they are; no PIN and no passphrase is needed. */
#pragma once

#include "protect/state.h"
#include "tpm/tpm.h"

struct reseal_request {
    struct tpm *tpm;
    const char *state_folder;
    const char *report_path;
    bool current_values; /* see boot-state.h */
    bool keep;           /* keep the boot states that are approved so far */
};

struct reseal_result {
    size_t boot_branches; /* approved now */
    size_t volumes;       /* whose header holds the list */
    char label[BRANCH_LABEL_MAX + 1];
};

/* Approves the state of the running boot. Repairs a lost index and headers whose list was changed, on the way. */
int reseal_current(const struct reseal_request *request, struct reseal_result *ret, struct error *error);
