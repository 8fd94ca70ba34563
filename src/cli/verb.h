/*
 * The command line: `bootseal VERB [OPTIONS] [ARGUMENTS]`. A verb is one file that ends in a const struct verb; main.c
 * has the table. Options are rows: parsing, --help and the check against the man page are made from them.
 */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <json-c/json.h>
#include <stdbool.h>

struct option_row {
    const char *name;     /* without the dashes */
    const char *argument; /* its name in the help; NULL: a flag */
    const char *help;
};

#define OPTIONS_MAX 32
#define GIVEN_MAX 128 /* options in one call */

struct tpm;
struct call; /* one run of a verb */

struct verb {
    const char *name;
    const char *arguments; /* for the usage line: "DEVICE [NAME]" */
    const char *summary;
    const struct option_row *options; /* ends with an empty row; NULL: none but the common ones */
    int min_arguments, max_arguments;
    bool needs_root;
    bool runs_programs; /* of the distribution, which may need any system call */
    int (*run)(struct call *call, struct error *error);
};

struct call {
    const struct verb *verb;
    const struct option_row *rows[OPTIONS_MAX]; /* common ones and the verb's */
    const char *values[OPTIONS_MAX];            /* "" for a flag that was given */
    size_t row_count;
    struct {
        const struct option_row *row;
        const char *value;
    } given[GIVEN_MAX]; /* in the order of the command line */
    size_t given_count;
    char *const *arguments;
    int argument_count;
};

extern const struct verb verb_boot_ok, verb_change_pin, verb_doctor, verb_enroll, verb_explain, verb_predict,
    verb_provision, verb_recovery_key, verb_remove, verb_reseal, verb_resume, verb_status, verb_suspend, verb_unlock;
extern const struct option_row common_options[];

/* Fills the call from argv (argv[0] is the verb). ERROR_USAGE for what does not fit. */
int call_parse(struct call *ret, const struct verb *verb, int argc, char **argv, struct error *error);

/* The option's value, the last one of several; NULL when it was not given. A name that is not in the rows is a
 * programming error (assert). */
const char *call_option(const struct call *call, const char *name);

/* The i-th value of an option that may be given several times, or NULL. */
const char *call_option_at(const struct call *call, const char *name, size_t i);
bool call_flag(const struct call *call, const char *name);

/* The i-th argument, or NULL. */
const char *call_argument(const struct call *call, int i);

const char *call_state_folder(const struct call *call); /* --state-dir, BOOTSEAL_STATE_DIR, or NULL */
const char *call_report(const struct call *call);       /* --report, or the default */

/* The running boot's event log: BOOTSEAL_EVENTLOG, or NULL for the kernel's. */
const char *call_running_log(const struct call *call);

/* Where the policy presets are: BOOTSEAL_POLICY_DIR, or where they are installed. */
const char *call_policy_folder(const struct call *call);

/* Opens the TPM of --tcti, BOOTSEAL_TCTI, or /dev/tpmrm0. */
int call_open_tpm(const struct call *call, struct tpm **ret, struct error *error);

/* Writes one JSON document to stdout. */
int print_json(struct json_object *object, struct error *error);

void print_usage(const struct verb *verb);
