#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum log_level current_level = LOG_NORMAL;
static const char *line_prefix = "bootseal";

void log_setup(enum log_level level, const char *prefix)
{
    current_level = level;
    line_prefix = prefix;
}

static void print_line(const char *mark, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void print_line(const char *mark, const char *format, va_list args)
{
    fprintf(stderr, "%s: %s", line_prefix, mark);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void log_info(const char *format, ...)
{
    va_list args;

    if (current_level < LOG_NORMAL)
        return;
    va_start(args, format);
    print_line("", format, args);
    va_end(args);
}

void log_verbose(const char *format, ...)
{
    va_list args;

    if (current_level < LOG_VERBOSE)
        return;
    va_start(args, format);
    print_line("", format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_line("warning: ", format, args);
    va_end(args);
}

int log_error(const struct error *error)
{
    fprintf(stderr, "%s: %s\n", line_prefix, error->text);
    if (error->remedy[0])
        fprintf(stderr, "%s: what to do: %s\n", line_prefix, error->remedy);
    return (int)error->kind;
}
