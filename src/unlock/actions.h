/* What bootseal-unlock can do: each action calls one use case and tells the person how it went. The result is the exit
 * status. */
#pragma once

#include "protect/unlock/opened.h"

#include <stdbool.h>

struct arguments;

typedef int action(const struct arguments *arguments);

struct arguments {
    action *run;
    const char *checked;    /* --check-root, --check-resume */
    enum close_which which; /* --close */
    const char *pins_path;
    const char *report_path;   /* NULL: none */
    const char *run_folder;    /* NULL: nothing is recorded for PID 1 */
    const char *crypttab_path; /* NULL: none */
    const char *tcti;          /* NULL: the machine's TPM */
    unsigned wait_s;
    bool test;
    bool terminal; /* talk at the terminal that runs this, not at the console */
    bool force;
    bool verbose;
};

action action_all, action_cap, action_check_root, action_check_resume, action_close;
