/*
 * Text out of a log, made fit to be shown: valid UTF-8, at most TEXT_MAX characters and then "…", with what steers a
 * terminal or turns the direction of reading written out (\n, \x1b, \u202e). Streams are open_memstream's: short memory
 * shows in ferror() and fclose().
 */
#pragma once

#include "base/hash.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_MAX 8192 /* longer than Linux's longest command line (2048) and grub-mkconfig's menu entries */

/* UTF-8, up to a NUL or the end; a byte that is not part of a character becomes \xNN. */
void text_put_utf8(FILE *stream, struct span text);

/* UTF-16LE, up to a NUL or the end; an odd byte at the end is left out. */
void text_put_utf16(FILE *stream, struct span text);

/* Either of them: UTF-16 when the first character is an ASCII one of two bytes. */
void text_put(FILE *stream, struct span text);

/* True when text_put() would read it as UTF-16. */
bool text_is_utf16(struct span text);

/* A GUID in the usual form; `guid` has 16 bytes (UEFI 2.10, appendix A). */
#define GUID_BYTES 16
#define GUID_TEXT 37
void guid_format(const uint8_t *guid, char ret[GUID_TEXT]);
