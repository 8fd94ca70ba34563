#include "base/secret.h"

#include "base/cleanup.h"
#include "base/registers.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

static bool lock_failed;

static size_t page_round(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size + page - 1) / page * page;
}

int secret_new(struct secret *ret, size_t capacity, struct error *error)
{
    void *pages;

    if (capacity == 0 || capacity > SIZE_MAX / 2)
        return error_set(error, ERROR_FAILED, "a secret cannot have room for %zu bytes", capacity);
    pages = mmap(NULL, page_round(capacity), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return error_no_memory(error);
    if (mlock(pages, page_round(capacity)) < 0)
        lock_failed = true;
    (void)madvise(pages, page_round(capacity), MADV_DONTDUMP);
    (void)madvise(pages, page_round(capacity), MADV_WIPEONFORK);
    *ret = (struct secret){ .bytes = pages, .capacity = capacity };
    return 0;
}

clears_registers int secret_copy(struct secret *ret, const void *bytes, size_t size, struct error *error)
{
    int r = secret_new(ret, size ? size : 1, error);

    if (r)
        return r;
    if (size)
        memcpy(ret->bytes, bytes, size);
    ret->size = size;
    return 0;
}

int secret_random(struct secret *ret, size_t size, struct error *error)
{
    cleanup(secret_free) struct secret fresh = { 0 };
    int r = secret_new(&fresh, size, error);

    if (r)
        return r;
    while (fresh.size < size) {
        ssize_t n = getrandom(fresh.bytes + fresh.size, size - fresh.size, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(error, errno, "cannot get random bytes");
        fresh.size += (size_t)n;
    }
    *ret = secret_take(&fresh);
    return 0;
}

int secret_read(struct secret *ret, int fd, size_t max, const char *what, struct error *error)
{
    cleanup(secret_free) struct secret input = { 0 };
    int r = secret_new(&input, max + 1, error);

    if (r)
        return r;
    while (input.size <= max) {
        ssize_t n = read(fd, input.bytes + input.size, input.capacity - input.size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(error, errno, "cannot read %s", what);
        if (n == 0) {
            *ret = secret_take(&input);
            return 0;
        }
        input.size += (size_t)n;
    }
    return error_set(error, ERROR_USAGE, "%s holds more than %zu bytes", what, max);
}

void secret_chomp(struct secret *secret)
{
    if (secret->size > 0 && secret->bytes[secret->size - 1] == '\n')
        secret->bytes[--secret->size] = 0;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return a->size == b->size && (a->size == 0 || CRYPTO_memcmp(a->bytes, b->bytes, a->size) == 0);
}

clears_registers void secret_free(struct secret *secret)
{
    if (secret->bytes) {
        OPENSSL_cleanse(secret->bytes, page_round(secret->capacity));
        munmap(secret->bytes, page_round(secret->capacity));
    }
    *secret = (struct secret){ 0 };
}

struct secret secret_take(struct secret *secret)
{
    struct secret taken = *secret;

    *secret = (struct secret){ 0 };
    return taken;
}

static void wipe_and_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    if (memory)
        OPENSSL_cleanse(memory, malloc_usable_size(memory));
    free(memory);
}

/* Never by realloc(), which leaves the old place as it is. */
static void *move_and_wipe(void *memory, size_t size, const char *file, int line)
{
    size_t room = memory ? malloc_usable_size(memory) : 0;
    void *moved;

    if (memory && size > 0 && size <= room)
        return memory;
    moved = size > 0 ? CRYPTO_zalloc(size, file, line) : NULL;
    if (size > 0 && !moved)
        return NULL;
    if (moved && memory)
        memcpy(moved, memory, room);
    wipe_and_free(memory, file, line);
    return moved;
}

bool secret_wipe_libcrypto(void)
{
    return CRYPTO_set_mem_functions(NULL, move_and_wipe, wipe_and_free) == 1;
}

bool secret_lock_failed(void)
{
    return lock_failed;
}
