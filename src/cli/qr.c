#include "cli/qr.h"

#include "base/cleanup.h"
#include "cli/stdout.h"

#include <qrencode.h>
#include <string.h>

#define QUIET 4 /* light modules around it: ISO/IEC 18004, 6.3.8 */
#define LINE_BYTES 1024

static void free_code(QRcode **code)
{
    if (*code)
        explicit_bzero((*code)->data, (size_t)(*code)->width * (size_t)(*code)->width);
    QRcode_free(*code);
}

/* Whether the module is dark; those outside are light. */
static bool is_dark(const QRcode *code, int x, int y)
{
    if (x < 0 || y < 0 || x >= code->width || y >= code->width)
        return false;
    return code->data[y * code->width + x] & 1;
}

static void append(struct secret *line, const char *text)
{
    size_t length = strlen(text);

    if (length > line->capacity - line->size)
        return; /* cannot be: LINE_BYTES hold the widest code that a recovery key gives */
    memcpy(line->bytes + line->size, text, length);
    line->size += length;
}

static int print_line(const QRcode *code, int y, bool on_terminal, struct secret *line, struct error *error)
{
    static const char *const blocks[2][2] = { { " ", "▄" }, { "▀", "█" } }; /* upper, lower module drawn */

    line->size = 0;
    append(line, on_terminal ? "\033[30;47m" : "");
    for (int x = -QUIET; x < code->width + QUIET; x++)
        append(line, blocks[is_dark(code, x, y) == on_terminal][is_dark(code, x, y + 1) == on_terminal]);
    append(line, on_terminal ? "\033[0m\n" : "\n");
    return stdout_write(line->bytes, line->size, error);
}

int qr_print(const struct secret *text, struct error *error)
{
    cleanup(free_code) QRcode *code = NULL;
    cleanup(secret_free) struct secret string = { 0 };
    cleanup(secret_free) struct secret line = { 0 };
    int r = secret_new(&string, text->size + 1, error);

    r = r ?: secret_new(&line, LINE_BYTES, error);
    if (r)
        return r;
    memcpy(string.bytes, text->bytes, text->size); /* the page was zero: a NUL follows */
    code = QRcode_encodeString((const char *)string.bytes, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
    if (!code)
        return error_set(error, ERROR_FAILED, "cannot make a QR code");
    for (int y = -QUIET; !r && y < code->width + QUIET; y += 2)
        r = print_line(code, y, isatty(STDOUT_FILENO), &line, error);
    return r;
}
