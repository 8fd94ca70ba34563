#include "scratch.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <ftw.h>
#include <string.h>

void scratch_make(struct scratch *ret)
{
    snprintf(ret->folder, sizeof(ret->folder), "%s/bootseal-scratch.XXXXXX", getenv("TMPDIR") ?: "/tmp");
    assert_non_null(mkdtemp(ret->folder));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void scratch_remove(struct scratch *scratch)
{
    assert_int_equal(nftw(scratch->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

const char *scratch_path(struct scratch *scratch, const char *name)
{
    snprintf(scratch->path, sizeof(scratch->path), "%s/%s", scratch->folder, name);
    return scratch->path;
}

const char *scratch_write(struct scratch *scratch, const char *name, const char *text)
{
    cleanup(close_fd) int fd = open(scratch_path(scratch, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return scratch->path;
}

void scratch_expect(struct scratch *scratch, const char *name, const char *text)
{
    cleanup(close_fd) int fd = open(scratch_path(scratch, name), O_RDONLY | O_CLOEXEC);
    char found[4096] = "";

    assert_true(fd >= 0);
    assert_true(read(fd, found, sizeof(found) - 1) >= 0);
    assert_string_equal(found, text);
}
