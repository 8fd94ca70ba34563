#include "system-tree.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void write_file(const char *path, const char *text)
{
    struct error error;

    assert_int_equal(file_write(path, text, strlen(text), 0644, &error), 0);
}

static void make_folder(const char *path)
{
    struct error error;

    assert_int_equal(file_make_folder(path, 0755, &error), 0);
}

void system_tree_make(struct system_tree *ret)
{
    snprintf(ret->root, sizeof(ret->root), "%.40s/bootseal-tree.XXXXXX", getenv("TMPDIR") ?: "/tmp");
    assert_non_null(mkdtemp(ret->root));
    snprintf(ret->sysfs, sizeof(ret->sysfs), "%s/sys", ret->root);
    snprintf(ret->dev, sizeof(ret->dev), "%s/dev", ret->root);
    snprintf(ret->by_uuid, sizeof(ret->by_uuid), "%s/disk/by-uuid", ret->dev);
    make_folder(ret->sysfs);
    make_folder(ret->by_uuid);
    ret->folders = (struct system_folders){ ret->sysfs, ret->dev, ret->by_uuid };
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void system_tree_remove(struct system_tree *tree)
{
    assert_int_equal(nftw(tree->root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void system_tree_add(struct system_tree *tree, int number, const char *name, const char *uuid, const char *below)
{
    char path[256], line[256];

    snprintf(path, sizeof(path), "%s/block/dm-%d/dm", tree->sysfs, number);
    make_folder(path);
    snprintf(path, sizeof(path), "%s/block/dm-%d/dm/name", tree->sysfs, number);
    snprintf(line, sizeof(line), "%s\n", name);
    write_file(path, line);
    snprintf(path, sizeof(path), "%s/block/dm-%d/dm/uuid", tree->sysfs, number);
    snprintf(line, sizeof(line), "%s\n", uuid);
    write_file(path, line);
    if (!below)
        return;
    snprintf(path, sizeof(path), "%s/block/dm-%d/slaves/%s", tree->sysfs, number, below);
    make_folder(path);
}

void system_tree_add_node(struct system_tree *tree, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", tree->dev, name);
    *strrchr(path, '/') = '\0';
    make_folder(path);
    snprintf(path, sizeof(path), "%s/%s", tree->dev, name);
    write_file(path, "");
}
