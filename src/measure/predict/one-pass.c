#include "measure/predict/one-pass.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES 65536

static int changed(const char *path, struct error *error)
{
    return error_set(error, ERROR_FAILED, "\"%s\" was changed while it was read; run this again", path);
}

/* What the chunk at `start` has of the stretch. */
static int use(const struct stretch *stretch, const char *path, uint64_t start, const uint8_t *chunk, size_t size,
               struct error *error)
{
    uint64_t from = stretch->start > start ? stretch->start : start;
    uint64_t end = stretch->start + stretch->size < start + size ? stretch->start + stretch->size : start + size;
    const uint8_t *bytes = chunk + (from - start);
    size_t length;

    if (from >= end)
        return 0;
    length = (size_t)(end - from);
    if (stretch->state)
        return hash_add(stretch->state, bytes, length, error);
    if (stretch->copy)
        memcpy(stretch->copy + (from - stretch->start), bytes, length);
    else if (memcmp(stretch->expected + (from - stretch->start), bytes, length) != 0)
        return changed(path, error);
    return 0;
}

/* Up to CHUNK_BYTES; *ret_size 0 at the end. */
static int read_chunk(int fd, const char *path, uint64_t start, uint8_t *ret, size_t *ret_size, struct error *error)
{
    for (;;) {
        ssize_t n = pread(fd, ret, CHUNK_BYTES, (off_t)start);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(error, errno, "cannot read \"%s\"", path);
        *ret_size = (size_t)n;
        return 0;
    }
}

int one_pass_read(int fd, const char *path, uint64_t size, const struct stretch *stretches, size_t count,
                  struct digest *ret_sha256, struct error *error)
{
    cleanup(hash_state_free) struct hash_state *sha256 = NULL;
    cleanup(free_ptr) uint8_t *chunk = malloc(CHUNK_BYTES);
    uint64_t done = 0;
    int r = chunk ? hash_start(HASH_SHA256, &sha256, error) : error_no_memory(error);

    while (!r) {
        size_t n = 0;

        r = read_chunk(fd, path, done, chunk, &n, error);
        if (r || n == 0)
            break;
        if (n > size - done)
            return changed(path, error);
        r = hash_add(sha256, chunk, n, error);
        for (size_t i = 0; !r && i < count; i++)
            r = use(&stretches[i], path, done, chunk, n, error);
        done += n;
    }
    if (!r && done != size)
        return changed(path, error);
    return r ?: hash_finish(sha256, ret_sha256->bytes, error);
}
