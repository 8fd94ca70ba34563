/*
 * What the writer and the reader of an approval's JSON share: the words for a branch's kind and source, and a limit.
 */
#pragma once

#include "base/cleanup.h"
#include "policy/approval.h"

#include <string.h>

/* json-c takes a number past INT64_MAX for INT64_MAX, which is therefore none. */
#define CLOCK_MS_MAX (INT64_MAX - 1)

static const char *const branch_kind_words[] = {
    [BRANCH_BOOT] = "boot",
    [BRANCH_SUSPEND] = "suspend",
    [BRANCH_AUTHORITY] = "authority",
};
static const char *const branch_source_words[] = {
    [BRANCH_MEASURED] = "measured",
    [BRANCH_PREDICTED] = "predicted",
};
static const char *const suspend_purpose_words[] = {
    [SUSPEND_BY_HAND] = "by hand",
    [SUSPEND_UPDATE] = "update",
    [SUSPEND_FIRMWARE] = "firmware",
};

/* True for BRANCH_BOOT_DIGITS lower-case hexadecimal digits. */
static inline bool approval_boot_is_good(const char *text)
{
    return strlen(text) == BRANCH_BOOT_DIGITS && strspn(text, "0123456789abcdef") == BRANCH_BOOT_DIGITS;
}
