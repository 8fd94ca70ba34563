#include "measure/predict/hashed-file.h"

#include "base/cleanup.h"
#include "measure/predict/one-pass.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct hashed_file_entry {
    char *path;
    enum hash_algorithm bank;
    struct stat status;
    struct hashed_file file;
};

void hashed_files_free(struct hashed_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->items[i].path);
    free(files->items);
    *files = (struct hashed_files){ 0 };
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_unchanged(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

static const struct hashed_file *find(const struct hashed_files *known, const char *path, enum hash_algorithm bank,
                                      const struct stat *status)
{
    for (size_t i = 0; i < known->count; i++)
        if (known->items[i].bank == bank && is_unchanged(&known->items[i].status, status) &&
            strcmp(known->items[i].path, path) == 0)
            return &known->items[i].file;
    return NULL;
}

/* Keeps what was read, unless the file was changed since `before`. Without memory it is read again the next time. */
static void keep(struct hashed_files *known, int fd, const char *path, enum hash_algorithm bank,
                 const struct stat *before, const struct hashed_file *file)
{
    struct hashed_file_entry *items;
    struct stat after;

    if (known->count == HASHED_FILES_MAX || fstat(fd, &after) < 0 || !is_unchanged(before, &after))
        return;
    items = reallocarray(known->items, known->count + 1, sizeof(*items));
    if (!items)
        return;
    known->items = items;
    items[known->count] =
        (struct hashed_file_entry){ .path = strdup(path), .bank = bank, .status = *before, .file = *file };
    known->count += items[known->count].path != NULL;
}

/* In the SHA-256 bank one hash is both. */
static int read_once(int fd, const char *path, enum hash_algorithm bank, char *bytes, struct hashed_file *ret,
                     struct error *error)
{
    cleanup(hash_state_free) struct hash_state *state = NULL;
    uint64_t head = ret->size < sizeof(ret->head) ? ret->size : sizeof(ret->head);
    struct stretch stretches[3] = { { .size = head, .copy = ret->head } };
    size_t count = 1;
    int r = bank == HASH_SHA256 ? 0 : hash_start(bank, &state, error);

    if (state)
        stretches[count++] = (struct stretch){ .size = ret->size, .state = state };
    if (bytes)
        stretches[count++] = (struct stretch){ .size = ret->size, .copy = (uint8_t *)bytes };
    r = r ?: one_pass_read(fd, path, ret->size, stretches, count, &ret->sha256, error);
    if (!r && bank == HASH_SHA256)
        memcpy(ret->digest, ret->sha256.bytes, DIGEST_BYTES);
    return r || !state ? r : hash_finish(state, ret->digest, error);
}

int hashed_file_read(struct hashed_files *known, int fd, const char *path, enum hash_algorithm bank, uint64_t max,
                     char *bytes, struct hashed_file *ret, struct error *error)
{
    const struct hashed_file *file = NULL;
    struct stat status;
    int r;

    if (fstat(fd, &status) < 0)
        return error_errno(error, errno, "cannot read \"%s\"", path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_FAILED, "\"%s\" is no file", path);
    if ((uint64_t)status.st_size > max)
        return error_set(error, ERROR_FAILED, "\"%s\" is larger than %llu bytes", path, (unsigned long long)max);
    if (known && !bytes)
        file = find(known, path, bank, &status);
    if (file) {
        *ret = *file;
        return 0;
    }
    *ret = (struct hashed_file){ .size = (uint64_t)status.st_size };
    r = read_once(fd, path, bank, bytes, ret, error);
    if (!r && known && !bytes)
        keep(known, fd, path, bank, &status, ret);
    return r;
}
