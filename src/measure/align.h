/*
 * Which elements of two sequences correspond: a longest common subsequence, in their order.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define ALIGN_NONE ((size_t)-1)
#define ALIGN_MAX_CELLS (4 * 1024 * 1024) /* 8 MiB of table */

/* True when element i of the one equals element j of the other. */
typedef bool align_equal(const void *context, size_t i, size_t j);

/* partner[i], for each of the `count` elements of the one sequence, is its counterpart among the `other_count` of the
 * other, or ALIGN_NONE. What the two have in common at both ends is always found; when there is too much between the
 * ends for a table of ALIGN_MAX_CELLS, none of that corresponds. An error is short memory alone. */
int align(size_t count, size_t other_count, align_equal *equal, const void *context, size_t *partner,
          struct error *error);
