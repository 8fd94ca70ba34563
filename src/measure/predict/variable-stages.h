/*
 * What may become of the firmware's variables until the next boots, one stage after the other: as they are, after the
 * first update, after the first and the second, … ; and where a request for further machine owner's keys waits, each of
 * these once more for either answer. Any of them may be what a boot finds: an update may be written late or not at all,
 * the machine may be switched off on the way.
 */
#pragma once

#include "measure/predict/firmware-variable.h"

#define VARIABLE_CHANGES_MAX 4                               /* db, dbx, KEK and PK, once each */
#define VARIABLE_STAGES_MAX (3 * (1 + VARIABLE_CHANGES_MAX)) /* each with the request waiting, refused, granted */
#define VARIABLE_STAGE_STEPS_MAX (VARIABLE_CHANGES_MAX + 1)

/* What is told of an answer to MokManager, beside the names of variables that were updated. */
#define VARIABLE_STEP_ENROLLED "mok-enrolled"
#define VARIABLE_STEP_REFUSED "mok-refused"

/* An update of a variable: variable-update.h. */
struct variable_change {
    const char *name;   /* as variable_change_is_known() has it */
    const char *source; /* where the update comes from, for messages */
    bool append;
    struct span update;
};

struct variable_stage {
    struct firmware_variable_list changed;       /* what will be others than now */
    const char *steps[VARIABLE_STAGE_STEPS_MAX]; /* what was done until then: "dbx", …; strings that stay valid */
    size_t step_count;                           /* 0: the first stage, nothing */
};

struct variable_stages {
    struct variable_stage items[VARIABLE_STAGES_MAX];
    size_t count;
};

/* True for the name of a variable of which updates are followed. */
#define VARIABLE_CHANGE_NAMES "PK, KEK, db, dbx, dbt, dbr"
bool variable_change_is_known(const char *name);

/*
 * All stages. An update that adds nothing makes none. `folder` is that of the variables; NULL: none can be read, and
 * then no update can be followed. ERROR_USAGE: more than VARIABLE_CHANGES_MAX, or a name that is not known;
 * ERROR_METADATA: what is no update.
 */
int variable_stages_make(const char *folder, const struct variable_change *changes, size_t count,
                         struct variable_stages *ret, struct error *error);

void variable_stages_free(struct variable_stages *stages);
