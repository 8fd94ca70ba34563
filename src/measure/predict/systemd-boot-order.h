/*
 * Inner header of systemd-boot.h: the order of its menu, and the patterns that choose an entry.
 */
#pragma once

#include "measure/predict/systemd-boot.h"

/* As strcmp() does, by systemd's rules for versions ("Version Format Specification", UAPI group): 6.1.0-9 is before
 * 6.1.0-10. NULL counts as "". */
int systemd_version_compare(const char *a, const char *b);

/* Says whether the name fits the pattern: ?, *, [a-z], and \ before a character that means itself. */
int systemd_boot_match(const char *pattern, const char *name, bool *ret, struct error *error);

/* Sorts them as the menu has them. */
void systemd_boot_sort(struct systemd_boot_entry *entries, size_t count);
