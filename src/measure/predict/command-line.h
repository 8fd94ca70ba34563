/*
 * Kernel command lines that give a shell, or start another program than the system's own: such a boot is never approved
 * unasked. The words are those of Linux, systemd, initramfs-tools, dracut and sysvinit.
 *
 * When in doubt it is one: initramfs-tools looks for its words between quotes as well, so quotes join nothing here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define COMMAND_LINE_WORD 64

/* True when a word of the command line does; it is copied into `ret` (cut at the end if it is long) for the message. */
bool command_line_gives_shell(const char *command_line, char ret[COMMAND_LINE_WORD]);
