#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text from disks and arguments reaches terminals and logs through errors: no control characters, no escapes. */
static void sanitize(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
}

int error_set(struct error *error, enum error_kind kind, const char *format, ...)
{
    va_list args;

    error->kind = kind;
    error->tpm_code = 0;
    error->remedy[0] = '\0';
    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    sanitize(error->text);
    return (int)kind;
}

int error_errno(struct error *error, int number, const char *format, ...)
{
    char text[sizeof(error->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(error, ERROR_FAILED, "%s: %s", text, strerrordesc_np(number) ?: "unknown error");
}

int error_no_memory(struct error *error)
{
    return error_set(error, ERROR_FAILED, "out of memory");
}

int error_prefix(struct error *error, const char *format, ...)
{
    char inner[sizeof(error->text)];
    va_list args;
    int length;

    memcpy(inner, error->text, sizeof(inner));
    va_start(args, format);
    length = vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof(error->text))
        snprintf(error->text + length, sizeof(error->text) - (size_t)length, ": %s", inner);
    sanitize(error->text);
    return (int)error->kind;
}

int error_remedy(struct error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error->remedy, sizeof(error->remedy), format, args);
    va_end(args);
    sanitize(error->remedy);
    return (int)error->kind;
}

int error_rekind(struct error *error, enum error_kind kind)
{
    error->kind = kind;
    return (int)kind;
}

const char *error_kind_name(enum error_kind kind)
{
    static const char *const names[] = {
        [ERROR_NONE] = "none",           [ERROR_FAILED] = "failed",
        [ERROR_USAGE] = "usage",         [ERROR_MISMATCH] = "mismatch",
        [ERROR_WRONG_PIN] = "wrong-pin", [ERROR_LOCKOUT] = "lockout",
        [ERROR_TPM] = "tpm",             [ERROR_NO_PROTECTOR] = "no-protector",
        [ERROR_NOT_LUKS2] = "not-luks2", [ERROR_METADATA] = "metadata",
        [ERROR_REFUSED] = "refused",
    };

    return (unsigned)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}
