#include "cli/verb.h"

#include "protect/unlock/report.h"
#include "protect/unlock/tpm-device.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TCTI "device:/dev/tpmrm0"
#define FIRST_CODE 256 /* above every character that getopt may return */

const struct option_row common_options[] = {
    { "tcti", "CONF", "TPM, as a tpm2-tss TCTI string (also BOOTSEAL_TCTI; default device:/dev/tpmrm0)" },
    { "state-dir", "DIR", "state folder (also BOOTSEAL_STATE_DIR; default /var/lib/bootseal)" },
    { "report", "FILE", "what the initramfs recorded in this boot (default /run/bootseal/report.json)" },
    { "json", NULL, "results as JSON on stdout" },
    { "quiet", NULL, "errors and warnings only" },
    { "verbose", NULL, "more words on stderr" },
    { "help", NULL, "this text" },
    { 0 },
};

static void add_rows(struct call *call, const struct option_row *rows)
{
    for (; rows && rows->name; rows++) {
        assert(call->row_count < OPTIONS_MAX);
        call->rows[call->row_count++] = rows;
    }
}

static void fill_getopt(const struct call *call, struct option *ret)
{
    for (size_t i = 0; i < call->row_count; i++)
        ret[i] = (struct option){
            .name = call->rows[i]->name,
            .has_arg = call->rows[i]->argument ? required_argument : no_argument,
            .val = FIRST_CODE + (int)i,
        };
    ret[call->row_count] = (struct option){ 0 };
}

static int wrong_option(const struct call *call, int code, char **argv, struct error *error)
{
    error_set(error, ERROR_USAGE, code == ':' ? "%s: the option \"%s\" needs a value" : "%s: unknown option \"%s\"",
              call->verb->name, argv[optind - 1]);
    return error_remedy(error, "see: bootseal %s --help", call->verb->name);
}

static int check_arguments(const struct call *call, struct error *error)
{
    if (call->argument_count < call->verb->min_arguments)
        error_set(error, ERROR_USAGE, "%s: an argument is missing: %s", call->verb->name, call->verb->arguments);
    else if (call->argument_count > call->verb->max_arguments)
        error_set(error, ERROR_USAGE, "%s: unexpected argument \"%s\"", call->verb->name,
                  call->arguments[call->verb->max_arguments]);
    else
        return 0;
    return error_remedy(error, "see: bootseal %s --help", call->verb->name);
}

int call_parse(struct call *ret, const struct verb *verb, int argc, char **argv, struct error *error)
{
    struct option options[OPTIONS_MAX + 1];
    int code;

    *ret = (struct call){ .verb = verb };
    add_rows(ret, verb->options);
    add_rows(ret, common_options);
    fill_getopt(ret, options);
    optind = 1;
    opterr = 0;
    while ((code = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (code < FIRST_CODE)
            return wrong_option(ret, code, argv, error);
        if (ret->given_count == GIVEN_MAX)
            return error_set(error, ERROR_USAGE, "%s: more than %d options", verb->name, GIVEN_MAX);
        ret->given[ret->given_count].row = ret->rows[code - FIRST_CODE];
        ret->given[ret->given_count++].value = optarg ? optarg : "";
        ret->values[code - FIRST_CODE] = optarg ? optarg : "";
    }
    ret->arguments = argv + optind;
    ret->argument_count = argc - optind;
    return call_flag(ret, "help") ? 0 : check_arguments(ret, error);
}

const char *call_option(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->row_count; i++)
        if (strcmp(call->rows[i]->name, name) == 0)
            return call->values[i];
    abort(); /* a verb asked for an option that it does not have */
}

const char *call_option_at(const struct call *call, const char *name, size_t i)
{
    for (size_t k = 0; k < call->given_count; k++)
        if (strcmp(call->given[k].row->name, name) == 0 && i-- == 0)
            return call->given[k].value;
    return NULL;
}

bool call_flag(const struct call *call, const char *name)
{
    return call_option(call, name) != NULL;
}

const char *call_argument(const struct call *call, int i)
{
    return i < call->argument_count ? call->arguments[i] : NULL;
}

/* An empty variable counts as unset, as it does for a shell's ${X:-}. */
static const char *from_environment(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

const char *call_state_folder(const struct call *call)
{
    const char *folder = call_option(call, "state-dir");

    return folder ? folder : from_environment("BOOTSEAL_STATE_DIR");
}

const char *call_running_log(const struct call *call)
{
    (void)call;
    return from_environment("BOOTSEAL_EVENTLOG");
}

const char *call_policy_folder(const struct call *call)
{
    const char *folder = from_environment("BOOTSEAL_POLICY_DIR");

    (void)call;
    return folder ? folder : BOOTSEAL_POLICY_FOLDER;
}

const char *call_report(const struct call *call)
{
    const char *path = call_option(call, "report");

    return path ? path : REPORT_PATH;
}

int call_open_tpm(const struct call *call, struct tpm **ret, struct error *error)
{
    const char *tcti = call_option(call, "tcti");

    if (!tcti)
        tcti = from_environment("BOOTSEAL_TCTI");
    return tpm_open(ret, tcti ? tcti : DEFAULT_TCTI, error);
}

int print_json(struct json_object *object, struct error *error)
{
    const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);

    if (!text)
        return error_no_memory(error);
    if (puts(text) < 0 || fflush(stdout) != 0)
        return error_set(error, ERROR_FAILED, "cannot write to standard output");
    return 0;
}

static void print_rows(const struct option_row *rows)
{
    char left[64];

    for (; rows && rows->name; rows++) {
        snprintf(left, sizeof(left), "--%s%s%s", rows->name, rows->argument ? " " : "",
                 rows->argument ? rows->argument : "");
        printf("  %-28s %s\n", left, rows->help);
    }
}

void print_usage(const struct verb *verb)
{
    printf("usage: bootseal %s [OPTIONS]%s%s\n%s\n\n", verb->name, verb->arguments[0] ? " " : "", verb->arguments,
           verb->summary);
    print_rows(verb->options);
    if (verb->options)
        putchar('\n');
    print_rows(common_options);
}
