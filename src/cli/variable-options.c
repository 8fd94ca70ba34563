#include "cli/variable-options.h"

#include "base/file.h"
#include "measure/predict/variable-update.h"

#include <stdlib.h>
#include <string.h>

void variable_options_free(struct variable_options *options)
{
    for (size_t i = 0; i < VARIABLE_CHANGES_MAX; i++) {
        free(options->names[i]);
        free(options->files[i]);
    }
    *options = (struct variable_options){ 0 };
}

/* Where the file's name starts in "NAME+=FILE"; NULL when there is no "=", or no name on one of its sides. */
static const char *split(const char *text, bool *ret_append, size_t *ret_name_length)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text || !equals[1])
        return NULL;
    *ret_append = equals[-1] == '+';
    *ret_name_length = (size_t)(equals - text) - *ret_append;
    return equals + 1;
}

static int read_option(const char *text, struct variable_options *options, struct error *error)
{
    struct variable_change *change = &options->changes[options->count];
    char **name = &options->names[options->count], **file = &options->files[options->count];
    size_t length = 0, size = 0;
    int r;

    change->source = split(text, &change->append, &length);
    if (!change->source)
        return error_set(error, ERROR_USAGE, "--" VARIABLE_OPTION ": \"%s\" is not " VARIABLE_OPTION_ARGUMENT, text);
    *name = strndup(text, length);
    if (!*name)
        return error_no_memory(error);
    change->name = *name;
    if (!variable_change_is_known(*name))
        return error_set(error, ERROR_USAGE, "--" VARIABLE_OPTION ": \"%s\" is none of " VARIABLE_CHANGE_NAMES, *name);
    r = file_read(change->source, VARIABLE_UPDATE_MAX_BYTES, file, &size, error);
    change->update = (struct span){ *file, size };
    if (!r && variable_update_check(*name, change->update, change->append, error))
        r = error_prefix(error, "\"%s\"", change->source);
    options->count += !r;
    return r;
}

int variable_options_read(const struct call *call, struct variable_options *ret, struct error *error)
{
    const char *text;
    int r = 0;

    *ret = (struct variable_options){ 0 };
    for (size_t i = 0; !r && (text = call_option_at(call, VARIABLE_OPTION, i)) != NULL; i++) {
        if (i == VARIABLE_CHANGES_MAX)
            return error_set(error, ERROR_USAGE, "--" VARIABLE_OPTION " was given more than %d times",
                             VARIABLE_CHANGES_MAX);
        r = read_option(text, ret, error);
    }
    return r;
}
