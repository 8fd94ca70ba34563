/*
 * Hexadecimal and base64 (RFC 4648), strict both ways: no white space, no missing padding, nothing after the end.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEX_TEXT(size) (2 * (size) + 1)
#define BASE64_TEXT(size) (((size) + 2) / 3 * 4 + 1)

/* Lower-case digits and a NUL into `ret`, HEX_TEXT(size) bytes. Not for secrets. */
void hex_encode(const void *bytes, size_t size, char *ret);

/* True when `text` is exactly `size` bytes in hexadecimal, of either case. */
bool hex_decode(const char *text, void *ret, size_t size);

/* Text and a NUL into `ret`, BASE64_TEXT(size) bytes. Safe for secrets: constant memory access is libcrypto's. */
void base64_encode(const void *bytes, size_t size, char *ret);

/* Decodes at most `max` bytes; false for anything that is not canonical base64, or is longer: `ret` may be half filled
 * then. Not for secrets. */
bool base64_decode(const char *text, void *ret, size_t max, size_t *ret_size);
