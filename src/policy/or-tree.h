/*
 * PolicyOR takes two to eight digests. More are joined in a tree: groups of eight in list order, each one PolicyOR; a
 * group of one moves up unchanged; and again, until one digest is left. A list of one needs no PolicyOR at all.
 */
#pragma once

#include "base/hash.h"

#define OR_GROUP 8
#define OR_MAX_LEAVES 512
#define OR_MAX_LEVELS 3 /* 8 ^ 3 leaves */

/* The PolicyOR commands that lead from one leaf to the root, in order. */
struct or_path {
    size_t count;
    struct or_step {
        struct digest list[OR_GROUP];
        size_t count;
    } steps[OR_MAX_LEVELS];
};

/* The root over 1 to OR_MAX_LEAVES leaves. */
int or_tree_root(const struct digest *leaves, size_t count, struct digest *ret, struct error *error);

int or_tree_path(const struct digest *leaves, size_t count, size_t leaf, struct or_path *ret, struct error *error);
