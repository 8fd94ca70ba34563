/*
 * The keys and hashes of Secure Boot's variables (UEFI 2.10, 32.4.1), in words.
 */
#pragma once

#include "base/hash.h"

#include <stdio.h>

#define SIGNATURE_LISTS_NAMED 16 /* certificates whose names are written out */

/* A chain of EFI_SIGNATURE_LISTs: `2 certificates ("A", "B"), 371 hashes`; "empty"; "damaged" for what is no such
 * chain. */
void signature_lists_put(FILE *stream, struct span lists);

/* One EFI_SIGNATURE_DATA: a certificate's name in quotes, or what else it is. */
void signature_put(FILE *stream, struct span signature);
