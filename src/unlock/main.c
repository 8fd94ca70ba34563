/*
 * bootseal-unlock: the initramfs program.
 *
 *   bootseal-unlock --all [--pins FILE] [--report FILE] [--run DIR] [--crypttab FILE] [--wait SECONDS] [--tcti CONF]
 *   bootseal-unlock --cap [--pins FILE] [--run DIR] [--wait SECONDS] [--tcti CONF]
 *   bootseal-unlock --check-root DIR [--pins FILE] [--run DIR] [--crypttab FILE]
 *   bootseal-unlock --check-resume DEVICE [--pins FILE] [--crypttab FILE]
 *   bootseal-unlock --close all|sealed [--force] [--pins FILE] [--report FILE]
 *
 * Nothing is taken from the environment, by any library either: unknown words of the kernel command line end up there.
 *
 * Whether a boot may go on is decided by PID 1 (initramfs/scripts/bootseal), since a script can be killed and its exit
 * status is ignored. It reads two files in DIR, /run/bootseal:
 *
 *   cap    "done", "none" or "silent"; when --all is through, and when --cap is (protect/unlock/cap-record.h)
 *   root   "checked", when --check-root found nothing to complain about (protect/unlock/check-root.h)
 *
 * A TPM that is announced but silent from the first command to the last has unsealed nothing, so no cap is possible and
 * none is demanded: the distribution's passphrase prompt follows, and the boot goes on if the root that is mounted then
 * lies on volumes that were opened there. Each net tries the cap again; there is no resume from hibernation, and no
 * shell. A TPM that answers and whose cap fails stops the boot.
 */
#include "base/log.h"
#include "base/privilege.h"
#include "base/secret.h"
#include "unlock/actions.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PINS_PATH "/etc/bootseal/pins.json"
#define DEFAULT_WAIT_S 30
#define LONGEST_WAIT_S 3600

static const char usage[] =
    "usage: bootseal-unlock --all [--pins FILE] [--report FILE] [--run DIR] [--crypttab FILE] [--wait SECONDS]\n"
    "                       [--tcti CONF] [--test] [--terminal] [--verbose]\n"
    "       bootseal-unlock --cap [--pins FILE] [--run DIR] [--wait SECONDS] [--tcti CONF]\n"
    "       bootseal-unlock --check-root DIR [--pins FILE] [--run DIR] [--crypttab FILE]\n"
    "       bootseal-unlock --check-resume DEVICE [--pins FILE] [--crypttab FILE]\n"
    "       bootseal-unlock --close all|sealed [--force] [--pins FILE] [--report FILE]\n"
    "Opens the pinned volumes and ends this boot's right to unseal. For the initramfs; see bootseal-unlock(8).\n";

static int parse_wait(const char *text, unsigned *ret, struct error *error)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*end || end == text || text[0] == '-' || value > LONGEST_WAIT_S)
        return error_set(error, ERROR_USAGE, "--wait: \"%s\" is not a number of seconds up to %d", text,
                         LONGEST_WAIT_S);
    *ret = (unsigned)value;
    return 0;
}

static int parse_which(const char *text, enum close_which *ret, struct error *error)
{
    *ret = strcmp(text, "all") == 0 ? CLOSE_ALL : CLOSE_SEALED;
    if (*ret == CLOSE_ALL || strcmp(text, "sealed") == 0)
        return 0;
    return error_set(error, ERROR_USAGE, "--close: \"%s\" is neither \"all\" nor \"sealed\"", text);
}

static int set_action(struct arguments *arguments, action *run, struct error *error)
{
    if (arguments->run)
        return error_set(error, ERROR_USAGE, "only one of --all, --cap, --check-root, --check-resume and --close");
    arguments->run = run;
    return 0;
}

/* One option. Those that take nothing but a flag or a text are rows in parse(). */
static int take_option(int code, const char *value, struct arguments *arguments, struct error *error)
{
    int r;

    switch (code) {
    case 'a':
        return set_action(arguments, action_all, error);
    case 'c':
        return set_action(arguments, action_cap, error);
    case 'k':
        arguments->checked = value;
        return set_action(arguments, action_check_root, error);
    case 's':
        arguments->checked = value;
        return set_action(arguments, action_check_resume, error);
    case 'l':
        r = parse_which(value, &arguments->which, error);
        return r ? r : set_action(arguments, action_close, error);
    default: /* 'w' */
        return parse_wait(value, &arguments->wait_s, error);
    }
}

static const char **text_slot(struct arguments *arguments, int code)
{
    const struct {
        int code;
        const char **slot;
    } rows[] = {
        { 'p', &arguments->pins_path },     { 'r', &arguments->report_path }, { 'd', &arguments->run_folder },
        { 'b', &arguments->crypttab_path }, { 't', &arguments->tcti },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].code == code)
            return rows[i].slot;
    return NULL;
}

static bool *flag_slot(struct arguments *arguments, int code)
{
    switch (code) {
    case 'n':
        return &arguments->test;
    case 'y':
        return &arguments->terminal;
    case 'f':
        return &arguments->force;
    case 'v':
        return &arguments->verbose;
    default:
        return NULL;
    }
}

static int parse(int argc, char **argv, struct arguments *ret, struct error *error)
{
    static const struct option options[] = {
        { "all", no_argument, NULL, 'a' },
        { "cap", no_argument, NULL, 'c' },
        { "check-root", required_argument, NULL, 'k' },
        { "check-resume", required_argument, NULL, 's' },
        { "close", required_argument, NULL, 'l' },
        { "pins", required_argument, NULL, 'p' },
        { "report", required_argument, NULL, 'r' },
        { "run", required_argument, NULL, 'd' },
        { "crypttab", required_argument, NULL, 'b' },
        { "wait", required_argument, NULL, 'w' },
        { "tcti", required_argument, NULL, 't' },
        { "test", no_argument, NULL, 'n' },
        { "terminal", no_argument, NULL, 'y' },
        { "force", no_argument, NULL, 'f' },
        { "verbose", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    int code, r = 0;

    *ret = (struct arguments){ .pins_path = PINS_PATH, .wait_s = DEFAULT_WAIT_S };
    opterr = 0;
    while (!r && (code = getopt_long(argc, argv, "", options, NULL)) != -1) {
        const char **text = text_slot(ret, code);
        bool *flag = flag_slot(ret, code);

        if (code == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (code == '?')
            r = error_set(error, ERROR_USAGE, "unknown or incomplete option \"%s\"", argv[optind - 1]);
        else if (text)
            *text = optarg;
        else if (flag)
            *flag = true;
        else
            r = take_option(code, optarg, ret, error);
    }
    if (!r && (!ret->run || optind < argc))
        r = error_set(error, ERROR_USAGE,
                      "--all, --cap, --check-root, --check-resume or --close is needed, and no arguments");
    return r;
}

/* Where udev does not run, the scripts tell device-mapper not to wait for it. Where the TCTI "pcap" records, which only
 * --tcti can ask for. */
static const char *const kept_variables[] = { "DM_DISABLE_UDEV", "TCTI_PCAP_FILE", NULL };

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct error error;

    privilege_start(kept_variables);
    (void)secret_wipe_libcrypto();
    log_setup(LOG_NORMAL, "bootseal-unlock");
    (void)privilege_forbid_calls(); /* all that it runs is askpass and plymouth */
    if (parse(argc, argv, &arguments, &error)) {
        log_error(&error);
        fputs(usage, stderr);
        return ERROR_USAGE;
    }
    return arguments.run(&arguments);
}
