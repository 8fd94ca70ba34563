/* A secret as a QR code on standard output. */
#pragma once

#include "base/secret.h"

/* Two rows of modules in one line of block characters (UTF-8): black on white on a terminal, whatever its colours are;
 * elsewhere without colours, to be looked at on a dark background. */
int qr_print(const struct secret *text, struct error *error);
