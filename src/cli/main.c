#include "base/log.h"
#include "base/privilege.h"
#include "base/secret.h"
#include "cli/verb.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct verb *const verbs[] = {
    &verb_enroll,  &verb_unlock, &verb_status,     &verb_doctor,       &verb_explain, &verb_predict,   &verb_reseal,
    &verb_suspend, &verb_resume, &verb_change_pin, &verb_recovery_key, &verb_remove,  &verb_provision, &verb_boot_ok,
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void print_verbs(void)
{
    puts("usage: bootseal VERB [OPTIONS] [DEVICE]\n"
         "Ties the unlocking of LUKS2 volumes to the TPM, the measured boot state and a PIN.\n");
    for (size_t i = 0; i < VERB_COUNT; i++)
        printf("  %-12s %s\n", verbs[i]->name, verbs[i]->summary);
    puts("\nbootseal VERB --help shows a verb's options; bootseal(8) the rest.");
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

/* bootseal(8), ENVIRONMENT. As in a rescue system without udev, which device-mapper would wait for; and where the TCTI
 * "pcap" records, when --tcti asks for it. */
static const char *const kept_variables[] = {
    "BOOTSEAL_*", "NO_COLOR", "TERM", "LANG", "LC_*", "DM_DISABLE_UDEV", "TCTI_PCAP_FILE", NULL,
};

static int run_verb(const struct verb *verb, int argc, char **argv, struct error *error)
{
    struct call call;
    int r = call_parse(&call, verb, argc, argv, error);

    if (r)
        return r;
    if (call_flag(&call, "help")) {
        print_usage(verb);
        return 0;
    }
    if (call_flag(&call, "verbose"))
        log_setup(LOG_VERBOSE, "bootseal");
    else if (call_flag(&call, "quiet"))
        log_setup(LOG_QUIET, "bootseal");
    if (verb->needs_root && geteuid() != 0) {
        error_set(error, ERROR_FAILED, "%s: only root may do that", verb->name);
        return error_remedy(error, "run it with sudo");
    }
    if (!verb->runs_programs && !privilege_forbid_calls())
        log_verbose("this kernel filters no system calls: none is given up");
    r = verb->run(&call, error);
    if (secret_lock_failed())
        log_verbose("some secrets could not be locked into memory (ulimit -l): they might reach the swap");
    return r;
}

int main(int argc, char **argv)
{
    const struct verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;
    struct error error = { 0 };

    privilege_start(kept_variables);
    (void)secret_wipe_libcrypto();
    log_setup(LOG_NORMAL, "bootseal");
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts("bootseal " BOOTSEAL_VERSION);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_verbs();
        return 0;
    }
    if (!verb) {
        if (argc > 1)
            error_set(&error, ERROR_USAGE, "there is no verb \"%s\"", argv[1]);
        else
            error_set(&error, ERROR_USAGE, "a verb is missing");
        error_remedy(&error, "see: bootseal --help");
        return log_error(&error);
    }
    return run_verb(verb, argc - 1, argv + 1, &error) ? log_error(&error) : 0;
}
