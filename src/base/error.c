#define ERROR_IMPLEMENTATION
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The length of the character at `p` if it may be shown; 0 for bytes that are not UTF-8 and for control characters,
 * those of ISO 6429 at U+0080 to U+009F included: terminals obey them too. */
static size_t shown_length(const unsigned char *p)
{
    static const unsigned smallest[] = { 0, 0x20, 0xa0, 0x800, 0x10000 };
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf8 ? 4 : 0;
    unsigned code = length > 1 ? p[0] & (0x7fu >> length) : p[0];

    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    if (code < smallest[length] || code == 0x7f || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
        return 0;
    return length;
}

/* Text from disks and arguments reaches terminals, logs and JSON through errors: no control characters, no escapes. */
static void sanitize(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p;) {
        size_t length = shown_length(p);

        if (length == 0)
            *p = '?';
        p += length ?: 1;
    }
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
        [ERROR_NONE] = "none",
        [ERROR_FAILED] = "failed",
        [ERROR_USAGE] = "usage",
        [ERROR_MISMATCH] = "mismatch",
        [ERROR_WRONG_PIN] = "wrong-pin",
        [ERROR_LOCKOUT] = "lockout",
        [ERROR_TPM] = "tpm",
        [ERROR_NO_PROTECTOR] = "no-protector",
        [ERROR_NOT_LUKS2] = "not-luks2",
        [ERROR_METADATA] = "metadata",
        [ERROR_REFUSED] = "refused",
    };

    return (unsigned)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}
