#include "measure/pe.h"

#include "base/cleanup.h"
#include "measure/pe-image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define CHUNK_BYTES 65536

/* Some of the `size` bytes at `start`, at least one. */
static int read_at(const struct pe_image *image, uint64_t start, uint8_t *ret, size_t size, size_t *ret_size,
                   struct error *error)
{
    for (;;) {
        ssize_t n = pread(image->fd, ret, size, (off_t)start);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(error, errno, "cannot read \"%s\"", image->path);
        if (n == 0)
            return error_set(error, ERROR_FAILED, "\"%s\" became shorter while it was read", image->path);
        *ret_size = (size_t)n;
        return 0;
    }
}

static int hash_range(const struct pe_image *image, struct pe_range range, struct hash_state *state, uint8_t *chunk,
                      struct error *error)
{
    int r = 0;

    while (!r && range.size > 0) {
        size_t size = range.size < CHUNK_BYTES ? (size_t)range.size : CHUNK_BYTES;

        r = read_at(image, range.start, chunk, size, &size, error);
        r = r ?: hash_add(state, chunk, size, error);
        range.start += size;
        range.size -= size;
    }
    return r;
}

static int hash_image(const struct pe_image *image, enum hash_algorithm algorithm, uint8_t *ret, struct error *error)
{
    cleanup(hash_state_free) struct hash_state *state = NULL;
    cleanup(free_ptr) uint8_t *chunk = malloc(CHUNK_BYTES);
    struct pe_range ranges[PE_MAX_RANGES];
    size_t count = pe_image_ranges(image, ranges);
    int r = chunk ? hash_start(algorithm, &state, error) : error_no_memory(error);

    for (size_t i = 0; !r && i < count; i++)
        r = hash_range(image, ranges[i], state, chunk, error);
    return r ?: hash_finish(state, ret, error);
}

int pe_hash(const char *path, enum hash_algorithm algorithm, uint8_t *ret, struct error *error)
{
    cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    cleanup(pe_image_free) struct pe_image image = { 0 };
    struct stat status;
    int r;

    if (fd < 0)
        return error_errno(error, errno, "cannot open \"%s\"", path);
    if (fstat(fd, &status) < 0)
        return error_errno(error, errno, "cannot read \"%s\"", path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_FAILED, "\"%s\" is no file", path);
    r = pe_image_parse(fd, path, 0, (uint64_t)status.st_size, &image, error);
    return r ?: hash_image(&image, algorithm, ret, error);
}
