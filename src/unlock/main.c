/*
 * bootseal-unlock: the initramfs program.
 *
 *   bootseal-unlock --all [--pins FILE] [--report FILE] [--wait SECONDS] [--tcti CONF] [--test]
 *   bootseal-unlock --cap [--pins FILE] [--tcti CONF]
 *
 * Nothing is taken from the environment: unknown words of the kernel command line end up there.
 */
#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "protect/cap.h"
#include "protect/tpm-device.h"
#include "protect/unlock-all.h"

#include "base/clock.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define PINS_PATH "/etc/bootseal/pins.json"
#define DEFAULT_WAIT_S 30
#define LONGEST_WAIT_S 3600

enum action { ACTION_NONE, ACTION_ALL, ACTION_CAP };

struct arguments {
    enum action action;
    const char *pins_path;
    const char *report_path;
    const char *tcti;
    unsigned wait_s;
    bool test;
    bool terminal; /* ask at the terminal that runs this, not at the console */
};

static const char usage[] =
    "usage: bootseal-unlock --all [--pins FILE] [--report FILE] [--wait SECONDS] [--tcti CONF] [--test] [--terminal]\n"
    "       bootseal-unlock --cap [--pins FILE] [--wait SECONDS] [--tcti CONF]\n"
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

static int parse(int argc, char **argv, struct arguments *ret, struct error *error)
{
    static const struct option options[] = {
        { "all", no_argument, NULL, 'a' },        { "cap", no_argument, NULL, 'c' },
        { "pins", required_argument, NULL, 'p' }, { "report", required_argument, NULL, 'r' },
        { "wait", required_argument, NULL, 'w' }, { "tcti", required_argument, NULL, 't' },
        { "test", no_argument, NULL, 'n' },       { "terminal", no_argument, NULL, 'y' },
        { "help", no_argument, NULL, 'h' },       { 0 },
    };
    int code, r = 0;

    *ret = (struct arguments){ .pins_path = PINS_PATH, .wait_s = DEFAULT_WAIT_S };
    opterr = 0;
    while (!r && (code = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (code) {
        case 'a':
            ret->action = ACTION_ALL;
            break;
        case 'c':
            ret->action = ACTION_CAP;
            break;
        case 'p':
            ret->pins_path = optarg;
            break;
        case 'r':
            ret->report_path = optarg;
            break;
        case 'w':
            r = parse_wait(optarg, &ret->wait_s, error);
            break;
        case 't':
            ret->tcti = optarg;
            break;
        case 'n':
            ret->test = true;
            break;
        case 'y':
            ret->terminal = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            r = error_set(error, ERROR_USAGE, "unknown or incomplete option \"%s\"", argv[optind - 1]);
        }
    }
    if (!r && (ret->action == ACTION_NONE || optind < argc))
        r = error_set(error, ERROR_USAGE, "--all or --cap is needed, and no arguments");
    return r;
}

static void show(void *context, const char *line)
{
    ask_show(context, "bootseal: %s", line);
}

static int ask_pin(void *context, const char *prompt, struct secret *ret, struct error *error)
{
    return ask_secret(context, prompt, ret, error);
}

static int run_all(const struct arguments *arguments)
{
    cleanup(free_ptr) struct report *report = calloc(1, sizeof(*report));
    struct ask_way way = arguments->terminal ? ask_way_terminal() : ask_way_initramfs();
    const struct unlock_all_request request = {
        .pins_path = arguments->pins_path,
        .tcti = arguments->tcti,
        .report_path = arguments->report_path,
        .wait_s = arguments->wait_s,
        .test = arguments->test,
        .ui = { .show = show, .ask = ask_pin, .context = &way },
    };
    struct error error;

    return report ? unlock_all(&request, report, &error) : ERROR_FAILED;
}

static int cap_now(const struct arguments *arguments, struct error *error)
{
    cleanup(free_ptr) struct pins *pins = calloc(1, sizeof(*pins));
    cleanup(tpm_close) struct tpm *tpm = NULL;
    int r = 0;

    if (!pins)
        return error_no_memory(error);
    if (!file_exists(arguments->pins_path) || pins_read(arguments->pins_path, pins, error)) {
        pins->bank = HASH_SHA256;
        pins->cap = CAP_DEFAULT_PCR;
    }
    r = tpm_device_open(arguments->tcti, clock_now_ms() + arguments->wait_s * 1000ull, &tpm, error);
    return r || !tpm ? r : cap_apply(tpm, pins->bank, pins->cap, NULL, error);
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct error error;

    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    (void)prctl(PR_SET_DUMPABLE, 0);
    log_setup(LOG_NORMAL, "bootseal-unlock");
    if (parse(argc, argv, &arguments, &error)) {
        log_error(&error);
        fputs(usage, stderr);
        return ERROR_USAGE;
    }
    if (arguments.action == ACTION_ALL)
        return run_all(&arguments);
    return cap_now(&arguments, &error) ? log_error(&error) : 0;
}
