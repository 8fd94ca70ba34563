#include "protect/update/file-hash.h"

#include "base/cleanup.h"
#include "base/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES 65536
#define MD5_BYTES (MD5_DIGITS / 2)

static void free_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static int open_file(const char *path, int *ret, struct error *error)
{
    struct stat status;

    *ret = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (*ret < 0 && errno == ELOOP)
        return error_set(error, ERROR_REFUSED, "\"%s\" is a symbolic link", path);
    if (*ret < 0)
        return error_errno(error, errno, "cannot open \"%s\"", path);
    if (fstat(*ret, &status) < 0)
        return error_errno(error, errno, "cannot read \"%s\"", path);
    return S_ISREG(status.st_mode) ? 0 : error_set(error, ERROR_REFUSED, "\"%s\" is no file", path);
}

static int add_all(int fd, const char *path, struct hash_state *sha256, EVP_MD_CTX *md5, struct error *error)
{
    cleanup(free_ptr) uint8_t *chunk = malloc(CHUNK_BYTES);
    int r = chunk ? 0 : error_no_memory(error);

    while (!r) {
        ssize_t n = read(fd, chunk, CHUNK_BYTES);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(error, errno, "cannot read \"%s\"", path);
        if (n == 0)
            break;
        r = hash_add(sha256, chunk, (size_t)n, error);
        if (!r && EVP_DigestUpdate(md5, chunk, (size_t)n) != 1)
            r = error_set(error, ERROR_FAILED, "cannot compute an MD5");
    }
    return r;
}

int file_hashes_read(const char *path, struct file_hashes *ret, struct error *error)
{
    cleanup(close_fd) int fd = -1;
    cleanup(hash_state_free) struct hash_state *sha256 = NULL;
    cleanup(free_context) EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    uint8_t bytes[EVP_MAX_MD_SIZE];
    int r = open_file(path, &fd, error);

    r = r ?: hash_start(HASH_SHA256, &sha256, error);
    if (!r && (!md5 || EVP_DigestInit_ex(md5, EVP_md5(), NULL) != 1))
        r = error_set(error, ERROR_FAILED, "this system's OpenSSL has no MD5");
    r = r ?: add_all(fd, path, sha256, md5, error);
    r = r ?: hash_finish(sha256, ret->sha256.bytes, error);
    if (!r && EVP_DigestFinal_ex(md5, bytes, NULL) != 1)
        r = error_set(error, ERROR_FAILED, "cannot compute an MD5");
    if (!r)
        hex_encode(bytes, MD5_BYTES, ret->md5);
    return r;
}
