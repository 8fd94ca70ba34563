#include "capture.h"

#include "base/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

void capture_start(struct capture *ret, int fd)
{
    int file;

    fflush(NULL);
    snprintf(ret->path, sizeof(ret->path), "%.40s/capture.XXXXXX", getenv("TMPDIR") ?: "/tmp");
    file = mkostemp(ret->path, O_CLOEXEC);
    assert_true(file >= 0);
    ret->fd = fd;
    ret->saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    assert_true(ret->saved >= 0);
    assert_return_code(dup2(file, fd), 0);
    close(file);
}

char *capture_end(struct capture *capture)
{
    struct error error;
    char *text = NULL;

    fflush(NULL);
    assert_return_code(dup2(capture->saved, capture->fd), 0);
    close(capture->saved);
    assert_int_equal(file_read(capture->path, 1024 * 1024, &text, NULL, &error), 0);
    assert_return_code(unlink(capture->path), 0);
    return text;
}
