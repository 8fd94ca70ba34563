/* Offsets: LUKS2 On-Disk Format Specification 1.1, 2.1, the binary header. */
#include "luks-edit.h"

#include "base/cleanup.h"
#include "base/hash.h"

#include <fcntl.h>
#include <libcryptsetup.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    BINARY_BYTES = 4096,
    SIZE_AT = 8,
    UUID_AT = 168,
    UUID_BYTES = 40,
    CHECKSUM_AT = 448,
    CHECKSUM_BYTES = 64,
    HEADER_MAX = 4 * 1024 * 1024,
};

static const struct crypt_pbkdf_type minimal_kdf = {
    .type = CRYPT_KDF_PBKDF2,
    .hash = "sha256",
    .iterations = 1000,
    .flags = CRYPT_PBKDF_NO_BENCHMARK,
};

static void make_file(struct luks_file *ret, off_t size_bytes)
{
    int fd;

    snprintf(ret->path, sizeof(ret->path), "%s/bootseal-test.XXXXXX", getenv("TMPDIR") ?: "/tmp");
    fd = mkostemp(ret->path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_return_code(ftruncate(fd, size_bytes), 0);
    close(fd);
}

void luks_file_make_plain(struct luks_file *ret, off_t size_bytes)
{
    make_file(ret, size_bytes);
}

static void swallow_messages(int level, const char *message, void *context)
{
    (void)level;
    (void)message;
    (void)context;
}

static int format_luks2(struct crypt_device *device, const struct luks_form *form)
{
    struct crypt_params_luks2 parameters = { .sector_size = form->sector_size ?: 512 };
    int r = crypt_set_metadata_size(device, 16 * 1024, form->keyslots_bytes ?: 1024 * 1024);

    return r
               ?: crypt_format(device, CRYPT_LUKS2, form->cipher ?: "aes", form->mode ?: "xts-plain64", LUKS_FILE_UUID,
                               NULL, form->key_size_bytes ?: 64, &parameters);
}

void luks_file_make(struct luks_file *ret, const struct luks_form *form)
{
    struct crypt_device *device = NULL;

    make_file(ret, 20 * 1024 * 1024);
    assert_return_code(crypt_init(&device, ret->path), 0);
    crypt_set_log_callback(device, swallow_messages, NULL);
    assert_return_code(crypt_set_pbkdf_type(device, &minimal_kdf), 0);
    if (form->type)
        assert_return_code(crypt_format(device, form->type, "aes", "xts-plain64", LUKS_FILE_UUID, NULL, 64, NULL), 0);
    else
        assert_return_code(format_luks2(device, form), 0);
    if (!form->no_keyslot)
        assert_return_code(
            crypt_keyslot_add_by_volume_key(device, 0, NULL, 0, LUKS_FILE_PASSPHRASE, strlen(LUKS_FILE_PASSPHRASE)), 0);
    crypt_free(device);
}

void luks_file_add_unbound(const struct luks_file *file, int keyslot, const char *passphrase)
{
    struct crypt_device *device = NULL;

    assert_return_code(crypt_init(&device, file->path), 0);
    crypt_set_log_callback(device, swallow_messages, NULL);
    assert_return_code(crypt_load(device, CRYPT_LUKS2, NULL), 0);
    assert_return_code(crypt_set_pbkdf_type(device, &minimal_kdf), 0);
    assert_int_equal(crypt_keyslot_add_by_key(device, keyslot, NULL, 64, passphrase, strlen(passphrase),
                                              CRYPT_VOLUME_KEY_NO_SEGMENT),
                     keyslot);
    crypt_free(device);
}

void luks_file_remove(struct luks_file *file)
{
    assert_return_code(unlink(file->path), 0);
}

void luks_file_digest(const struct luks_file *file, uint8_t ret[32])
{
    cleanup(close_fd) int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    cleanup(free_ptr) uint8_t *bytes = malloc((size_t)size);
    struct error error;

    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, (size_t)size, 0), size);
    assert_int_equal(hash_compute(HASH_SHA256, &(struct span){ bytes, (size_t)size }, 1, ret, &error), 0);
}

void luks_file_poke(const struct luks_file *file, off_t at, const void *bytes, size_t size)
{
    cleanup(close_fd) int fd = open(file->path, O_WRONLY | O_CLOEXEC);

    assert_int_equal(pwrite(fd, bytes, size, at), size);
}

