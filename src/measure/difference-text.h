/*
 * A difference between two boots as a sentence.
 */
#pragma once

#include "measure/compare.h"

/*
 * The words for a difference, all of whose fields but `text` are set; freed by the caller, NULL when memory is short.
 * `hidden`: what was measured is not what the new log says, so its words are not to be repeated.
 *
 *     the initrd /initrd.img: other content        the kernel: `/vmlinuz-1` became `/vmlinuz-2`
 *     Secure Boot: off (was on)                     kernel command line: `quiet` became `init=/bin/sh`
 *     appeared: GRUB's command: echo Hello          went: ...           moved: ...
 */
char *difference_text(const struct difference *difference, bool hidden);
