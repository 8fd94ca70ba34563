/*
 * A machine may have several consoles: console= of the kernel command line more than once. /dev/console is the last of
 * them, and where the prompt is; a message is good for all.
 */
#pragma once

#define CONSOLES_ACTIVE "/sys/class/tty/console/active" /* "tty0 ttyS0": kernel, ABI/testing/sysfs-tty */
#define CONSOLES_MAX 8

/* Writes text to every console in the list but the last, each found by its name under `dev`. Never fails. */
void consoles_show_others(const char *active, const char *dev, const char *text);
