/*
 * A sysfs and a /dev of the test's own, in a temporary folder: mappings with names, UUIDs and devices below them.
 */
#pragma once

#include "luks/internal.h"

struct system_tree {
    char root[64];
    char sysfs[80], dev[80], by_uuid[96];
    struct system_folders folders; /* of the three */
};

void system_tree_make(struct system_tree *ret);
void system_tree_remove(struct system_tree *tree);

/* A mapping dm-<number>; `below` may be NULL. */
void system_tree_add(struct system_tree *tree, int number, const char *name, const char *uuid, const char *below);

/* An empty file under the tree's /dev. */
void system_tree_add_node(struct system_tree *tree, const char *name);
