/*
 * Text as EFI programs have it: UTF-16 in units of two bytes with a unit of zero at its end. What systemd's programs
 * make of UTF-8 is followed exactly: characters beyond the Basic Multilingual Plane and bytes that are no UTF-8 are
 * left out.
 */
#pragma once

#include "base/hash.h"

/* Little-endian, as in memory and as measured. Owned: free(bytes). */
struct wide {
    uint8_t *bytes; /* NULL: no text at all; else it ends with the zero unit */
    size_t size;    /* with that */
};

void wide_free(struct wide *wide);

/* Of `size` bytes of UTF-8, up to a NUL. */
int wide_from_utf8(const char *text, size_t size, struct wide *ret, struct error *error);

/* Of bytes that may be UTF-16, up to a zero unit or the end; an odd byte there is left out. */
int wide_from_units(struct span units, struct wide *ret, struct error *error);

/* UTF-8 again, for reading, not escaped; half a surrogate pair becomes U+FFFD. */
int wide_to_utf8(const struct wide *wide, char **ret, struct error *error);

/* As the stub does with a command line: control characters become blanks, blanks at the end go. */
void wide_clean_command_line(struct wide *wide);

/* UTF-8 as it is after both conversions: what systemd's programs have in memory of a text on disk. */
int wide_normalize(const char *text, size_t size, char **ret, struct error *error);
