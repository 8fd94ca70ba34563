/*
 * How this system knows that a boot file is its own. file-rules.c has one table, a row for each kind of file; a file
 * that no row fits is not verified, and may be approved by a person only.
 *
 *   of a package    equal to what the package manager's database, on the encrypted root, has for it
 *   a copy          equal to a file on the encrypted root, from which it was copied
 *   written here    nothing to compare with: the program that writes it says so, right after it has. The bytes are then
 *                   hashed by the same running kernel that wrote them. Where the machine is switched off in between,
 * they never come on record, so that what was put in their place meanwhile is refused; and in a running system nobody
 * but root writes a mounted file system. (Who swaps sectors of a disk under a running kernel is out of reach of this
 * rule.) by its form     written by GRUB itself at each boot: only what such a file may say passes
 */
#pragma once

#include "protect/update/known-files.h"

/*
 * Verifies the file and puts it on record. `written`: the caller is a hook of the program that has just written it.
 * `root` goes before each path that is read, "" outside of tests. Symbolic links and what is no regular file are
 * refused.
 *
 * ERROR_REFUSED when it cannot be verified, with the reason; the record then stays as it was.
 */
int known_files_verify(struct known_files *files, const char *root, const char *path, bool written,
                       struct error *error);

/* Puts the file on record as it is: a person vouches for it. ERROR_FAILED when it cannot be read. */
int known_files_trust(struct known_files *files, const char *root, const char *path, struct error *error);