/* ---- editing ---- */

static size_t header_size(int fd)
{
    uint8_t bytes[8];
    uint64_t size = 0;

    assert_int_equal(pread(fd, bytes, sizeof(bytes), SIZE_AT), sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        size = size << 8 | bytes[i];
    assert_in_range(size, 2 * BINARY_BYTES, HEADER_MAX);
    return (size_t)size;
}

/* SHA-256 over the whole copy, its checksum field empty. */
static void write_copy(int fd, uint8_t *copy, size_t size, off_t at)
{
    struct error error;

    memset(copy + CHECKSUM_AT, 0, CHECKSUM_BYTES);
    assert_int_equal(hash_compute(HASH_SHA256, &(struct span){ copy, size }, 1, copy + CHECKSUM_AT, &error), 0);
    assert_int_equal(pwrite(fd, copy, size, at), size);
}

/* Each copy of the header gets the metadata (if not NULL) and the UUID (if not NULL). */
static void rewrite(int fd, struct json_object *metadata, const char *uuid)
{
    size_t size = header_size(fd);
    cleanup(free_ptr) uint8_t *copy = malloc(size);
    const char *text =
        metadata ? json_object_to_json_string_ext(metadata, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
                 : NULL;

    assert_non_null(copy);
    for (off_t at = 0; at <= (off_t)size; at += (off_t)size) {
        assert_int_equal(pread(fd, copy, size, at), size);
        if (text) {
            assert_in_range(strlen(text), 1, size - BINARY_BYTES - 1);
            memset(copy + BINARY_BYTES, 0, size - BINARY_BYTES);
            memcpy(copy + BINARY_BYTES, text, strlen(text));
        }
        if (uuid) {
            assert_in_range(strlen(uuid), 0, UUID_BYTES - 1);
            memset(copy + UUID_AT, 0, UUID_BYTES);
            memcpy(copy + UUID_AT, uuid, strlen(uuid));
        }
        write_copy(fd, copy, size, at);
    }
}

void luks_edit(const char *path, void (*edit)(struct json_object *metadata, const void *context), const void *context)
{
    cleanup(close_fd) int fd = open(path, O_RDWR | O_CLOEXEC);
    size_t size = header_size(fd) - BINARY_BYTES;
    cleanup(free_ptr) char *text = malloc(size);
    struct json_object *metadata;

    assert_non_null(text);
    assert_int_equal(pread(fd, text, size, BINARY_BYTES), size);
    assert_int_equal(text[size - 1], '\0');
    metadata = json_tokener_parse(text);
    assert_non_null(metadata);
    edit(metadata, context);
    rewrite(fd, metadata, NULL);
    json_object_put(metadata);
}

void luks_set_uuid(const char *path, const char *uuid)
{
    cleanup(close_fd) int fd = open(path, O_RDWR | O_CLOEXEC);

    rewrite(fd, NULL, uuid);
}

/* ---- members by path ---- */

struct change {
    const char *member, *json;
};

/* Splits "a/b/c" into the object a/b, which must exist, and "c". */
static struct json_object *find_parent(struct json_object *metadata, const char *path, char last[64])
{
    struct json_object *object = metadata;
    const char *slash;

    for (; (slash = strchr(path, '/')); path = slash + 1) {
        char name[64];

        snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
        assert_true(json_object_object_get_ex(object, name, &object));
    }
    snprintf(last, 64, "%s", path);
    return object;
}

struct json_object *luks_member(struct json_object *metadata, const char *path)
{
    char last[64];

    return json_object_object_get(find_parent(metadata, path, last), last);
}

static void apply_change(struct json_object *metadata, const void *context)
{
    const struct change *change = context;
    char last[64];
    struct json_object *parent = find_parent(metadata, change->member, last), *value;

    json_object_object_del(parent, last);
    if (!change->json)
        return;
    value = json_tokener_parse(change->json);
    assert_non_null(value);
    json_object_object_add(parent, last, value);
}

void luks_set(const char *path, const char *member, const char *json)
{
    luks_edit(path, apply_change, &(struct change){ member, json });
}

struct luks_file luks_case;

int luks_case_make(void **state)
{
    (void)state;
    luks_file_make(&luks_case, &(struct luks_form){ 0 });
    return 0;
}

int luks_case_remove(void **state)
{
    (void)state;
    luks_file_remove(&luks_case);
    return 0;
}
