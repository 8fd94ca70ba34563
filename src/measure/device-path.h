/*
 * UEFI device paths (UEFI 2.10, chapter 10): where a program was loaded from.
 */
#pragma once

#include "base/hash.h"

#include <stdbool.h>
#include <stdio.h>

#define DEVICE_PATH_MAX_NODES 64 /* a dozen is long */

/* Writes the path as UEFI shells do, "PciRoot(0x0)/Pci(0x1f,0x2)/\EFI\BOOT\BOOTX64.EFI"; a node that is not known as
 * Path(type,subtype,bytes). Nothing for an empty path. False when the bytes are no device path; what was written up to
 * there stays. */
bool device_path_put(FILE *stream, struct span path);

/* Writes the file's name alone: of a file in a file system its path, of one in the firmware "FvFile(GUID)".
 * False, with nothing written, when the path names none. */
bool device_path_put_file(FILE *stream, struct span path);

/* True when the path leads into the firmware's own flash. */
bool device_path_is_firmware(struct span path);
